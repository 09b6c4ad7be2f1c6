"""How well a bundle's names tell photographs of one thing each."""

from collections.abc import Sequence

import numpy as np

from picaption.device.bundle.names import NamedClass, NameTree
from picaption.device.bundle.object_words import index_phrases, named_classes
from picaption.device.recognition.naming import spoken_phrases
from picaption.device.recognition.result import Caption

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


def mention_figures(
    captions: Sequence[Caption], shown: Sequence[NamedClass]
) -> dict[str, float | None]:
    """Return how many captions mention what their photographs show, in per cent.

    Args:
        captions: Of N photographs, at least one.
        shown: The class of each.

    Returns:
        `mentioned`, of all captions; `mentioned_of_sure`, of those that are not unsure, None where
        there are none.
    """
    is_right = np.array([mentions(caption.text, item) for caption, item in zip(captions, shown)])
    is_sure = np.array([not caption.unsure for caption in captions])
    return {
        "mentioned": percent(is_right.mean()),
        "mentioned_of_sure": percent(is_right[is_sure].mean()) if is_sure.any() else None,
    }


def mentions(caption: str, item: NamedClass) -> bool:
    """Return whether a caption has a word for a named class: its name, or a more general one."""
    phrases = index_phrases([spoken_phrases(item)], ())
    return bool(named_classes(caption.lower().split(), phrases))
