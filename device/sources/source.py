"""What a source of frames is, and what a reader makes of one for the live loop."""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

#: A camera that delivers no frame for so long has failed.
FRAME_TIMEOUT_SECONDS = 5.0


class Source(Protocol):
    """Frames of a camera, a stream, a file or the demo.

    Errors are PicaptionError, those of cameras CameraError. A source of files may have an attribute
    `file`: the path of the file that the last frame is of. Those of cameras may have an attribute
    `model`: what the camera calls itself.
    """

    @property
    def name(self) -> str:
        """What to call the source in messages: no password is in it."""

    @property
    def live(self) -> bool:
        """Whether frames that nobody reads in time are lost."""

    @property
    def stills(self) -> bool:
        """Whether every frame is a scene of its own, as the images of a folder are."""

    @property
    def rate(self) -> float | None:
        """The source's frames per second; None: as they come."""

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the camera reports of the last frame; None: nothing."""

    def read(self, into: np.ndarray | None = None) -> np.ndarray | None:
        """Return the next frame, or None at the end.

        Args:
            into: A frame of this source that is no longer needed; the source may write over it.

        Returns:
            uint8 RGB [height, width, 3].
        """

    def close(self) -> None:
        """Free the device."""


@dataclass(frozen=True)
class Frame:
    """A frame as a reader returns it.

    Attributes:
        image: uint8 RGB [height, width, 3].
        number: How many frames of the source came before, skipped ones included.
        captured_at: When it was captured, in seconds since the epoch.
        clock: When it was captured, on the monotonic clock.
        camera: What the camera reports of it; None: nothing.
        prepared: The image as the model takes it; None: that is still to be made.
        file: The path of the file that it is of; None: of none.
        seconds: Its time in a source that has a rate of its own, from 0; None: it is live.
        is_still: Whether it is a scene of its own, as a picture of a folder is.
        camera_name: Which of several cameras it is of; None: there is one source.
    """

    image: np.ndarray
    number: int
    captured_at: float
    clock: float
    camera: dict[str, Any] | None = None
    prepared: np.ndarray | None = None
    file: str | None = None
    seconds: float | None = None
    is_still: bool = False
    camera_name: str | None = None


@dataclass(frozen=True)
class SourceStatus:
    """What is known of a source at a time, for people to read: without passwords, on one line.

    Attributes:
        name: What to call it.
        model: What the camera calls itself; empty where it does not say.
        problem: Why it gives no frames; None: nothing is known to be wrong.
        failures: How often it has failed so far, to be opened again.
        is_paused: Whether its frames are left alone, since somebody asked for that.
    """

    name: str
    model: str = ""
    problem: str | None = None
    failures: int = 0
    is_paused: bool = False


class NoFrameYet(Exception):
    """The source goes on, but has no new frame."""


class Reader(Protocol):
    """Reads a source for the live loop: every frame, or only the newest.

    Attributes:
        problem: Why the source gives no frames; None: nothing is known to be wrong.
        failures: How often the source has failed so far, to be opened again.
    """

    @property
    def problem(self) -> str | None: ...

    @property
    def failures(self) -> int: ...

    def next(self, timeout: float) -> Frame | None:
        """Return the next Frame, which is valid until the next call, or None at the end.

        Raises:
            NoFrameYet: None came for `timeout` seconds.
        """

    def close(self) -> None:
        """Close the source."""
