"""An annotated video file."""

import logging
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..atomic import partial_path, require_no_device
from ..config.camera import slug
from ..config.settings import CameraConfig, Config
from ..errors import PicaptionError
from ..images import quiet_stderr
from ..opencv_path import opencv_path
from .sink import OutputContext, RecognizedFrame, Sink, open_by_camera

logger = logging.getLogger(__name__)

SETTINGS = ("video", "video_megabytes", "camera")

#: The codec for each ending; OpenCV's own build has no H.264 encoder.
CODECS = {".mp4": "mp4v", ".avi": "MJPG", ".webm": "VP80"}

#: Frames per second of the video of a live source, which itself has no even rate.
LIVE_RATE = 10

#: A video ends before the disk has less room than this.
MIN_FREE_BYTES = 32_000_000

#: The smallest side that all codecs take.
MIN_SIDE = 16


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return a Video if a file is set; of several cameras one each, which has its name.

    The cameras' videos share the megabytes.
    """
    if not config.video:
        return None
    if not config.camera:
        return _open_video(config, context)
    share = config.video_megabytes / len(config.camera)
    return open_by_camera(replace(config, video_megabytes=share), context, _open_camera_video)


def _open_camera_video(config: CameraConfig, context: OutputContext) -> Sink:
    path = Path(config.video)
    name = f"{path.stem}.{slug(config.camera_name)}{path.suffix}"
    return _open_video(replace(config, video=str(path.with_name(name))), context)


def _open_video(config: Config, context: OutputContext) -> Sink:
    return Video(config.video, context.rate, config.video_megabytes * 1e6 or None)


class Video:
    """The annotated frames as a video file, which gets its name only when it is complete.

    The first frame sets the size. The video ends once it is as large as it may be, or the disk is
    nearly full; the rest of the run is not in it.

    Args:
        path: The file; its ending chooses the codec.
        rate: The source's frames per second: every frame is written once. None: LIVE_RATE frames
            a second are written by the clock, so that the video lasts as long as what it shows.
        max_bytes: How large the video may be; None: any size.
        min_free_bytes: How much room it leaves on the disk.
        clock: Returns seconds that never go back.

    Raises:
        PicaptionError: The file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        rate: float | None = None,
        max_bytes: float | None = None,
        *,
        min_free_bytes: int = MIN_FREE_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = Path(path)
        self._rate = rate
        self._max_bytes = max_bytes
        self._min_free_bytes = min_free_bytes
        self._clock = clock
        self._suffix = self._path.suffix.lower()
        if self._suffix not in CODECS:
            raise PicaptionError(
                f"{path} has no ending of a video that can be written; use {', '.join(CODECS)}"
            )
        folder = self._path.parent
        if not folder.is_dir() or not os.access(folder, os.W_OK) or self._path.is_dir():
            raise PicaptionError(f"{path} cannot be written; check the folder")
        require_no_device(self._path)
        self._partial = partial_path(self._path)
        self._writer: Any = None
        self._size = (0, 0)
        self._start: float | None = None
        self._written = 0
        self._ended = False

    def write(self, recognized: RecognizedFrame) -> None:
        """Add the annotated frame."""
        if self._ended:
            return
        repeats = self._repeats()
        if repeats < 1:
            return
        image = recognized.annotated()
        if self._writer is None:
            self._open(image)
        bgr = cv2.cvtColor(fit(image, *self._size), cv2.COLOR_RGB2BGR)
        for _ in range(repeats):
            self._writer.write(bgr)
        self._written += repeats
        self._end_if_full()

    def _repeats(self) -> int:
        """Return how often the frame goes into the video."""
        if self._rate is not None:
            return 1
        now = self._clock()
        if self._start is None:
            self._start = now
        return int((now - self._start) * LIVE_RATE) + 1 - self._written

    def _open(self, image: np.ndarray) -> None:
        height, width = image.shape[:2]
        # Codecs take even sizes only.
        self._size = (max(MIN_SIDE, width // 2 * 2), max(MIN_SIDE, height // 2 * 2))
        codec = cv2.VideoWriter.fourcc(*CODECS[self._suffix])
        with quiet_stderr(), opencv_path(self._partial) as name:
            self._writer = cv2.VideoWriter(
                name, cv2.CAP_FFMPEG, codec, self._rate or LIVE_RATE, self._size
            )
        # FFmpeg may write elsewhere than asked: better seen now than after hours of recording.
        if not self._writer.isOpened() or not self._partial.exists():
            raise PicaptionError(
                f"{self._path} cannot be written as {self._size[0]}x{self._size[1]} video; "
                "try another ending or size"
            )

    def _end_if_full(self) -> None:
        if shutil.disk_usage(self._path.parent).free < self._min_free_bytes:
            reason = "the disk is nearly full"
        elif self._max_bytes and os.path.getsize(self._partial) >= self._max_bytes:
            reason = "it is as large as it may be"
        else:
            return
        logger.warning("%s ends here: %s", self._path, reason)
        self.close()

    def close(self) -> None:
        """Finish the file and give it its name; without a frame there is no file.

        Raises:
            PicaptionError: The video is not complete.
        """
        if self._writer is None or self._ended:
            return
        self._ended = True
        self._writer.release()
        # The writer does not report a full disk; a video that can be read again is complete.
        with opencv_path(self._partial) as name:
            complete = cv2.VideoCapture(name, cv2.CAP_FFMPEG).grab()
        if not complete:
            self._partial.unlink(missing_ok=True)
            raise PicaptionError(f"{self._path} could not be finished; is the disk full?")
        os.replace(self._partial, self._path)


def fit(image: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return an image scaled to fit in the middle of black; the image itself if it has that size.

    Args:
        image: uint8 RGB [any height, any width, 3].
        width: Of the result.
        height: Of the result.

    Returns:
        uint8 RGB [height, width, 3].
    """
    rows, columns = image.shape[:2]
    if (columns, rows) == (width, height):
        return image
    scale = min(width / columns, height / rows)
    inner = (max(1, round(columns * scale)), max(1, round(rows * scale)))
    left = (width - inner[0]) // 2
    top = (height - inner[1]) // 2
    canvas = np.zeros((height, width, 3), np.uint8)
    canvas[top : top + inner[1], left : left + inner[0]] = cv2.resize(
        image, inner, interpolation=cv2.INTER_AREA
    )
    return canvas
