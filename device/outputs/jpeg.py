"""The picture that goes to other programs: never a large one."""

import numpy as np

from ..images import encode_image, shrink_to_fit

#: Pixels of its longer side at most.
MAX_SIDE = 1280
#: Bytes of the JPEG at most.
MAX_BYTES = 262_144
#: The qualities that are tried until it is small enough.
QUALITIES = (80, 60, 40)


def encode_jpeg(image: np.ndarray) -> bytes:
    """Return an image as a JPEG of at most MAX_BYTES.

    Args:
        image: uint8 RGB [height, width, 3].
    """
    side = MAX_SIDE
    while True:
        small = shrink_to_fit(image, side)
        for quality in QUALITIES:
            data = encode_image(small, ".jpg", quality)
            if len(data) <= MAX_BYTES:
                return data
        side //= 2
