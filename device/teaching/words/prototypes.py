"""Classes that start from names: what a bundle knows of a name, a class called by it knows too.

The names' logits are t = u . w_n + b_n for features u. A class that is called by names S, whose
features at unit length are f, begins with the weights

    W0 = |u| (mean of w_n over S - mean of w_n over all names)

with |u| the mean length of the features of its images: it is there where the names' classifier is
surer of them than of a name on average. They are the mean of the prior of its weights
(picaption.device.recognition.classifier).
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ...bundle.names import NamedClass


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
    groups = [[(1.0, indices)] if indices else [] for indices in matches]
    return weighted_prototypes(groups, name_weights, features) * share


def weighted_prototypes(
    groups: Sequence[Sequence[tuple[float, Sequence[int]]]],
    name_weights: np.ndarray,
    features: np.ndarray,
) -> np.ndarray:
    """Return the weights that classes begin with, float32 [F, C]; zeros without a group.

    Args:
        groups: for each class groups of names: what a group counts, and the names' indices.
        name_weights: of the features as they are, float32 [F, names].
        features: of images, whose mean length counts, float32 [N, F].
    """
    length = np.linalg.norm(features, axis=1).mean()
    average = name_weights.mean(1)
    prototypes = np.zeros((len(name_weights), len(groups)), np.float32)
    for column, class_groups in enumerate(groups):
        for weight, indices in class_groups:
            difference = name_weights[:, list(indices)].mean(1) - average
            prototypes[:, column] += np.float32(weight) * (length * difference)
    return prototypes


def matching_names(label: str, names: Sequence[NamedClass]) -> list[int]:
    """Return the indices of the names that a class is called by.

    These are the names that are its own; where there are none, those that a caption may use its
    name of; and where there are none either, those that it is a more general name of.
    """
    wanted = plain_name(label)
    for candidates in (
        lambda item: (item.name,),
        lambda item: item.words,
        lambda item: item.hypernyms,
    ):
        indices = [
            index
            for index, item in enumerate(names)
            if any(wanted == plain_name(text) for text in candidates(item))
        ]
        if indices:
            return indices
    return []


@lru_cache(maxsize=8192)
def plain_name(text: str) -> str:
    """Return a name in small letters, without spaces and what folders have in their place.

    A chain saw and a chain-saw are a chainsaw.
    """
    return "".join(text.lower().replace("_", " ").replace("-", " ").split())
