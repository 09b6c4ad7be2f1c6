"""The classifier of new classes, fitted to a few images of each."""

from collections.abc import Sequence

import numpy as np

from ..bundle.archive import Contents
from ..bundle.vocabulary import Vocabulary
from ..recognition.classifier import Classifier, fit_calibrated, name_prior
from .examples import ClassExamples
from .graph import classifier_graph
from .words.prototypes import name_prototypes


def class_prototypes(
    contents: Contents, labels: Sequence[str], features: np.ndarray
) -> np.ndarray | None:
    """Return what a bundle's names know of classes (name_prototypes); None for nothing.

    Args:
        contents: of the bundle.
        labels: the class names.
        features: what the bundle makes of images of the classes, float32 [N, F].
    """
    if not contents.names:
        return None
    weights = classifier_graph().read_name_weights(contents.graph)
    if weights is None:
        return None
    return name_prototypes(labels, contents.names, weights, features)


def fit_classes(
    examples: ClassExamples,
    vocabulary: Vocabulary | None,
    dev: ClassExamples | None = None,
    prototypes: np.ndarray | None = None,
    prior: np.ndarray | None = None,
) -> tuple[Classifier, np.ndarray]:
    """Fit a calibrated Classifier to images of classes; every class counts alike.

    Args:
        examples: what it is fitted to.
        vocabulary: the captioner's; None without a captioner.
        dev: other images to calibrate on; None: the same, by classifiers fitted without them.
        prototypes: what the bundle's names know of the classes; None for nothing.
        prior: what words say of the classes, float32 [V, C]; None: what their names say.

    Returns:
        The Classifier, and logits [N, C] of the images that it was calibrated on, nan where there
        is no classifier fitted without them (see `held_out_logits`).
    """
    if prior is None and vocabulary is not None:
        prior = name_prior(examples.labels, vocabulary)
    return fit_calibrated(
        examples.features,
        examples.word_evidence,
        examples.truth,
        prior,
        multi_label=False,
        dev=(dev.features, dev.word_evidence, dev.truth) if dev else None,
        prototypes=prototypes,
        balanced=True,
    )


def count_confusion(logits: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how many images of each class (row) were taken for which class (column).

    Args:
        logits: [N, C]; nan where unknown.
        truth: [N, C] of 0 and 1, one 1 in every row.

    Returns:
        int [C, C]; images of unknown logits count nowhere.
    """
    known = ~np.isnan(logits).any(1)
    confusion = np.zeros((truth.shape[1], truth.shape[1]), int)
    np.add.at(confusion, (truth[known].argmax(1), logits[known].argmax(1)), 1)
    return confusion


def mean_class_accuracy(logits: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean over the classes of the share of images that are classified rightly.

    Args:
        logits: [N, C]; nan where unknown.
        truth: [N, C] of 0 and 1, one 1 in every row.

    Returns:
        0 to 1; nan if all logits are unknown.
    """
    known = ~np.isnan(logits).any(1)
    correct = logits[known].argmax(1) == truth[known].argmax(1)
    counts = truth[known].sum(0)
    correct_counts = truth[known][correct].sum(0)
    if not known.any():
        return float("nan")
    return float((correct_counts[counts > 0] / counts[counts > 0]).mean())
