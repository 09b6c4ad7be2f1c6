"""Decodes images no larger than the network needs them, where the format can.

A JPEG holds the frequencies of blocks of 8 x 8 pixels. With a half, a quarter or an eighth of them
a decoder makes an image of a half, a quarter or an eighth of the size, in a fraction of the time
(libjpeg's scale_denom; G. K. Wallace, 1991, "The JPEG still picture compression standard").
"""

import numpy as np

from ..errors import PicaptionError
from ..images import JPEG_START, MAX_PIXELS, decode_image

#: How a side of the reduced image compares with the network's: at half its size, one pixel of the
#: network's is still the average of four.
LEAST_FACTOR = 2
#: Marker segments that begin a frame, which say its size (ITU-T T.81, table B.1): all of 0xC0 to
#: 0xCF but tables of Huffman codes (C4), a reserved one (C8) and arithmetic conditioning (CC).
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
#: Markers without a length: fill bytes, restarts and the start.
_LONE_MARKERS = frozenset((0x01, *range(0xD0, 0xD9)))


def decode_for(data: bytes, label: str, height: int, width: int, is_scaled: bool) -> np.ndarray:
    """Return the image of a file's bytes, for a network that takes it in a size.

    Args:
        data: The bytes of the file.
        label: What errors call it.
        height: Of the network's image.
        width: Of the network's image.
        is_scaled: Whether a JPEG is decoded smaller, where it is large enough.

    Returns:
        uint8 RGB [rows, columns, 3].

    Raises:
        PicaptionError: It is damaged, too large, or no image.
    """
    reduction = 1
    if data.startswith(JPEG_START):
        size = jpeg_size(data)
        if size is not None:
            if size[0] * size[1] > MAX_PIXELS:
                raise PicaptionError(
                    f"{label} has more than {MAX_PIXELS // 10**6} million pixels; "
                    "scale it down first"
                )
            if is_scaled:
                reduction = choose_reduction(size, max(height, width))
    return decode_image(data, label, reduction)


def choose_reduction(size: tuple[int, int], side: int) -> int:
    """Return by how much an image is reduced while it is decoded: 1, 2, 4 or 8.

    Args:
        size: Its height and width, in any order.
        side: The longer side of the network's image.
    """
    for reduction in (8, 4, 2):
        if min(size) >= reduction * LEAST_FACTOR * side:
            return reduction
    return 1


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Return a JPEG's height and width as its header says; None if it does not.

    Args:
        data: The bytes of the file.
    """
    start = len(JPEG_START)
    while start + 9 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker == 0xFF:
            start += 1
            continue
        if marker in _LONE_MARKERS:
            start += 2
            continue
        if marker in _FRAME_MARKERS:
            height = int.from_bytes(data[start + 5 : start + 7], "big")
            width = int.from_bytes(data[start + 7 : start + 9], "big")
            return height, width
        start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    return None
