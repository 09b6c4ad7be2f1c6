"""What a bundle makes of pictures of nothing in particular: what a class is told apart from.

The file beside this module holds statistics of 1,500 photographs of streets, rooms, people and
things, as the shipped bundle sees them: their features on the axes on which photographs differ
most, and the square roots of its names' probabilities. They belong to the weights of its encoder
and of its names, and to no others. `python -m tools.make_background` makes the file.
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
SIGNATURES = ("encode", "name")
#: The square root of a probability of 1, as the file has it.
ROOT_UNIT = 63


@dataclass(frozen=True)
class Background:
    """What a bundle makes of N pictures of nothing in particular.

    Attributes:
        weights: the hash of the bundle's weights (picaption.device.teaching.weights_hash).
        mean: of the features at unit length, float32 [F].
        axes: on which features differ most, float32 [F, A].
        features: on these axes, less their mean, float32 [N, A].
        name_roots: square roots of the names' probabilities, float32 [N, names].
        held_out: how many of the pictures, the last ones, are for the threshold alone.
    """

    weights: str
    mean: np.ndarray
    axes: np.ndarray
    features: np.ndarray
    name_roots: np.ndarray
    held_out: int

    def project(self, features: np.ndarray) -> np.ndarray:
        """Return features, [N, F], on the axes, [N, A]."""
        projected: np.ndarray = (l2_normalize(features) - self.mean) @ self.axes
        return projected


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
            name_roots=arrays["name_roots"].astype(np.float32) / ROOT_UNIT,
            held_out=int(arrays["held_out"]),
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
        name_roots=np.round(background.name_roots * ROOT_UNIT).astype(np.uint8),
        held_out=np.array(background.held_out),
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
