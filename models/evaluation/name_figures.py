"""How well a bundle's names tell photographs of one thing each."""

from collections.abc import Sequence

import numpy as np

from picaption.device.bundle.names import NamedClass, NameTree

from .metrics import expected_calibration_error, percent


def name_figures(
    names: Sequence[NamedClass], scores: np.ndarray, truth: np.ndarray, threshold: float
) -> dict[str, float | None]:
    """Return how well photographs are named, in per cent.

    Args:
        names: The classes.
        scores: Their probabilities for each photograph, float32 [N, names].
        truth: The class of each photograph, int [N].
        threshold: The least probability of a name.

    Returns:
        `top_1` and `top_5` of the classes, the `calibration_error` of the best one, `named`: the
        share of photographs for which a name or a hypernym is certain, and `named_rightly`: the
        share of those whose most specific one is true, None where there are none.
    """
    tree = NameTree(names)
    right = []
    for row, index in zip(scores, truth):
        best = tree.certain(row, threshold, 1)
        if best:
            item = names[index]
            right.append(best[0][0] in (item.name, *item.hypernyms))
    ranks = (scores > scores[np.arange(len(truth)), truth][:, None]).sum(1)
    error = expected_calibration_error(scores.max(1), scores.argmax(1) == truth)
    return {
        "top_1": percent((ranks < 1).mean()),
        "top_5": percent((ranks < 5).mean()),
        "calibration_error": percent(error),
        "named": percent(len(right) / len(truth)),
        "named_rightly": percent(np.mean(right)) if right else None,
    }
