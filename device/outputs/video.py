"""An annotated video file."""

import logging
import os
import shutil
import time
from pathlib import Path

import cv2
import numpy as np

from ..errors import PicaptionError
from ..images import quiet_stderr

log = logging.getLogger("picaption")

#: Codec for each ending; OpenCV's own build has no H.264 encoder.
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}

#: Frames per second of the video of a live source, which itself has no even rate.
LIVE_RATE = 10

#: A video ends before the disk has less room than these bytes.
ROOM = 32_000_000


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
            raise PicaptionError(
                f"{path} has no ending of a video that can be written; use {', '.join(CODECS)}"
            )
        if (
            not self._path.parent.is_dir()
            or not os.access(self._path.parent, os.W_OK)
            or self._path.is_dir()
        ):
            raise PicaptionError(f"{path} cannot be written; check the folder")
        self._partial = self._path.with_name(f".{self._path.stem}.part{self._suffix}")
        self._rate = rate
        self._writer = self._size = self._start = None
        self._written = 0

    def write(self, recognized):
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
        picture = recognized.annotated()
        if self._writer is None:
            self._open(picture)
        picture = cv2.cvtColor(fit(picture, *self._size), cv2.COLOR_RGB2BGR)
        for _ in range(repeats):
            self._writer.write(picture)
        self._written += repeats
        full = shutil.disk_usage(self._path.parent).free < ROOM
        if full or self._most and os.path.getsize(self._partial) >= self._most:
            log.warning(
                "%s ends here: %s",
                self._path,
                "the disk is nearly full" if full else "it is as large as it may be",
            )
            self.close()

    def _open(self, picture):
        # Codecs take even sizes only.
        self._size = tuple(max(16, side // 2 * 2) for side in picture.shape[1::-1])
        codec = cv2.VideoWriter_fourcc(*CODECS[self._suffix])
        with quiet_stderr():
            self._writer = cv2.VideoWriter(
                str(self._partial), cv2.CAP_FFMPEG, codec, self._rate or LIVE_RATE, self._size
            )
        if not self._writer.isOpened():
            raise PicaptionError(
                f"{self._path} cannot be written as {self._size[0]}x{self._size[1]} video; "
                "try another ending or size"
            )

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


def fit(picture, width, height):
    """Return uint8 RGB [height, width, 3]: `picture` scaled to fit in the middle of black; itself where it fits."""
    rows, columns = picture.shape[:2]
    if (columns, rows) == (width, height):
        return picture
    scale = min(width / columns, height / rows)
    inner = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    canvas = np.zeros((height, width, 3), np.uint8)
    left, top = (width - inner[0]) // 2, (height - inner[1]) // 2
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        picture, inner, interpolation=cv2.INTER_AREA
    )
    return canvas
