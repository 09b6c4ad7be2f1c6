"""Where recognitions go: the terminal, JSON lines, an annotated video file.

A sink takes `write(frame, recognition)`, the frame being uint8 RGB [height, width, 3], and `close()`, which
finishes what it wrote. A frame is the sink's to read only until `write` returns.
"""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from device.errors import PicaptionError
from device.overlay import annotate
from device.pictures import quiet_stderr

#: Codec for each ending; OpenCV's own build has no H.264 encoder.
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
#: Frames per second of the video of a live source, which itself has no even rate.
LIVE_RATE = 10


class Terminal:
    """One line, rewritten in place on a terminal; elsewhere a new line when caption or best class change."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stdout
        self._in_place = self._stream.isatty()
        self._said, self._last, self._interval = None, None, None

    def write(self, frame, recognition):
        """Show caption, best class, frames per second and milliseconds a frame."""
        now = time.monotonic()
        if self._last is not None:
            interval = now - self._last
            self._interval = interval if self._interval is None else 0.9 * self._interval + 0.1 * interval
        self._last = now
        said = (recognition.caption and recognition.caption.text, recognition.classes and recognition.classes[0].name)
        if self._in_place:
            line = summary_line(recognition, self._interval, shutil.get_terminal_size().columns - 1)
            print(f"\r{line}\x1b[K", end="", file=self._stream, flush=True)
        elif said != self._said:
            print(summary_line(recognition, self._interval), file=self._stream, flush=True)
        self._said = said

    def close(self):
        """Leave the line standing."""
        if self._in_place and self._said is not None:
            print(file=self._stream, flush=True)


def summary_line(recognition, interval=None, width=None):
    """Return one line of at most `width` characters: caption, best class and figures; the caption gives way first."""
    parts = []
    if recognition.classes:
        best = recognition.classes[0]
        parts.append(f"{best.name}{'?' * recognition.unsure} {best.score:.2f}")
    if interval:
        parts.append(f"{1 / interval:.1f} fps")
    parts.append(f"{recognition.timings['total']:.0f} ms")
    figures = " | ".join(parts)
    if not recognition.caption:
        return figures[:width]
    caption, room = recognition.caption.text, None if width is None else max(0, width - len(figures) - 3)
    if room is not None and len(caption) > room:
        caption = caption[:max(0, room - 3)] + "..."
    return f"{caption} | {figures}"[:width]


class JsonLines:
    """One JSON object a line (Recognition.to_json), each line flushed, to a file that is begun anew or to "-"."""

    def __init__(self, path):
        try:
            self._file = sys.stdout if str(path) == "-" else open(path, "w", encoding="utf-8")
        except OSError as error:
            raise PicaptionError(f"{path} cannot be written ({error.strerror}); check the folder") from None

    def write(self, frame, recognition):
        """Write one line."""
        self._file.write(json.dumps(recognition.to_json()) + "\n")
        self._file.flush()

    def close(self):
        """Close the file; standard output stays open."""
        if self._file is not sys.stdout:
            self._file.close()


class Video:
    """The annotated frames as a video file, which appears under its name only when it is whole.

    `rate` is the source's frames per second, each frame being written once; None writes LIVE_RATE frames a
    second by the clock, so that the video lasts as long as what it shows. The first frame sets the size.
    """

    def __init__(self, path, rate=None):
        self._path = Path(path)
        self._suffix = self._path.suffix.lower()
        if self._suffix not in CODECS:
            raise PicaptionError(f"{path} has no ending of a video that can be written; use {', '.join(CODECS)}")
        if not self._path.parent.is_dir() or not os.access(self._path.parent, os.W_OK) or self._path.is_dir():
            raise PicaptionError(f"{path} cannot be written; check the folder")
        self._partial = self._path.with_name(f".{self._path.stem}.part{self._suffix}")
        self._rate = rate
        self._writer = self._size = self._start = None
        self._written = 0

    def write(self, frame, recognition):
        """Add the annotated frame."""
        repeats = 1
        if self._rate is None:
            now = time.monotonic()
            self._start = now if self._start is None else self._start
            repeats = int((now - self._start) * LIVE_RATE) + 1 - self._written
            if repeats < 1:
                return
        picture = annotate(frame, recognition)
        if self._writer is None:
            self._open(picture)
        picture = cv2.cvtColor(fit(picture, *self._size), cv2.COLOR_RGB2BGR)
        for _ in range(repeats):
            self._writer.write(picture)
        self._written += repeats

    def _open(self, picture):
        # Codecs take even sizes only.
        self._size = tuple(max(16, side // 2 * 2) for side in picture.shape[1::-1])
        codec = cv2.VideoWriter_fourcc(*CODECS[self._suffix])
        with quiet_stderr():
            self._writer = cv2.VideoWriter(str(self._partial), cv2.CAP_FFMPEG, codec, self._rate or LIVE_RATE,
                                           self._size)
        if not self._writer.isOpened():
            raise PicaptionError(f"{self._path} cannot be written as {self._size[0]}x{self._size[1]} video; "
                                 "try another ending or size")

    def close(self):
        """Finish the file and give it its name; without a frame there is none."""
        if self._writer is None:
            return
        self._writer.release()
        # The writer does not tell of a full disk: only a video that can be read again is taken for whole.
        if not cv2.VideoCapture(str(self._partial), cv2.CAP_FFMPEG).grab():
            self._partial.unlink(missing_ok=True)
            raise PicaptionError(f"{self._path} could not be finished; is the disk full?")
        os.replace(self._partial, self._path)


def fit(picture, width, height):
    """Return uint8 RGB [height, width, 3]: `picture` scaled to fit in the middle of black; itself where it fits."""
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return picture
    scale = min(width / columns, height / rows)
    inner = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[top:top + inner[1], left:left + inner[0]] = cv2.resize(picture, inner, interpolation=cv2.INTER_AREA)
    return canvas
