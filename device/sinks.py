"""Where recognitions go: the terminal, JSON lines, an annotated video file, a window.

A sink takes `write(frame, recognition)`, the frame being uint8 RGB [height, width, 3], and `close()`, which
finishes what it wrote. A frame is the sink's to read only until `write` returns.
"""

import errno
import json
import logging
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from .errors import PicaptionError
from .overlay import annotate
from .pictures import quiet_stderr

log = logging.getLogger("picaption")

#: Codec for each ending; OpenCV's own build has no H.264 encoder.
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}
#: Frames per second of the video of a live source, which itself has no even rate.
LIVE_RATE = 10
#: A video ends before the disk has less room than these bytes.
ROOM = 32_000_000


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


def _mend(path):
    """End the last line of the file at `path` where a power cut has left it without an end: zeros, room that the file had been
    given and that was not written to in time, are taken off."""
    if not os.path.isfile(path):
        return
    with open(path, "rb+") as file:
        size, rest = os.fstat(file.fileno()).st_size, b""
        while size and not rest:
            start = max(0, size - 65536)
            file.seek(start)
            rest = file.read(size - start).rstrip(b"\0")
            size = start + len(rest)
        file.truncate(size)
        if rest and not rest.endswith(b"\n"):
            file.seek(size)
            file.write(b"\n")


class JsonLines:
    """One JSON object a line (Recognition.to_json), added to the end of a file, or to standard output for "-".

    A file that would grow beyond `most` bytes (0: it may) becomes PATH.1, that one PATH.2, up to PATH.`kept`. Lines are written
    whole or not at all: those that the disk has no room for are left out, and that is logged.
    """

    def __init__(self, path, most=0, kept=3):
        self._path, self._most, self._kept = str(path), most, kept
        self._standard = self._path == "-"
        self._file = sys.stdout if self._standard else self._open()

    def _open(self):
        try:
            _mend(self._path)
            file = open(self._path, "ab", buffering=0)
        except OSError as error:
            raise PicaptionError(f"{self._path} cannot be written ({error.strerror}); check the folder") from None
        self._size = os.fstat(file.fileno()).st_size
        return file

    def write(self, frame, recognition):
        """Write one line."""
        line = json.dumps(recognition.to_json()) + "\n"
        if self._standard:
            self._file.write(line)
            self._file.flush()
            return
        try:
            data = line.encode()
            if self._most and self._size and self._size + len(data) > self._most:
                self._rotate()
            written = self._file.write(data)
            if written < len(data):
                os.ftruncate(self._file.fileno(), self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += written
        except OSError as error:
            log.error("%s: %s; lines are left out until it can be written", self._path, error.strerror)

    def _rotate(self):
        for number in range(self._kept - 1, 0, -1):
            if os.path.exists(f"{self._path}.{number}"):
                os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
        os.replace(self._path, f"{self._path}.1")
        self._file.close()
        self._file = self._open()

    def close(self):
        """Close the file; standard output stays open."""
        if not self._standard:
            self._file.close()


class Video:
    """The annotated frames as a video file, which appears under its name only when it is whole.

    `rate` is the source's frames per second, each frame being written once; None writes LIVE_RATE frames a
    second by the clock, so that the video lasts as long as what it shows. The first frame sets the size. The video ends once it
    has `most` bytes (0: no limit), or the disk is nearly full; the rest of the run is not in it.
    """

    def __init__(self, path, rate=None, most=0):
        self._path, self._most, self._ended = Path(path), most, False
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
        if self._ended:
            return
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
        full = shutil.disk_usage(self._path.parent).free < ROOM
        if full or self._most and os.path.getsize(self._partial) >= self._most:
            log.warning("%s ends here: %s", self._path, "the disk is nearly full" if full else "it is as large as it may be")
            self.close()

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
        if self._writer is None or self._ended:
            return
        self._ended = True
        self._writer.release()
        # The writer does not tell of a full disk: only a video that can be read again is taken for whole.
        if not cv2.VideoCapture(str(self._partial), cv2.CAP_FFMPEG).grab():
            self._partial.unlink(missing_ok=True)
            raise PicaptionError(f"{self._path} could not be finished; is the disk full?")
        os.replace(self._partial, self._path)


class Window:
    """The annotated picture on the screen; Escape, q, or closing the window ends the run."""

    NAME = "picaption"

    def __init__(self):
        if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
            raise PicaptionError("there is no screen for a window; leave --window out, or use --web")
        try:
            cv2.namedWindow(self.NAME, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        except cv2.error:
            raise PicaptionError("this OpenCV has no windows: pip uninstall opencv-python-headless, then pip install "
                                 "opencv-python") from None
        self._shown = False

    def write(self, frame, recognition):
        """Show the annotated frame."""
        picture = annotate(frame, recognition)
        if not self._shown:
            cv2.resizeWindow(self.NAME, picture.shape[1], picture.shape[0])
        cv2.imshow(self.NAME, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        closed = self._shown and cv2.getWindowProperty(self.NAME, cv2.WND_PROP_VISIBLE) < 1
        if key in (27, ord("q")) or closed:
            signal.raise_signal(signal.SIGINT)
        self._shown = True

    def close(self):
        """Take the window away."""
        cv2.destroyWindow(self.NAME)


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
