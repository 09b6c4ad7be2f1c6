"""A source whose camera hangs upside down, on its side, or of whose picture a part counts."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from .source import Source

_ROTATIONS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
#: cv2.flip's codes, by (hflip, vflip).
_FLIPS = {(True, False): 1, (False, True): 0, (True, True): -1}


class _ChangedSource:
    """What a source whose frames are changed has of the source they come from."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        self.live = source.live
        self.stills = source.stills
        self.rate = source.rate
        self.model = getattr(source, "model", "")
        self._source = source

    @property
    def metadata(self) -> dict[str, Any] | None:
        """What the camera reports of the last frame."""
        return self._source.metadata

    @property
    def file(self) -> str | None:
        """The path of the file that the last frame is of; None: of none."""
        return getattr(self._source, "file", None)

    def close(self) -> None:
        """Close the source."""
        self._source.close()


class RotatedSource(_ChangedSource):
    """A source whose frames are mirrored, turned upside down, and then rotated.

    Args:
        source: The source; it is closed with this one.
        rotate: Degrees clockwise: 0, 90, 180 or 270.
        hflip: Whether to mirror left and right.
        vflip: Whether to turn upside down.
    """

    def __init__(
        self, source: Source, rotate: int = 0, hflip: bool = False, vflip: bool = False
    ) -> None:
        super().__init__(source)
        self._rotation = _ROTATIONS.get(rotate)
        self._flip = _FLIPS.get((hflip, vflip))
        self._raw: np.ndarray | None = None

    def read(self, into: np.ndarray | None = None) -> np.ndarray | None:
        """Return the next frame, rotated, or None at the end."""
        self._raw = frame = self._source.read(self._raw)
        if frame is None:
            return None
        if self._rotation is None:
            return frame if self._flip is None else cv2.flip(frame, self._flip, dst=into)
        if self._flip is not None:
            frame = cv2.flip(frame, self._flip)
        return cv2.rotate(frame, self._rotation, dst=into)


class CroppedSource(_ChangedSource):
    """A source whose frames are a part of another's: views into them, nothing is copied.

    Args:
        source: The source; it is closed with this one.
        crop: Left, top, right and bottom, as shares of the frame's sides.
    """

    def __init__(self, source: Source, crop: Sequence[float]) -> None:
        super().__init__(source)
        self._crop = tuple(crop)
        self._shape: tuple[int, ...] | None = None

    def read(self, into: np.ndarray | None = None) -> np.ndarray | None:
        """Return the part of the next frame, or None at the end."""
        frame = self._source.read(self._reusable(into))
        if frame is None:
            return None
        self._shape = frame.shape
        return crop_image(frame, self._crop)

    def _reusable(self, view: np.ndarray | None) -> np.ndarray | None:
        """Return the frame that a view is a part of, if it can be written over."""
        base = None if view is None else view.base
        if isinstance(base, np.ndarray) and base.shape == self._shape:
            return base
        return None


def crop_image(image: np.ndarray, crop: Sequence[float]) -> np.ndarray:
    """Return a part of an image, of a pixel at least: a view into it.

    Args:
        image: uint8 RGB [height, width, 3].
        crop: Left, top, right and bottom, as shares of the image's sides.
    """
    height, width = image.shape[:2]
    left, top, right, bottom = crop
    rows = _span(top, bottom, height)
    columns = _span(left, right, width)
    return image[rows, columns]


def _span(first: float, last: float, length: int) -> slice:
    """Return the pixels from one share of a side to another."""
    start = min(round(first * length), length - 1)
    return slice(start, max(start + 1, round(last * length)))
