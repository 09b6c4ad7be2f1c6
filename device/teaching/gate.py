"""Whether an image shows a class, or something else.

A softmax over the classes knows nothing else: the less an image has to do with them, the more a
little likeness to one of them decides. The gate asks of every class, by two scores, whether it is
there at all:

- the logits of a classifier with one class more, none, whose images are those of a Background:
  what features and word evidence say for a class and against none;
- log(sum over the names n of P(n | image) P(n | class) / P(n)), with P(n | class) the mean over the
  images of the class, and P(n) that over the Background. It is the likelihood of the image by the
  class over that by any image, where the image's name is all that tells them apart: a class is
  there where the image may be called what images of the class may be called.

How much each counts is found by a logistic regression that tells images of the classes, by fits
without them, from the Background's (Wolpert, "Stacked Generalization", Neural Networks 5, 1992):
what the bundle has names for, names tell best, and a cup on a table its features and words. The
score of a class is multiplied by a steep sigmoid of the log-odds less a threshold, at which a
certain share of the Background gets a class that is certain.
"""

from dataclasses import dataclass

import numpy as np

from ..recognition.classifier import (
    Classifier,
    class_weights,
    fit_classifier,
    fit_logistic_regression,
    held_out_parts,
    l2_normalize,
    near_duplicate_groups,
    probabilities,
)
from .background import Background
from .examples import ClassExamples, OtherImages, join_images

#: Added to the probabilities of names before they are divided: a name that no image of the
#: Background has may be one by chance.
NAME_SMOOTHING = 1e-4
#: So many images of the classes, held out, are enough to find what the two scores count.
HELD_OUT_IMAGES = 40
#: What they count where no image can be held out.
DEFAULT_WEIGHTS = (1.0, 0.5)
#: The weight of the squared weights of the scores, in images.
PENALTY = 1.0
#: The factor of the log-odds in the sigmoid: so steep that the scores of what passes stay as they
#: are.
SHARPNESS = 4.0
#: The share of pictures of other things that may get a class.
DEFAULT_SHARE = 0.05
#: The share of the Background that passes for each that may: of photographs elsewhere, more do.
PASSING = 0.8
#: The least threshold: where classes are far from the Background, what lies between them is not
#: let through, however few pictures of the Background are there.
MIN_THRESHOLD = -4.0


@dataclass(frozen=True)
class Gate:
    """A fitted gate for C classes; it is there where sigmoid(logit) is above a half.

    The logits are features . F + words . W + names_weight * log(names . N) + bias.

    Attributes:
        features: weights of the features at unit length, F, float32 [F, C].
        words: weights of the word evidence, W, float32 [V, C].
        names: weights of the probabilities of the names, N, positive, float32 [names, C].
        names_weight: what the logarithm counts.
        bias: float32 [C].
        share: the share of pictures of other things that get a class, 0 to 1.
    """

    features: np.ndarray
    words: np.ndarray
    names: np.ndarray
    names_weight: float
    bias: np.ndarray
    share: float

    def probability(
        self, features: np.ndarray, word_evidence: np.ndarray, names: np.ndarray
    ) -> np.ndarray:
        """Return what the scores of the classes are multiplied by, float32 [N, C].

        Args:
            features: [N, F].
            word_evidence: [N, V].
            names: the probabilities of the names, [N, names].
        """
        logits = l2_normalize(features) @ self.features + word_evidence @ self.words + self.bias
        logits = logits + self.names_weight * np.log(names @ self.names)
        return probabilities(logits, multi_label=True).astype(np.float32)


def fit_gate(
    examples: ClassExamples,
    names: np.ndarray,
    classifier: Classifier,
    background: Background,
    negatives: OtherImages | None = None,
    share: float = DEFAULT_SHARE,
    word_prior: np.ndarray | None = None,
    prototypes: np.ndarray | None = None,
) -> Gate:
    """Return the Gate of classes; every class counts alike, and so does the Background.

    Args:
        examples: of the classes, each of which has some, with word evidence.
        names: the probabilities of their names, float32 [N, names].
        classifier: of the classes, whose scores are multiplied.
        background: of the bundle.
        negatives: other images that show none of the classes; each counts as one of a class does.
        share: the share of pictures of other things that may get a class, 0 to 1.
        word_prior: what words say of the classes, float32 [V, C]; None: nothing.
        prototypes: what the bundle's names know of the classes, float32 [F, C]; None: nothing.
    """
    fit = _Fit(examples, names, background, negatives, word_prior, prototypes)
    against, ratios = fit.of_rows(np.arange(len(names)))
    held_out = slice(background.fitted_count, None)
    other_features = background.unit_features(held_out)
    other_words = background.word_evidence[held_out]
    other_scores = probabilities(
        _unit_logits(classifier, other_features, other_words), multi_label=False
    )
    best = other_scores.argmax(1)
    two_scores = np.stack(
        [
            _unit_logits(against, other_features, other_words),
            np.log(background.name_roots[held_out] ** 2 @ ratios),
        ],
        axis=-1,
    )[np.arange(len(best)), best]
    shown = fit.held_out_scores()
    weights, offset = _stack(shown, two_scores)
    log_odds = two_scores @ weights + offset
    showing = _share_that_shows(shown @ weights + offset, log_odds)
    threshold = _threshold(other_scores.max(1), log_odds, PASSING * share + showing)
    factor = np.float32(SHARPNESS)
    return Gate(
        features=against.features * (factor * weights[0]),
        words=_words_of(against) * (factor * weights[0]),
        names=ratios,
        names_weight=float(factor * weights[1]),
        bias=(factor * (against.bias * weights[0] + offset - threshold)).astype(np.float32),
        share=share,
    )


@dataclass(frozen=True)
class _Fit:
    """What classes are fitted to; the attributes are the arguments of `fit_gate`."""

    examples: ClassExamples
    names: np.ndarray
    background: Background
    negatives: OtherImages | None
    word_prior: np.ndarray | None
    prototypes: np.ndarray | None

    def of_rows(self, rows: np.ndarray) -> tuple[Classifier, np.ndarray]:
        """Return what images at some rows tell: a Classifier, and the ratios of the names.

        The Classifier's logits are those of the classes less that of none.
        """
        evidence = self.examples.word_evidence
        assert evidence is not None
        images = OtherImages(self.examples.features[rows], evidence[rows])
        truth = self.examples.truth[rows]
        against = _fit_against_background(
            images, truth, self.background, self.negatives, self.word_prior, self.prototypes
        )
        return against, _name_ratios(truth, self.names[rows], self.background.name_mean)

    def held_out_scores(self) -> np.ndarray:
        """Return the two scores of images for their class, by fits without them, [N, 2]."""
        truth = self.examples.truth
        features = self.examples.features
        evidence = self.examples.word_evidence
        assert evidence is not None
        scores = [np.zeros((0, 2), np.float32)]
        for rest, part in held_out_parts(truth, near_duplicate_groups(features, truth)):
            if sum(map(len, scores)) >= HELD_OUT_IMAGES:
                break
            against, ratios = self.of_rows(rest)
            logits = against.logits(features[part], evidence[part])
            by_names = np.log(self.names[part] @ ratios)
            own = (np.arange(len(part)), truth[part].argmax(1))
            scores.append(np.stack([logits[own], by_names[own]], axis=-1))
        return np.concatenate(scores)


def _fit_against_background(
    images: OtherImages,
    truth: np.ndarray,
    background: Background,
    negatives: OtherImages | None,
    word_prior: np.ndarray | None,
    prototypes: np.ndarray | None,
) -> Classifier:
    """Return the Classifier of images whose logits are those of the classes less that of none."""
    count, class_count = truth.shape
    fitted = slice(background.fitted_count)
    parts = [
        OtherImages(background.nearest(images.features), images.word_evidence),
        OtherImages(background.unit_features(fitted), background.word_evidence[fitted]),
    ]
    if negatives is not None and len(negatives.features):
        # All classes together have as many images as the Background counts for.
        times = max(1, round(background.fitted_count / count))
        near = OtherImages(background.nearest(negatives.features), negatives.word_evidence)
        parts += [near] * times
    joined = join_images(parts)
    assert joined.word_evidence is not None
    targets = np.zeros((len(joined.features), class_count + 1), np.float32)
    targets[:count, :class_count] = truth
    targets[count:, class_count] = 1
    if word_prior is None:
        word_prior = np.zeros((joined.word_evidence.shape[1], class_count), np.float32)
    if prototypes is not None:
        prototypes = np.pad(prototypes, ((0, 0), (0, 1)))
    with_none = fit_classifier(
        joined.features,
        joined.word_evidence,
        np.pad(word_prior, ((0, 0), (0, 1))),
        targets,
        multi_label=False,
        prototypes=prototypes,
        balanced=True,
    )
    words = _words_of(with_none)
    return Classifier(
        with_none.features[:, :-1] - with_none.features[:, -1:],
        words[:, :-1] - words[:, -1:],
        with_none.bias[:-1] - with_none.bias[-1],
    )


def _unit_logits(
    classifier: Classifier, unit_features: np.ndarray, word_evidence: np.ndarray
) -> np.ndarray:
    """Return the logits of images, [N, C], by features that are at unit length, or nearly so."""
    logits: np.ndarray = unit_features @ classifier.features
    return logits + word_evidence @ _words_of(classifier) + classifier.bias


def _words_of(classifier: Classifier) -> np.ndarray:
    """Return the weights of the words of a Classifier that takes some, float32 [V, C]."""
    assert classifier.words is not None
    return classifier.words


def _name_ratios(truth: np.ndarray, names: np.ndarray, name_mean: np.ndarray) -> np.ndarray:
    """Return how much likelier each name is of a class than of any image, float32 [names, C]."""
    of_class = (truth / truth.sum(0)).T @ names
    ratios = (of_class + NAME_SMOOTHING) / (name_mean + NAME_SMOOTHING)
    return ratios.T.astype(np.float32)


def _stack(shown: np.ndarray, background: np.ndarray) -> tuple[np.ndarray, float]:
    """Return what the two scores count, [2], none less than nothing, and an offset.

    Args:
        shown: scores of images for the class that they show, [N, 2].
        background: scores of the Background for the class that is likeliest, [M, 2].
    """
    weights = np.array(DEFAULT_WEIGHTS, np.float32)
    if not len(shown):
        return weights, 0.0
    scores = np.concatenate([shown, background])
    mean = scores.mean(0)
    spread = scores.std(0) + np.float32(1e-3)
    truth = np.repeat(np.eye(2, dtype=np.float32), [len(shown), len(background)], axis=0)
    fitted, bias = fit_logistic_regression(
        (scores - mean) / spread,
        truth[:, :1],
        multi_label=True,
        penalty=PENALTY,
        image_weights=class_weights(truth),
    )
    if fitted.max() > 0:
        weights = np.maximum(fitted[:, 0], 0) / spread
    return weights, float(bias[0] - mean @ weights)


def _share_that_shows(shown: np.ndarray, background: np.ndarray) -> float:
    """Return how many images of the Background show a class, as a share.

    They are as many as get more log-odds than a half of the images of classes do, and as many again
    that get less. A cup is in many a kitchen.

    Args:
        shown: log-odds of images for the class that they show, [N].
        background: log-odds of the Background, [M].
    """
    if not len(shown):
        return 0.0
    return 2 * float((background > np.median(shown)).mean())


def _threshold(scores: np.ndarray, log_odds: np.ndarray, share: float) -> float:
    """Return the log-odds above which a share of images get a class that is certain.

    Args:
        scores: of the likeliest class without a gate, [N].
        log_odds: of that class, [N].
        share: 0 to 1.
    """
    # The threshold at which score * sigmoid(SHARPNESS * (log-odds - threshold)) is a half.
    needed = np.clip(0.5 / np.maximum(scores, 1e-6), 1e-6, 1 - 1e-6)
    critical = log_odds - np.log(needed / (1 - needed)) / SHARPNESS
    critical[scores <= 0.5] = -np.inf
    passing = min(int(share * len(critical)), len(critical) - 1)
    first_held_back = float(np.sort(critical)[::-1][passing])
    return max(first_held_back, MIN_THRESHOLD)
