"""A video file, and one that plays as if it were a camera."""

import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import PicaptionError
from ..opencv_path import opencv_path
from .controls import Controls
from .source import Source

#: A file that claims more frames per second than this has no rate; it gets the default.
MAX_RATE = 240
DEFAULT_RATE = 25


def open_source(spec: str, controls: Controls) -> Source | None:
    """Open the video file at the path `spec`; return None if there is no file."""
    if Path(spec).is_file():
        return VideoFile(spec)
    return None


class VideoFile:
    """Every frame of a video file, once.

    Raises:
        PicaptionError: The file is no video.
    """

    live = False
    stills = False
    metadata = None

    def __init__(self, path: str | Path) -> None:
        self.name = str(path)
        self.file = self.name
        with opencv_path(path) as name:
            self._capture = cv2.VideoCapture(name, cv2.CAP_FFMPEG)
            # A file may open as a video and yet hold no frame: only reading one shows that.
            if not self._capture.grab():
                raise PicaptionError(
                    f"{path} is not a video, or it is cut short; give a whole mp4, avi or webm file"
                )
            self._capture.open(name, cv2.CAP_FFMPEG)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate: float = rate if 0 < rate <= MAX_RATE else DEFAULT_RATE

    def read(self, into: np.ndarray | None = None) -> np.ndarray | None:
        """Return the next frame, or None at the end."""
        arrived, frame = self._capture.read(into)
        if not arrived:
            return None
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)

    def close(self) -> None:
        """Close the file."""
        self._capture.release()


class PlayedSource:
    """A source with a rate of its own, played at that rate, until it ends.

    A reader that is late loses frames, as with a camera.

    Args:
        source: The source; it is closed with this one.
    """

    live = True
    stills = False

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.rate = source.rate
        self._source = source
        self._interval = 1 / source.rate if source.rate else 0.0
        self._due: float | None = None

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Nothing is reported of a file's frames."""
        return self._source.metadata

    def read(self, into: np.ndarray | None = None) -> np.ndarray | None:
        """Return the next frame when it is due, or None at the end."""
        now = time.monotonic()
        due = now if self._due is None else self._due + self._interval
        # What took too long is not made up for: the file would be played faster.
        self._due = max(due, now - self._interval)
        frame = self._source.read(into)
        time.sleep(max(0.0, self._due - time.monotonic()))
        return frame

    def close(self) -> None:
        """Close the source."""
        self._source.close()
