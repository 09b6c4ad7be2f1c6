"""The ranges of pixels that networks take: how 0..255 is brought there, a channel or all alike."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from picaption.device.errors import PicaptionError

#: The largest value of a pixel.
_LARGEST = 255.0
_CHANNELS = 3
#: What stands for a network that takes blue first.
_BLUE_FIRST = "bgr"


@dataclass(frozen=True)
class PixelScaling:
    """How pixels from 0 to 255 are brought to what a network takes: pixel * factor + offset.

    Attributes:
        factor: One number, or one a channel as the network takes them.
        offset: Likewise.
        is_bgr: Whether the network takes blue first, red last.
    """

    factor: tuple[float, ...]
    offset: tuple[float, ...]
    is_bgr: bool = False

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return pixels as the network takes them, float32.

        Args:
            image: RGB, 0 to 255, uint8 [..., 3].
        """
        if self.is_bgr:
            image = image[..., ::-1]
        factor = np.array(self.factor, np.float32)
        return image.astype(np.float32) * factor + np.array(self.offset, np.float32)


#: The ranges that have a name.
PIXELS = {
    "0..255": PixelScaling((1.0,), (0.0,)),
    "0..1": PixelScaling((1 / 255,), (0.0,)),
    "-1..1": PixelScaling((1 / 127.5,), (-1.0,)),
}
#: What a message lists.
PIXELS_HELP = f"{', '.join(PIXELS)}, or mean=R,G,B std=R,G,B"


def parse_pixels(text: str) -> PixelScaling:
    """Return the scaling that a text names: one of PIXELS, or a mean and a standard deviation.

    "mean=0.485,0.456,0.406 std=0.229,0.224,0.225" is of pixels from 0 to 1, as networks of PyTorch
    are trained; with a number above 1, "mean=123.7,116.8,103.9", it is of pixels from 0 to 255.
    "bgr" beside them says that the network takes blue first; the numbers then are in its order.

    Raises:
        PicaptionError: It is neither.
    """
    if text in PIXELS:
        return PIXELS[text]
    words = re.split(r"[\s;]+", text.strip())
    numbers: dict[str, tuple[float, ...]] = {}
    is_bgr = False
    for word in words:
        name, _, values = word.partition("=")
        if word.lower() == _BLUE_FIRST:
            is_bgr = True
        elif name in PIXELS and not values and "range" not in numbers:
            numbers["range"] = ()
            named = PIXELS[name]
        elif name in ("mean", "std") and name not in numbers:
            numbers[name] = _read_numbers(text, values)
            if name == "std" and min(numbers[name]) <= 0:
                raise _malformed(text, f"a standard deviation of {min(numbers[name]):g} is none")
        else:
            raise _malformed(text, f"{word!r} is none of these")
    if "range" in numbers:
        if len(numbers) > 1:
            raise _malformed(text, "a range and a mean are two")
        return PixelScaling(named.factor, named.offset, is_bgr)
    if not numbers:
        raise _malformed(text, "there is no range in it")
    return mean_and_std(numbers.get("mean", (0.0,)), numbers.get("std", (1.0,)), is_bgr=is_bgr)


def mean_and_std(
    mean: Sequence[float], std: Sequence[float], largest: float | None = None, is_bgr: bool = False
) -> PixelScaling:
    """Return the scaling (pixel / 255 * largest - mean) / std.

    Args:
        mean: One number, or one a channel.
        std: Likewise.
        largest: The largest pixel, 1 or 255, that the two are of; None: 255 where a number of them
            is above 1.
        is_bgr: As for PixelScaling.
    """
    if largest is None:
        largest = _LARGEST if max(*map(abs, mean), *std) > 1 else 1.0
    channels = max(len(mean), len(std))
    means = np.broadcast_to(np.array(mean, np.float64), (channels,))
    deviations = np.broadcast_to(np.array(std, np.float64), (channels,))
    factor = largest / _LARGEST / deviations
    return PixelScaling(tuple(factor.tolist()), tuple((-means / deviations).tolist()), is_bgr)


def _read_numbers(text: str, values: str) -> tuple[float, ...]:
    """Return one number or three."""
    try:
        numbers = tuple(float(value) for value in values.strip("[]()").split(","))
    except ValueError:
        raise _malformed(text, f"{values!r} are not numbers with commas between") from None
    if len(numbers) not in (1, _CHANNELS) or not np.all(np.isfinite(numbers)):
        raise _malformed(text, f"{values!r}: give one number, or one for each of three colours")
    return numbers


def _malformed(text: str, reason: str) -> PicaptionError:
    return PicaptionError(f"pixels {text!r}: {reason}; give one of {PIXELS_HELP}")
