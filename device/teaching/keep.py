"""Teaching in many steps: a bundle that keeps its examples is taught more classes without images.

Images of before need not be there again: the examples that the bundle has kept
(picaption.device.bundle.examples) are fitted beside new ones. Examples are rounded before they are
fitted, and stand in an order of their own, so that steps make no difference: what was taught class
by class is, to the last bit, what all images at once would have made of it.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..bundle.archive import MAX_MEMBER_BYTES, Contents
from ..bundle.examples import (
    KeptExamples,
    concatenate_examples,
    examples_bytes,
    quantize_examples,
)
from ..errors import PicaptionError
from .examples import ClassExamples
from .words.descriptions import Descriptions


def require_examples(contents: Contents, path: str | Path) -> KeptExamples:
    """Return the examples that a bundle keeps.

    Args:
        contents: of the bundle.
        path: where it is, for the error.

    Raises:
        PicaptionError: it keeps none.
    """
    if contents.examples is None:
        raise PicaptionError(
            f"{path} keeps no examples that could be added to: teach it once more by all "
            "pictures, with --keep-examples"
        )
    return contents.examples


def example_counts(contents: Contents) -> dict[str, int]:
    """Return how many examples a bundle keeps of each of its classes."""
    if contents.examples is None:
        return {}
    counts = np.bincount(contents.examples.class_ids, minlength=len(contents.labels))
    return dict(zip(contents.labels, counts.tolist()))


def taught_descriptions(contents: Contents) -> Descriptions:
    """Return the descriptions that a bundle was taught by."""
    taught = contents.metadata.provenance.get("taught")
    descriptions = taught.get("descriptions") if isinstance(taught, dict) else None
    if not isinstance(descriptions, dict):
        return {}
    return {
        label: text
        for label, text in descriptions.items()
        if label in contents.labels and isinstance(text, str)
    }


def add_examples(
    examples: ClassExamples, before: KeptExamples | None = None, labels: Sequence[str] = ()
) -> tuple[KeptExamples, ClassExamples]:
    """Round examples and put them beside those of before.

    Args:
        examples: new ones; their classes are all there are.
        before: those that a bundle keeps; None: none.
        labels: the bundle's classes, which are among those of `examples`.

    Returns:
        What the new bundle keeps, and the same as it is fitted to.

    Raises:
        PicaptionError: an image was another class before, the sizes differ, or there are too many.
    """
    class_ids = examples.truth.argmax(1)
    stored = quantize_examples(class_ids, examples.features, examples.word_evidence)
    paths = list(examples.paths)
    skipped = list(examples.skipped)
    if before is not None:
        moved = np.array([examples.labels.index(label) for label in labels], np.uint16)
        rows, lines = _new_rows(stored, before, moved, examples)
        skipped += lines
        paths = [paths[row] for row in rows]
        paths += [Path(labels[index], "kept example") for index in before.class_ids]
        before = replace(before, class_ids=moved[before.class_ids])
        stored = concatenate_examples(stored.take(rows), before)
    keys = [
        (int(index), steps.tobytes())
        for index, steps in zip(stored.class_ids, stored.feature_steps)
    ]
    order = np.array(sorted(range(len(stored)), key=keys.__getitem__), int)
    stored = stored.take(order)
    size = len(examples_bytes(stored))
    if size > MAX_MEMBER_BYTES:
        raise PicaptionError(
            f"{len(stored)} examples take {size / 1e6:.1f} MB, and a bundle keeps "
            f"{MAX_MEMBER_BYTES / 1e6:.1f} MB of them; teach fewer pictures"
        )
    truth = np.eye(len(examples.labels), dtype=np.float32)[stored.class_ids]
    restored = ClassExamples(
        labels=examples.labels,
        paths=tuple(paths[row] for row in order),
        truth=truth,
        features=stored.features(),
        word_evidence=stored.word_evidence(),
        skipped=tuple(skipped),
        silent=examples.silent,
    )
    return stored, restored


def _new_rows(
    stored: KeptExamples, before: KeptExamples, moved: np.ndarray, examples: ClassExamples
) -> tuple[np.ndarray, list[str]]:
    """Return the rows of `stored` that are not among those of before, and a line for each other.

    Raises:
        PicaptionError: one was another class before, or the sizes differ.
    """
    sizes = (before.feature_steps.shape[1], before.evidence_steps.shape[1])
    if sizes != (stored.feature_steps.shape[1], stored.evidence_steps.shape[1]):
        raise PicaptionError(
            "the examples that the bundle keeps are not of its own encoder and captioner: teach "
            "it once more by all pictures, with --keep-examples"
        )
    classes = {
        steps.tobytes(): int(moved[index])
        for steps, index in zip(before.feature_steps, before.class_ids)
    }
    rows = []
    lines = []
    for row, steps in enumerate(stored.feature_steps):
        class_id = classes.get(steps.tobytes())
        if class_id is None:
            rows.append(row)
        elif class_id == stored.class_ids[row]:
            lines.append(f"{examples.paths[row]} is the same picture as one that is kept")
        else:
            raise PicaptionError(
                f"{examples.paths[row]} is the same picture as one that the bundle keeps of "
                f"{examples.labels[class_id]}: take it out"
            )
    return np.array(rows, int), lines
