"""The demo: a moving view of a few photographs, for a board without a camera."""

import time
from pathlib import Path

import cv2
import numpy as np

from ..images import list_images, read_image
from .controls import DEFAULT_CONTROLS, Controls
from .source import Source

#: The folder of the demo's photographs.
DEMO_IMAGES = Path(__file__).parent / "demo"
#: A reader that was away gets at most this much of what it missed.
MAX_LAG_SECONDS = 1


def open_source(spec: str, controls: Controls) -> Source | None:
    """Open "demo"; return None for anything else."""
    if spec == "demo":
        return Demo(controls.size)
    return None


class Demo:
    """Pans and zooms over photographs, for ever; a frame depends on its index alone.

    Args:
        size: (width, height) of the frames.

    Attributes:
        count: How many photographs there are.
    """

    name = "demo"
    live = True
    stills = False
    rate = 25
    metadata = None

    #: How long each photograph is shown.
    SECONDS = 4
    #: How far the camera moves in.
    ZOOM = 1.25

    def __init__(self, size: tuple[int, int] = DEFAULT_CONTROLS.size) -> None:
        self._size = size
        self._images = [read_image(path) for path in list_images(DEMO_IMAGES)]
        self.count = len(self._images)
        self._next_index = 0
        self._due = time.monotonic()

    def read(self, into: np.ndarray | None = None) -> np.ndarray:
        """Return the next frame when it is due."""
        self._due = max(self._due + 1 / self.rate, time.monotonic() - MAX_LAG_SECONDS)
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._next_index += 1
        return self.frame(self._next_index - 1, into)

    def frame(self, index: int, into: np.ndarray | None = None) -> np.ndarray:
        """Return the frame of that index, at any time.

        Args:
            index: From 0.
            into: A frame of the same size to write over.

        Returns:
            uint8 RGB [height, width, 3].
        """
        length = self.SECONDS * self.rate
        shot, step = divmod(index, length)
        image = self._images[shot % self.count]
        progress = (1 - np.cos(np.pi * step / (length - 1))) / 2
        if shot % 2:
            progress = 1 - progress
        rows, columns = image.shape[:2]
        width, height = self._size
        scale = min(columns / width, rows / height) / (1 + (self.ZOOM - 1) * progress)
        # To the right and downwards in what the window leaves over; the foot rarely matters.
        left = (columns - scale * width) * (0.2 + 0.6 * progress)
        top = (rows - scale * height) * 0.4 * progress
        # A pixel's middle is at half: output x takes the image's (x + 0.5) * scale + left - 0.5.
        window = np.array([[scale, 0, left + scale / 2 - 0.5], [0, scale, top + scale / 2 - 0.5]])
        return cv2.warpAffine(
            image,
            window,
            self._size,
            dst=into,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def close(self) -> None:
        """Nothing to free."""
