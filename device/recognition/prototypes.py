"""Classes that start from names: what a bundle knows of a name, a class called by it knows too.

The names' logits are t = u . w_n + b_n for features u. A class that is called by names S, whose
features at unit length are f, begins with the weights

    W0 = |u| (mean of w_n over S - mean of w_n over all names)

with |u| the mean length of the features of its images: it is there where the names' classifier is
surer of them than of a name on average. They are the mean of the prior of its weights
(picaption.device.recognition.classifier).
"""

from collections.abc import Sequence

import numpy as np

from ..bundle.names import NamedClass


def name_prototypes(
    labels: Sequence[str],
    names: Sequence[NamedClass],
    name_weights: np.ndarray,
    features: np.ndarray,
) -> np.ndarray | None:
    """Return the weights that classes begin with, float32 [F, C]; None if no name is theirs.

    A class without a name begins with zeros. All is weighted by the share of classes that have one,
    as in `name_prior`: the others could only lose by it.

    Args:
        labels: the class names.
        names: the bundle's.
        name_weights: of the features as they are, float32 [F, names].
        features: of images of the classes, float32 [N, F].
    """
    matches = [matching_names(label, names) for label in labels]
    share = np.float32(np.mean([bool(indices) for indices in matches]))
    if not share:
        return None
    length = np.linalg.norm(features, axis=1).mean()
    average = name_weights.mean(1)
    prototypes = np.zeros((len(name_weights), len(labels)), np.float32)
    for column, indices in enumerate(matches):
        if indices:
            prototypes[:, column] = length * (name_weights[:, indices].mean(1) - average)
    return prototypes * share


def matching_names(label: str, names: Sequence[NamedClass]) -> list[int]:
    """Return the indices of the names that a class is called by.

    These are the names that are its own; where there are none, those that a caption may use its
    name of; and where there are none either, those that it is a more general name of.
    """
    wanted = _plain(label)
    for candidates in (
        lambda item: (item.name,),
        lambda item: item.words,
        lambda item: item.hypernyms,
    ):
        indices = [
            index
            for index, item in enumerate(names)
            if any(wanted == _plain(text) for text in candidates(item))
        ]
        if indices:
            return indices
    return []


def _plain(text: str) -> str:
    """Return a name in small letters, with spaces for what folders have in their place."""
    return " ".join(text.lower().replace("_", " ").replace("-", " ").split())
