"""The newest frame, for who asks for a single one: its recognition, and its image as a JPEG.

The live loop overwrites an image's memory, so one has to be copied to be asked for later: once a
second, and while somebody asks, as often as images are streamed. A JPEG is made when it is asked
for, once for all who ask for the same.
"""

import time
from typing import Any

import cv2
import numpy as np

from ....images import encode_image
from ...sink import RecognizedFrame

#: Seconds between two images that are copied: while nobody asks, and while somebody does.
IDLE_SECONDS = 1.0
ASKED_SECONDS = 1 / 15
#: For so long after the last one has asked.
INTEREST_SECONDS = 10.0
#: A frame is old after so many seconds, or after so many times the time between two of them.
OLD_SECONDS = 10.0
OLD_FRAMES = 3
#: Pixels of a snapshot's side.
MIN_SIDE = 16
MAX_SIDE = 4096
#: The quality of its JPEG.
JPEG_QUALITY = 85


class NewestFrame:
    """Keeps the newest frame. The live loop writes to it; the server's thread reads.

    Attributes:
        recognized: The newest frame; its image is valid only if it was retained.
    """

    def __init__(self) -> None:
        self.recognized: RecognizedFrame | None = None
        self._retained: RecognizedFrame | None = None
        self._retained_at = -IDLE_SECONDS
        self._written_at: float | None = None
        self._interval = 0.0
        self._asked_until = 0.0
        self._jpegs: dict[tuple[bool, int], bytes] = {}
        self._jpegs_of: RecognizedFrame | None = None

    def write(self, recognized: RecognizedFrame) -> None:
        """Take the next frame; its image is copied if one is due."""
        now = time.monotonic()
        if self._written_at is not None:
            self._interval = now - self._written_at
        self._written_at = now
        self.recognized = recognized
        pause = ASKED_SECONDS if now < self._asked_until else IDLE_SECONDS
        if now - self._retained_at >= pause:
            self.retain(recognized, now)

    def retain(self, recognized: RecognizedFrame, now: float) -> None:
        """Copy a frame's image, which is then the one that is asked for."""
        recognized.retain_image()
        self._retained = recognized
        self._retained_at = now

    def age(self) -> float | None:
        """Return how many seconds ago the newest frame came; None: there is none."""
        return None if self._written_at is None else time.monotonic() - self._written_at

    def problem(self) -> str | None:
        """Return why there is no frame to show; None: there is one."""
        age = self.age()
        if age is None:
            return "there is no frame yet"
        if age > max(OLD_SECONDS, OLD_FRAMES * self._interval):
            return f"the last frame came {age:.0f} s ago"
        return None

    def state(self) -> dict[str, Any] | None:
        """Return the newest recognition's JSON form; None: there is none."""
        return self.recognized.json() if self.recognized else None

    def snapshot(self, has_overlay: bool = False, width: int = 0) -> bytes | None:
        """Return the newest image as a JPEG; None: there is none.

        Args:
            has_overlay: Whether caption, classes and tags are drawn into it.
            width: Its pixels across; 0, or more than it has: as many as it has.
        """
        self._asked_until = time.monotonic() + INTEREST_SECONDS
        recognized = self._retained
        if recognized is None:
            return None
        if recognized is not self._jpegs_of:
            self._jpegs = {}
            self._jpegs_of = recognized
        key = (has_overlay, width)
        if key not in self._jpegs:
            image = recognized.annotated() if has_overlay else recognized.image
            self._jpegs[key] = encode_image(shrink_to_width(image, width), ".jpg", JPEG_QUALITY)
        return self._jpegs[key]


def shrink_to_width(image: np.ndarray, width: int) -> np.ndarray:
    """Return an image with so many pixels across; the very image for 0, or if it has no more.

    Args:
        image: uint8 RGB [height, width, 3].
        width: The pixels.
    """
    rows, columns = image.shape[:2]
    if not width or width >= columns:
        return image
    height = max(1, round(rows * width / columns))
    return cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
