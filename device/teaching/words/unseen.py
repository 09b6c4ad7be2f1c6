"""Classes of which there is no image, known by words alone, beside others that have some.

A class without an image takes no part in a fit, in which every image would speak against it. Its
logit is what words say of an image, against what they say of images in general
(picaption.device.teaching.words.background),

    z = TRUST * (s - mean of s) / (standard deviation of s) + PRIOR_LOGIT

with the score s by the weights that the priors give. The classes with images are fitted beside the
background as one more class, and their logits are the differences to that one's: both are log-odds
against anything else, so that one can be held against the other (cf. Chao et al., "An Empirical
Study and Analysis of Generalized Zero-Shot Learning", ECCV 2016, whose classifiers prefer what they
have images of).
"""

import numpy as np

from ...recognition.classifier import (
    SPREAD_FLOOR,
    Classifier,
    class_weights,
    fit_classifier,
    fit_temperature,
    held_out_parts,
    l2_normalize,
    near_duplicate_groups,
)
from ..examples import ClassExamples
from .background import Background
from .priors import ClassPriors, select_classes

#: What a standard deviation of a class' score counts.
TRUST = 0.5
#: The log-odds of a class of which words say as much as of images in general. With this and TRUST,
#: classes with and without images are told best, of Imagenette's and of COCO's.
PRIOR_LOGIT = -1.5
#: The least standard deviation: words that are called for nowhere say nothing.
MIN_DEVIATION = 0.05


def fit_with_unseen(
    examples: ClassExamples, priors: ClassPriors, background: Background
) -> tuple[Classifier, np.ndarray]:
    """Fit a calibrated Classifier to classes some or all of which have no image.

    Args:
        examples: the classes, and the images that there are.
        priors: what words say of the classes.
        background: what the bundle makes of other images.

    Returns:
        The Classifier, and logits [N, C] of the images by classifiers that were fitted without
        them; nan where there is none.
    """
    truth = examples.truth
    logits = np.full(truth.shape, np.nan, np.float32)
    all_rows = np.arange(len(truth))
    classifier = _fit(examples, all_rows, priors, background)
    groups = near_duplicate_groups(examples.features, truth)
    for rest, part in held_out_parts(truth, groups):
        part_evidence = None
        if examples.word_evidence is not None:
            part_evidence = examples.word_evidence[part]
        part_classifier = _fit(examples, rest, priors, background)
        logits[part] = part_classifier.logits(examples.features[part], part_evidence)
    if not len(truth):
        return classifier, logits
    temperature = fit_temperature(logits, truth, False, class_weights(truth))
    return classifier.with_temperature(temperature), logits / np.float32(temperature)


def _fit(
    examples: ClassExamples, rows: np.ndarray, priors: ClassPriors, background: Background
) -> Classifier:
    """Return the Classifier of all classes by the images of these rows, not calibrated."""
    truth = examples.truth[rows]
    features = np.concatenate([examples.features[rows], background.features])
    word_evidence = None
    if examples.word_evidence is not None and background.word_evidence is not None:
        word_evidence = np.concatenate([examples.word_evidence[rows], background.word_evidence])
    has_images = truth.any(0)
    by_words = classify_by_words(features, word_evidence, select_classes(priors, ~has_images))
    if not has_images.any():
        return by_words
    by_images = _fit_against_background(
        features, word_evidence, select_classes(priors, has_images), truth[:, has_images]
    )
    order = np.argsort(np.concatenate([np.flatnonzero(~has_images), np.flatnonzero(has_images)]))
    words = None
    if by_words.words is not None and by_images.words is not None:
        words = np.concatenate([by_words.words, by_images.words], 1)[:, order]
    return Classifier(
        np.concatenate([by_words.features, by_images.features], 1)[:, order],
        words,
        np.concatenate([by_words.bias, by_images.bias])[order],
    )


def classify_by_words(
    features: np.ndarray, word_evidence: np.ndarray | None, priors: ClassPriors
) -> Classifier:
    """Return the Classifier of classes without an image.

    Args:
        features: of images that need not show any, float32 [N, F].
        word_evidence: of these, float32 [N, V]; None without a captioner.
        priors: what words say of the classes.
    """
    count = len(priors.unknown)
    unit_features = l2_normalize(features)
    weights = priors.features
    if weights is None:
        weights = np.zeros((features.shape[1], count), np.float32)
    scores = unit_features @ weights
    words = None
    if word_evidence is not None and priors.words is not None:
        spread = word_evidence.std(0)[:, None] + np.float32(SPREAD_FLOOR)
        words = priors.words / spread
        scores = scores + word_evidence @ words
    factor = np.float32(TRUST) / np.maximum(scores.std(0), np.float32(MIN_DEVIATION))
    bias = np.float32(PRIOR_LOGIT) - factor * scores.mean(0)
    return Classifier(weights * factor, None if words is None else words * factor, bias)


def _fit_against_background(
    features: np.ndarray, word_evidence: np.ndarray | None, priors: ClassPriors, truth: np.ndarray
) -> Classifier:
    """Return the Classifier of classes with images.

    Args:
        features: of the images, and behind them of the background, float32 [N + B, F].
        word_evidence: of these, float32 [N + B, V]; None without a captioner.
        priors: what words say of the classes.
        truth: of the images, [N, C] of 0 and 1.
    """
    count, classes = truth.shape
    with_background = np.zeros((len(features), classes + 1), np.float32)
    with_background[:count, :classes] = truth
    with_background[count:, classes] = 1
    classifier = fit_classifier(
        features,
        word_evidence,
        _with_empty_column(priors.words),
        with_background,
        multi_label=False,
        prototypes=_with_empty_column(priors.features),
        balanced=True,
    )
    return _against_last(classifier)


def _with_empty_column(prior: np.ndarray | None) -> np.ndarray | None:
    """Return a prior with a column for a class of which nothing is known behind the others."""
    if prior is None:
        return None
    return np.pad(prior, ((0, 0), (0, 1)))


def _against_last(classifier: Classifier) -> Classifier:
    """Return the Classifier whose logits are the differences to those of the last class."""
    words = classifier.words
    if words is not None:
        words = words[:, :-1] - words[:, -1:]
    return Classifier(
        classifier.features[:, :-1] - classifier.features[:, -1:],
        words,
        classifier.bias[:-1] - classifier.bias[-1],
    )
