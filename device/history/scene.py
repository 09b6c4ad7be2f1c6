"""One row of the history: a scene, and what is remembered of its image."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..recognition.result import Score

#: The largest value of a stored feature.
MAX_QUANTIZED = 127


@dataclass(frozen=True)
class Scene:
    """What a camera saw from `begin` to `end`.

    Attributes:
        id: When it began, in milliseconds since the epoch; later where that was taken.
        end: When it was seen last, in milliseconds since the epoch.
        camera: What the camera is called.
        caption: The sentence; None without a captioner, or where there was nothing to see.
        confidence: Of the caption, 0 to 1; None where the bundle does not tell.
        unsure: Whether that is below the bundle's threshold.
        alternatives: Other captions that were likely.
        tags: Words for what the image shows, with their scores.
        classes: The classes that were certain at any time, with their highest scores.
        silence: Why nothing is said, such as "too dark to tell".
        encoder: The hash of the encoder that made the features
            (picaption.device.history.encoder_hash); empty where it is not known.
    """

    id: int
    end: int
    camera: str = ""
    caption: str | None = None
    confidence: float | None = None
    unsure: bool = False
    alternatives: tuple[str, ...] = ()
    tags: tuple[Score, ...] = ()
    classes: tuple[Score, ...] = ()
    silence: str | None = None
    encoder: str = ""

    @property
    def begin_seconds(self) -> float:
        """When it began, in seconds since the epoch."""
        return self.id / 1000

    @property
    def end_seconds(self) -> float:
        """When it was seen last, in seconds since the epoch."""
        return self.end / 1000

    @property
    def text(self) -> str | None:
        """The caption, or why there is none."""
        return self.caption or self.silence


class QuantizedFeatures(NamedTuple):
    """Features of 8 bits.

    Attributes:
        values: int8 [F].
        scale: What they are multiplied by.
    """

    values: np.ndarray
    scale: float


@dataclass(frozen=True)
class SceneImage:
    """What is remembered of a scene's image.

    Attributes:
        features: None without any.
        thumbnail: The bytes of a small JPEG; None where images are not remembered.
        sketch: The features for the search by meaning
            (picaption.device.history.captioner.sketch); None without a captioner.
    """

    features: QuantizedFeatures | None = None
    thumbnail: bytes | None = None
    sketch: bytes | None = None


def quantize(features: np.ndarray) -> QuantizedFeatures:
    """Return features, float32 [F], as 8 bits; the greatest is exact to a 254th of itself."""
    scale = float(np.abs(features).max()) / MAX_QUANTIZED or 1.0
    return QuantizedFeatures(np.rint(features / scale).astype(np.int8), scale)


def dequantize(features: QuantizedFeatures) -> np.ndarray:
    """Return the features, float32 [F]."""
    return features.values.astype(np.float32) * np.float32(features.scale)
