"""What is not as one would expect of the pictures that classes are taught by, a line each."""

from collections.abc import Sequence

import numpy as np

from ..recognition.classifier import MAX_COMPARED, close_rows, connected_rows, is_mostly_one
from .examples import ClassExamples

#: A class with so many times the pictures of another is named.
UNEQUAL = 4
#: Two classes are too alike where so large a share of their pictures is taken for the other.
TOO_ALIKE = 0.25
#: As many pictures have to be confused at least.
MIN_CONFUSED = 2


def notes_on(examples: ClassExamples, confusion: np.ndarray) -> list[str]:
    """Return the lines for examples.

    Args:
        examples: of the classes.
        confusion: how many images of each class (row) were taken for which (column) by classifiers
            fitted without them, int [C, C].
    """
    return [
        *unequal_counts(examples.counts),
        *alike_classes(examples.labels, confusion),
        *near_duplicates(examples),
    ]


def unequal_counts(counts: dict[str, int]) -> list[str]:
    """Return a line if a class has many times the pictures of another; `counts` are by class."""
    known = {label: count for label, count in counts.items() if count}
    if not known:
        return []
    most = max(known, key=known.__getitem__)
    least = min(known, key=known.__getitem__)
    if known[most] < UNEQUAL * known[least]:
        return []
    return [
        f"{most} has {known[most]} pictures and {least} {known[least]}: classes count alike, but "
        f"{least} is known less well; give it more"
    ]


def alike_classes(labels: Sequence[str], confusion: np.ndarray) -> list[str]:
    """Return a line for the two classes that are confused most, if they are too often.

    Args:
        labels: the class names.
        confusion: as for `notes_on`.
    """
    both = confusion + confusion.T
    np.fill_diagonal(both, 0)
    totals = confusion.sum(1)
    shares = both / np.maximum(totals[:, None] + totals, 1)
    first, second = np.unravel_index(shares.argmax(), shares.shape)
    share = float(shares[first, second])
    if share < TOO_ALIKE or both[first, second] < MIN_CONFUSED:
        return []
    return [
        f"{labels[min(first, second)]} and {labels[max(first, second)]} are alike: {share:.0%} of "
        "their held-out pictures were taken for the other; give more that show the difference"
    ]


def near_duplicates(examples: ClassExamples) -> list[str]:
    """Return a line for pictures that are nearly the same: in one class, and in two."""
    is_close = close_rows(examples.features[:MAX_COMPARED])
    close = np.triu(is_close, 1)
    classes = examples.truth[:MAX_COMPARED].argmax(1)
    same = classes[:, None] == classes
    groups = connected_rows(is_close & same)
    lines = []
    inside = np.argwhere(close & same)
    if len(inside):
        first, second = inside[0]
        count = len(set(inside.ravel().tolist()))
        lines.append(
            f"{count} pictures are nearly the same as another of their class, such as "
            f"{examples.paths[first]} and {examples.paths[second]}: they are held out together"
        )
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        if is_mostly_one(groups[rows]):
            lines.append(
                f"most pictures of {examples.labels[label]} are nearly the same: what is told of "
                "held-out ones is too good; show it from other sides, in other places"
            )
    across = np.argwhere(close & ~same)
    if len(across):
        first, second = across[0]
        lines.append(
            f"{examples.paths[first]} and {examples.paths[second]} are nearly the same picture, in "
            "two classes"
        )
    return lines
