"""The bundle with the new classifier, written once it agrees with it."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..bundle.archive import Contents
from ..bundle.bundle import Bundle, write_checked
from ..bundle.examples import KeptExamples
from ..bundle.metadata import Silence
from ..errors import PicaptionError
from ..recognition.classifier import Classifier, probabilities
from .background import name_probabilities
from .gate import Gate
from .graph import classifier_graph

#: How far the probabilities of the new bundle may be from the classifier's: what weights of 8 bits
#: cost, and no more.
MAX_SCORE_DIFFERENCE = 0.05


def speaking_always(contents: Contents) -> Contents:
    """Return the contents of a bundle that says something about every image.

    A class may be that it is dark: what a bundle is taught to tell apart, it has to say.
    """
    return replace(contents, metadata=replace(contents.metadata, silence=Silence()))


def write_taught_bundle(
    output: str | Path,
    contents: Contents,
    labels: tuple[str, ...],
    classifier: Classifier,
    features: np.ndarray,
    word_evidence: np.ndarray | None,
    counts: dict[str, int],
    max_difference: float = MAX_SCORE_DIFFERENCE,
    descriptions: Mapping[str, str] | None = None,
    stored: KeptExamples | None = None,
    gate: Gate | None = None,
    class_nouns: tuple[tuple[str, ...], ...] = (),
) -> None:
    """Write a bundle with another classifier, once it was loaded and agrees with it.

    Args:
        output: the path to write to.
        contents: of the bundle that lends the rest.
        labels: the new classes.
        classifier: the new classifier.
        features: of images to compare it on, [N, F].
        word_evidence: of these images, [N, V]; None without a captioner.
        counts: images by class that it was fitted to, for the metadata.
        max_difference: how far the bundle's scores may be from the classifier's.
        descriptions: what some classes are, in words, for the metadata.
        stored: what it was fitted to, for the bundle to keep; None: it keeps nothing.
        gate: whether an image shows any of the classes; None: it always does.
        class_nouns: the words of captions that the classes' names take the place of; empty: they
            do not.

    Raises:
        PicaptionError: they are further apart, or the bundle cannot be written.
    """
    with_classify = classifier_graph().with_classify
    lender = contents.metadata
    taught_before = lender.provenance.get("taught")
    base = lender.name
    if isinstance(taught_before, dict):  # It is taught again.
        base = taught_before.get("bundle", base)
    taught_now: dict[str, Any] = {"bundle": base, "pictures": counts}
    if descriptions:
        taught_now["descriptions"] = dict(descriptions)
    if gate is not None:
        taught_now["share_of_other_things"] = gate.share
    metadata = replace(
        lender,
        name=bundle_name(output),
        head="single-label",
        label_threshold=0.5,
        # Its tags are those of the captioner, which stays.
        guidance=replace(lender.guidance, class_weight=0.0, choice_weight=0.0),
        object_words=(),
        other_things=(),
        class_nouns=class_nouns,
        confidence=None,
        measured={},
        provenance=lender.provenance | {"taught": taught_now},
    )
    taught = replace(
        contents,
        graph=with_classify(contents.graph, classifier, multi_label=False, gate=gate),
        metadata=metadata,
        labels=labels,
        examples=stored,
    )
    expected = probabilities(classifier.logits(features, word_evidence), multi_label=False)
    if gate is not None:
        names = name_probabilities(contents.graph, features)
        assert names is not None, "a gate is fitted to a bundle with names"
        assert word_evidence is not None, "and with a captioner"
        expected = expected * gate.probability(features, word_evidence, names)

    def check(bundle: Bundle) -> None:
        scores = [
            bundle.classify(features[row : row + 1], _row(word_evidence, row))
            for row in range(len(features))
        ]
        difference = float(np.abs(np.stack(scores) - expected).max())
        if not difference <= max_difference:
            raise PicaptionError(
                f"{output} is not written: what it says differs by {difference:.3f} from what was "
                "learned; give more pictures, or report this"
            )

    write_checked(output, taught, check)


def bundle_name(path: str | Path) -> str:
    """Return what a bundle at `path` is called: its file without the ending."""
    return os.fsencode(Path(path).stem).decode(errors="replace")


def _row(rows: np.ndarray | None, index: int) -> np.ndarray | None:
    return None if rows is None else rows[index]
