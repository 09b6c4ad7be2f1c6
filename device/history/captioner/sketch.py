"""What the history keeps of an image for the search by meaning: a sketch of few bytes.

A sketch is what the captioner makes of the features before its context: 160 numbers in place of
1,280 with the shipped bundle. Beside it stands how likely sentences are in general of the image. It
differs between images, and an image of which everything is likely would be found by any query.
"""

import os
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...bundle.archive import Contents, parse_bundle, read_bytes
from ..encoder_hash import graph_encoder_hash
from ..scene import MAX_QUANTIZED
from .captioner import Captioner
from .weights import read_captioner

#: What people may ask for: their mean log-probability a word is an image's typicality. Words that
#: a captioner does not know are left out.
TYPICAL_SENTENCES = (
    "a dog runs across the grass",
    "a man in a red shirt is standing on the street",
    "two women are sitting at a table",
    "a child plays with a toy",
    "a cat is lying on a couch",
    "a group of people are walking through a city",
    "a white plate of food on a table",
    "a bathroom with a toilet and a sink",
    "a car is parked on the side of the road",
    "a bird is flying over the water",
    "a boy is playing soccer on a field",
    "a bedroom with a bed and a window",
    "a woman is riding a horse",
    "a computer on a desk",
    "snow covered mountains and trees",
    "a train on the tracks",
)
#: Bytes before the sketch in its binary form: the hash of the encoder, and scale and typicality,
#: float32.
HASH_BYTES = 8
HEAD_BYTES = HASH_BYTES + 8


class Sketches(NamedTuple):
    """Sketches of images.

    Attributes:
        values: int8 [images, S].
        scales: What each one's values are multiplied by, float32 [images].
        typicality: Mean log-probability of a word of any sentence, float32 [images].
    """

    values: np.ndarray
    scales: np.ndarray
    typicality: np.ndarray

    def floats(self, rows: np.ndarray | slice) -> np.ndarray:
        """Return some of the sketches, float32 [rows, S]."""
        return self.values[rows].astype(np.float32) * self.scales[rows][:, None]


class Sketcher:
    """Makes sketches with a bundle's captioner.

    Args:
        contents: The bundle.

    Attributes:
        encoder: The hash of the bundle's encoder.
        captioner: Its captioner; None without one whose layers are known: there are no sketches.
        tags: The words that the tagger scores.
    """

    def __init__(self, contents: Contents) -> None:
        self.encoder = graph_encoder_hash(contents.graph)
        self.tags = contents.metadata.tags
        self.captioner: Captioner | None = None
        weights = read_captioner(contents.graph) if contents.vocabulary else None
        if weights is not None and contents.vocabulary is not None:
            self.captioner = Captioner(weights, contents.vocabulary, contents.metadata.order)
            self._typical = [
                position
                for sentence in TYPICAL_SENTENCES
                for position in self.captioner.positions(sentence.split())
            ]

    def sketch(self, features: np.ndarray) -> bytes | None:
        """Return the sketch of an image in its binary form; None without a captioner.

        Args:
            features: float32 [F].
        """
        if self.captioner is None:
            return None
        sketch = self.captioner.sketch(features)
        scale = float(np.abs(sketch).max()) / MAX_QUANTIZED or 1.0
        values = np.rint(sketch / scale).astype(np.int8)
        typicality = self.captioner.log_probabilities(self._typical, sketch[None]).mean()
        numbers = np.array([scale, typicality], np.float32)
        return self.prefix + numbers.tobytes() + values.tobytes()

    @property
    def prefix(self) -> bytes:
        """What the binary form of its sketches begins with."""
        return bytes.fromhex(self.encoder)[:HASH_BYTES]


@lru_cache(maxsize=2)
def open_sketcher(path: str | os.PathLike[str]) -> Sketcher:
    """Return the Sketcher of a bundle that was opened before; two are remembered."""
    return Sketcher(parse_bundle(read_bytes(Path(path), "the bundle"), Path(path)))


def parse_sketches(blobs: list[bytes], size: int) -> Sketches:
    """Return sketches from their binary form, all of which have `size` dimensions."""
    data = np.frombuffer(b"".join(blobs), np.uint8).reshape(len(blobs), HEAD_BYTES + size)
    heads = data[:, HASH_BYTES:HEAD_BYTES].copy().view(np.float32)
    return Sketches(data[:, HEAD_BYTES:].view(np.int8), heads[:, 0], heads[:, 1])
