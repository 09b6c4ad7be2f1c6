"""What a bundle makes of pictures of nothing in particular: what a class is told apart from.

The file beside this module holds statistics of 1,500 photographs of streets, rooms, people and
things, as the shipped bundle sees them: their features on the axes on which photographs differ
most, their word evidence, and the square roots of its names' probabilities. They belong to the
weights of its encoder, captioner and names, and to no others. `python -m tools.make_background`
makes the file.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..bundle.archive import Contents
from ..recognition.classifier import l2_normalize, probabilities
from .graph import classifier_graph

#: The statistics of the shipped bundle.
STATISTICS = Path(__file__).with_name("background.npz")
#: The signatures whose weights they belong to.
SIGNATURES = ("encode", "next_word", "name")
#: The square root of a probability of 1, as the file has it.
ROOT_UNIT = 63
#: Word evidence of 1, as the file has it.
EVIDENCE_UNIT = 10


@dataclass(frozen=True)
class Background:
    """What a bundle makes of N pictures of nothing in particular.

    Attributes:
        weights: the hash of the bundle's weights (picaption.device.teaching.weights_hash).
        mean: of the features at unit length, float32 [F].
        axes: on which features differ most, float32 [F, A].
        features: on these axes, less their mean, float32 [N, A].
        word_evidence: float32 [N, V].
        name_roots: square roots of the names' probabilities, float32 [N, names].
        name_mean: mean of the names' probabilities, float32 [names].
        fitted_count: how many of the pictures, the first ones, classes are fitted against; the
            others are for the threshold alone.
    """

    weights: str
    mean: np.ndarray
    axes: np.ndarray
    features: np.ndarray
    word_evidence: np.ndarray
    name_roots: np.ndarray
    name_mean: np.ndarray
    fitted_count: int

    def unit_features(self, rows: slice) -> np.ndarray:
        """Return features of some of the pictures as far as the axes tell, float32 [N, F]."""
        nearest: np.ndarray = self.features[rows] @ self.axes.T + self.mean
        return nearest

    def nearest(self, features: np.ndarray) -> np.ndarray:
        """Return what the axes tell of features, at unit length, both float32 [N, F]."""
        projected = (l2_normalize(features) - self.mean) @ self.axes
        nearest: np.ndarray = projected @ self.axes.T + self.mean
        return nearest


def bundle_background(contents: Contents, path: Path = STATISTICS) -> Background | None:
    """Return the Background of a bundle; None if there are no statistics of it."""
    if not contents.names:
        return None
    from .weights_hash import weights_hash

    background = read_background(path)
    if weights_hash(contents.graph, SIGNATURES) != background.weights:
        return None
    return background


@lru_cache(maxsize=1)
def read_background(path: Path) -> Background:
    """Return the Background in a file that `write_background` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        return Background(
            weights=str(arrays["weights"]),
            mean=arrays["mean"],
            axes=arrays["axes"] * arrays["axis_scales"],
            features=arrays["features"] * arrays["feature_scales"],
            word_evidence=arrays["word_evidence"].astype(np.float32) / EVIDENCE_UNIT,
            name_roots=arrays["name_roots"].astype(np.float32) / ROOT_UNIT,
            name_mean=arrays["name_mean"],
            fitted_count=int(arrays["fitted_count"]),
        )


def write_background(path: Path, background: Background) -> None:
    """Write a Background with 8 bits a number, compressed."""
    axes, axis_scales = _eight_bits(background.axes)
    features, feature_scales = _eight_bits(background.features)
    np.savez_compressed(
        path,
        weights=np.array(background.weights),
        mean=background.mean,
        axes=axes,
        axis_scales=axis_scales,
        features=features,
        feature_scales=feature_scales,
        word_evidence=np.round(background.word_evidence * EVIDENCE_UNIT).astype(np.uint8),
        name_roots=np.round(background.name_roots * ROOT_UNIT).astype(np.uint8),
        name_mean=background.name_mean,
        fitted_count=np.array(background.fitted_count),
    )


def _eight_bits(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return `rows` as int8, and the scale of each column, float32."""
    scales = np.maximum(np.abs(rows).max(0) / 127, 1e-12).astype(np.float32)
    return np.round(rows / scales).astype(np.int8), scales


def name_probabilities(graph: bytes, features: np.ndarray) -> np.ndarray | None:
    """Return the probabilities of a bundle's names, float32 [N, names].

    Args:
        graph: of the bundle.
        features: what it makes of images, float32 [N, F].

    Returns:
        None where the graph has no names that `with_names` wrote.
    """
    weights_and_bias = classifier_graph().read_names(graph)
    if weights_and_bias is None:
        return None
    weights, bias = weights_and_bias
    return probabilities(features @ weights + bias, multi_label=False)
