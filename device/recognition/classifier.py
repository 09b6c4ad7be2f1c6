"""The classifier: logistic regression on features and word evidence.

With f the features at unit length and s the word evidence (picaption.device.bundle.word_evidence),
each word's divided by how much it varies,

    z = W f + V s + b        P(class | image) = softmax(z), or 1 / (1 + exp(-z)) for multi-label

W and V are the likeliest under Gaussian priors. The prior of W has mean zero, or what a bundle with
names knows of those of the classes (picaption.device.teaching.words.prototypes). The mean of V's
prior is what language says of a class without an image: it is there where the captioner calls for
the words of its name, or for words that go with it (picaption.models.language.word_prior). The
more images there are, the less language counts. The fit needs numpy alone and takes seconds, so it
runs on the device too.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..bundle.vocabulary import Vocabulary

#: The weight of the squared weights in the loss, times the number of images. It is from COCO's
#: everyday objects, where the same value served from 80 images to 5,000.
PENALTY = 0.16
#: The size of the word evidence beside the features, whose mean square is 1: the larger, the more
#: freely V is learned.
EVIDENCE_SCALE = 0.3
#: The least share of EVIDENCE_SCALE, for classes of which language knows nothing.
MIN_EVIDENCE_SHARE = 0.27
#: Added to the standard deviation of a word's evidence before that is divided by it, because of
#: words that are hardly ever called for. Without the division, much of a caption's weight lies on
#: words that are in most captions.
SPREAD_FLOOR = 0.1
#: The weight of the words of a class name, for a standard deviation of evidence. More serves
#: COCO's classes even better, and harms Imagenette's, of which the captioner has few names.
NAME_WEIGHT = 0.4
#: The number of images of a class with which language and names count half, for it, of what they do
#: without.
PRIOR_IMAGES = 8
#: The most steps of the fit.
MAX_STEPS = 300
#: Parts of the images that are held out in turn.
FOLDS = 5
#: Pictures whose features are closer than this, by cosine, are nearly the same. Of 1,200
#: photographs of Imagenette none are closer to another than 0.90; one that is cut by 4 % at each
#: side, mirrored, moved by 5 % or a fifth brighter is mostly at 0.94 or more of itself.
NEAR_DUPLICATE = 0.92
#: So many pictures are compared with each other at most.
MAX_COMPARED = 2000
#: Temperatures that are tried.
TEMPERATURES = np.geomspace(0.25, 4, 65)


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier for C classes.

    Attributes:
        features: weights of the features, float32 [F, C].
        words: weights of the word evidence, float32 [V, C]; None where it does not count.
        bias: float32 [C].
        raw: whether it takes features as they are, not at unit length, as imported ones do.
    """

    features: np.ndarray
    words: np.ndarray | None
    bias: np.ndarray
    raw: bool = False

    def logits(self, features: np.ndarray, word_evidence: np.ndarray | None = None) -> np.ndarray:
        """Return z, float32 [N, C].

        Args:
            features: [N, F].
            word_evidence: [N, V]; None where it does not count.
        """
        inputs = features if self.raw else l2_normalize(features)
        logits = inputs @ self.features
        if self.words is not None:
            logits = logits + word_evidence @ self.words
        return (logits + self.bias).astype(np.float32)

    def with_temperature(self, temperature: float) -> "Classifier":
        """Return the Classifier whose logits are these divided by `temperature`."""
        divisor = np.float32(temperature)
        words = None if self.words is None else self.words / divisor
        return Classifier(self.features / divisor, words, self.bias / divisor, self.raw)


#: Fits a Classifier to features [N, F], word evidence [N, V] or None, and truth [N, C].
Fit = Callable[[np.ndarray, np.ndarray | None, np.ndarray], Classifier]


def l2_normalize(features: np.ndarray) -> np.ndarray:
    """Return the rows of `features`, [N, F], at unit length; zeros stay zeros."""
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-6)


def probabilities(logits: np.ndarray, multi_label: bool) -> np.ndarray:
    """Return the probabilities of logits [..., C]: of each class by itself, or of exactly one."""
    if multi_label:
        return 0.5 * np.tanh(0.5 * logits) + 0.5  # Does not overflow.
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def name_prior(labels: Sequence[str], vocabulary: Vocabulary) -> np.ndarray:
    """Return the prior of V by the names of the classes, float32 [V, C].

    A column shares NAME_WEIGHT among the words of the class name, in singular and plural. It is
    zero where the vocabulary lacks one of them: half a name is that of something else. All is
    weighted by the share of classes that have a name: the others could only lose by it.
    """
    names = name_words(labels, vocabulary)
    return names * np.float32(names.any(0).mean())


def name_words(labels: Sequence[str], vocabulary: Vocabulary) -> np.ndarray:
    """Return the prior of V by the names of the classes as if all had one, float32 [V, C]."""
    names = np.zeros((len(vocabulary), len(labels)), np.float32)
    for column, label in enumerate(labels):
        forms = [known_forms(word, vocabulary) for word in re.findall(r"[a-z]+", label.lower())]
        if not all(forms):
            continue
        for word_forms in forms:
            for form in word_forms:
                names[vocabulary.word_ids[form], column] += NAME_WEIGHT / len(forms)
    return names


def known_forms(word: str, vocabulary: Vocabulary) -> set[str]:
    """Return the singular and plural of a word that the vocabulary has."""
    return {word, f"{word}s", f"{word}es", word.removesuffix("s")} & vocabulary.word_ids.keys()


def class_weights(truth: np.ndarray) -> np.ndarray:
    """Return the weights of images with which every class counts alike, float32 [N].

    The mean over the images is 1; where classes have equally many images, so is every weight.

    Args:
        truth: [N, C] of 0 and 1, one 1 in every row.
    """
    counts = truth.sum(0)
    classes = int((counts > 0).sum())
    weights: np.ndarray = (len(truth) / (classes * counts[truth.argmax(1)])).astype(np.float32)
    return weights


def evidence_scale(prior: np.ndarray) -> float:
    """Return the size of the word evidence for classes with a prior, float32 [V, C].

    Where language knows few of the classes, words say little that features do not, and would
    rather be learned from chance.
    """
    return EVIDENCE_SCALE * max(float(np.sqrt(prior.any(0).mean())), MIN_EVIDENCE_SHARE)


def fit_classifier(
    features: np.ndarray,
    word_evidence: np.ndarray | None,
    prior: np.ndarray | None,
    truth: np.ndarray,
    multi_label: bool,
    scale: float | None = None,
    prototypes: np.ndarray | None = None,
    balanced: bool = False,
) -> Classifier:
    """Return the Classifier that fits images best.

    Args:
        features: float32 [N, F].
        word_evidence: float32 [N, V]; None without a captioner.
        prior: what language says of the classes, float32 [V, C]: a class' log-odds for a standard
            deviation of each word's evidence; None without a captioner.
        truth: which classes are there, [N, C] of 0 and 1; nan where that is unknown.
        multi_label: whether an image may show several classes.
        scale: the size of the evidence; None: that of `evidence_scale`.
        prototypes: weights of the features that the classes begin with, float32 [F, C]; None:
            zeros.
        balanced: whether every class counts alike, however many images it has; for images that
            show one class.
    """
    truth = np.asarray(truth, np.float32)
    unit_features = l2_normalize(features)
    penalty = PENALTY
    image_weights = None
    if balanced:
        image_weights = class_weights(truth)
        # Unequal weights know as much as fewer equal ones would: N / mean(weights squared), after
        # Kish, "Survey Sampling", 1965.
        penalty *= float((image_weights**2).mean())
    inputs, features_mean, features_scale = _standardize(unit_features, image_weights)
    shrinkage = 1 + np.nansum(truth, 0) / np.float32(PRIOR_IMAGES)
    offset: np.ndarray | float = 0.0
    start: np.ndarray | float = 0.0
    if prototypes is not None:
        start = prototypes / shrinkage
        offset = (unit_features - features_mean) @ start
    if word_evidence is None or prior is None:
        feature_weights, bias = fit_logistic_regression(
            inputs, truth, multi_label, penalty, offset, image_weights
        )
        feature_weights = feature_weights * features_scale + start
        return Classifier(feature_weights, None, bias - features_mean @ feature_weights)

    scale = scale or evidence_scale(prior)
    prior = prior / shrinkage
    spread = word_evidence.std(0)[:, None] + np.float32(SPREAD_FLOOR)
    word_evidence = word_evidence / spread.T
    word_inputs, words_mean, words_scale = _standardize(word_evidence, image_weights, scale)
    offset = offset + (word_evidence - words_mean) @ prior
    both = np.concatenate([inputs, word_inputs], 1)
    weights, bias = fit_logistic_regression(
        both, truth, multi_label, penalty, offset, image_weights
    )
    feature_weights = weights[: inputs.shape[1]] * features_scale + start
    bias = bias - features_mean @ feature_weights
    word_weights = weights[inputs.shape[1] :] * words_scale + prior
    return Classifier(feature_weights, word_weights / spread, bias - words_mean @ word_weights)


def fit_calibrated(
    features: np.ndarray,
    word_evidence: np.ndarray | None,
    truth: np.ndarray,
    prior: np.ndarray | None,
    multi_label: bool,
    dev: tuple[np.ndarray, np.ndarray | None, np.ndarray] | None = None,
    prototypes: np.ndarray | None = None,
    balanced: bool = False,
) -> tuple[Classifier, np.ndarray]:
    """Fit a Classifier that is as confident as it is right.

    Args:
        features: as for `fit_classifier`.
        word_evidence: as for `fit_classifier`.
        truth: as for `fit_classifier`.
        prior: as for `fit_classifier`.
        multi_label: as for `fit_classifier`.
        dev: features, word evidence and truth of other images to calibrate on; None: the images
            themselves, by classifiers that were fitted without them (see `held_out_logits`).
        prototypes: as for `fit_classifier`.
        balanced: as for `fit_classifier`; then every class counts alike for the confidence, too.

    Returns:
        The Classifier, and the logits [N, C] of the images that it was calibrated on.
    """

    def fit(
        features: np.ndarray, word_evidence: np.ndarray | None, truth: np.ndarray
    ) -> Classifier:
        return fit_classifier(
            features, word_evidence, prior, truth, multi_label, None, prototypes, balanced
        )

    classifier = fit(features, word_evidence, truth)
    if dev is not None:
        dev_features, dev_evidence, truth = dev
        logits = classifier.logits(dev_features, dev_evidence)
    else:
        logits = held_out_logits(features, word_evidence, truth, fit)
    image_weights = class_weights(truth) if balanced else None
    temperature = fit_temperature(logits, truth, multi_label, image_weights)
    return classifier.with_temperature(temperature), logits / np.float32(temperature)


def fit_temperature(
    logits: np.ndarray,
    truth: np.ndarray,
    multi_label: bool,
    image_weights: np.ndarray | None = None,
) -> float:
    """Return the temperature at which a classifier is as confident as it is right.

    Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.

    Args:
        logits: [N, C], of images that the classifier was not fitted to; nan where unknown.
        truth: [N, C] of 0 and 1.
        multi_label: whether an image may show several classes.
        image_weights: how much each image counts, [N]; None: all alike.

    Returns:
        One of TEMPERATURES; 1 where all logits are unknown.
    """
    known = ~np.isnan(logits).any(1)
    if not known.any():
        return 1.0
    logits = logits[known]
    truth = truth[known]
    if image_weights is None:
        image_weights = np.ones(len(known), np.float32)
    row_weights = image_weights[known, None]

    def loss(temperature: float) -> float:
        scores = np.clip(probabilities(logits / temperature, multi_label), 1e-7, 1 - 1e-7)
        absent = multi_label * (1 - truth)
        return -np.mean(row_weights * (truth * np.log(scores) + absent * np.log(1 - scores)))

    return float(min(TEMPERATURES, key=loss))


def held_out_logits(
    features: np.ndarray,
    word_evidence: np.ndarray | None,
    truth: np.ndarray,
    fit: Fit,
    seed: int = 1,
) -> np.ndarray:
    """Return logits [N, C] of every image, by classifiers that were fitted without it.

    The images are held out in FOLDS parts, with a like share of every class, and those that are
    nearly the same together: a classifier would know one from the other. Where that leaves a
    class without an image, the logits of the part are nan.

    Args:
        features: as for `fit_classifier`.
        word_evidence: as for `fit_classifier`.
        truth: as for `fit_classifier`.
        fit: fits a Classifier to some of them.
        seed: of the order of the images.
    """
    logits = np.full(truth.shape, np.nan, np.float32)
    for rest, part in held_out_parts(truth, near_duplicate_groups(features, truth), seed):
        rest_evidence = part_evidence = None
        if word_evidence is not None:
            rest_evidence = word_evidence[rest]
            part_evidence = word_evidence[part]
        classifier = fit(features[rest], rest_evidence, truth[rest])
        logits[part] = classifier.logits(features[part], part_evidence)
    return logits


def near_duplicate_groups(features: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return a number for each image, equal for those of a class that are nearly the same.

    So are images that have another one in common that they are nearly the same as. In a class of
    which most images are, every image has its own number: what is left would be too little to learn
    from. Only the images in the same MAX_COMPARED rows are compared.

    Args:
        features: float32 [N, F].
        truth: [N, C] of 0 and 1.
    """
    groups = np.arange(len(features))
    singles = groups.copy()
    classes = truth.argmax(1)
    for start in range(0, len(features), MAX_COMPARED):
        part = slice(start, start + MAX_COMPARED)
        close = close_rows(features[part]) & (classes[part, None] == classes[part])
        groups[part] = start + connected_rows(close)
    for label in np.unique(classes):
        rows = np.flatnonzero(classes == label)
        if is_mostly_one(groups[rows]):
            groups[rows] = singles[rows]
    return np.asarray(np.unique(groups, return_inverse=True)[1])


def is_mostly_one(groups: np.ndarray) -> bool:
    """Return whether more than half of the images of a class, two or more, are in one group."""
    return len(groups) > 1 and 2 * int(np.unique(groups, return_counts=True)[1].max()) > len(groups)


def close_rows(features: np.ndarray) -> np.ndarray:
    """Return which images are nearly the same as which, bool [N, N]; each is as itself."""
    units = l2_normalize(features)
    close: np.ndarray = units @ units.T > NEAR_DUPLICATE
    np.fill_diagonal(close, True)
    return close


def connected_rows(close: np.ndarray) -> np.ndarray:
    """Return the first row that each row is connected with, by steps between close ones, [N].

    Args:
        close: bool [N, N], symmetric, True in its diagonal.
    """
    if not len(close):
        return np.zeros(0, int)
    first = close.argmax(1)
    while True:
        following = np.where(close, first, len(first)).min(1)
        following = np.minimum(following, following[following])
        if (following == first).all():
            return first
        first = following


def held_out_parts(
    truth: np.ndarray, groups: np.ndarray, seed: int = 1
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the rows of the images to fit to and those that are held out, in FOLDS parts.

    Every part has a like share of every class. One that would leave a class without an image, of
    those that have any, is left out.

    Args:
        truth: [N, C] of 0 and 1.
        groups: a number for each image, [N]: those with the same one are held out together.
        seed: of the order of the images.
    """
    _, leaders, group_ids = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(leaders))
    order = order[np.argsort(truth[leaders[order]].argmax(1), kind="stable")]
    fold_of_group = np.empty(len(order), int)
    fold_of_group[order] = np.arange(len(order)) % FOLDS
    folds = fold_of_group[group_ids]
    parts = [np.flatnonzero(folds == fold) for fold in range(min(FOLDS, len(order)))]
    classes = truth.any(0)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(truth)), part)
        if (truth[rest].any(0) == classes).all():
            yield rest, part


def _standardize(
    rows: np.ndarray, row_weights: np.ndarray | None, size: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.float32]:
    """Return `rows` less their mean and with the mean square `size` squared; mean and factor."""
    if row_weights is None:
        row_weights = np.ones(len(rows), np.float32)
    mean = (row_weights[:, None] * rows).mean(0)
    centred = rows - mean
    scale = np.float32(size / max(np.sqrt((row_weights * (centred**2).sum(1)).mean()), 1e-6))
    return centred * scale, mean, scale


def fit_logistic_regression(
    inputs: np.ndarray,
    truth: np.ndarray,
    multi_label: bool,
    penalty: float,
    offset: np.ndarray | float = 0,
    image_weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit inputs @ weights + bias + offset to `truth`.

    It minimises the weighted mean loss + penalty / N / 2 * the squared weights, by Nesterov's
    accelerated gradient for strongly convex functions.

    Args:
        inputs: float32 [N, D].
        truth: float32 [N, C] of 0 and 1; what is nan counts nothing.
        multi_label: whether several classes may be there at once.
        penalty: see above.
        offset: [N, C], or 0.
        image_weights: how much an image counts, float32 [N] with a mean of 1; None: all alike.

    Returns:
        weights float32 [D, C] and bias float32 [C].
    """
    count = len(inputs)
    penalty = penalty / count
    if image_weights is None:
        image_weights = np.ones(count, np.float32)
    row_weights = image_weights[:, None]
    basis = None
    if inputs.shape[1] > count:
        # The weights lie in the span of the images: a class needs no more unknowns than those.
        values, vectors = np.linalg.eigh(inputs @ inputs.T)
        positive = values > 1e-7 * values[-1]
        roots = np.sqrt(values[positive])
        basis = inputs.T @ (vectors[:, positive] / roots)
        inputs = vectors[:, positive] * roots
    loss_curvature = 0.25 if multi_label else 0.5
    curvature = (
        _largest_eigenvalue(np.sqrt(row_weights) * inputs) / count * loss_curvature + penalty
    )
    momentum = 1 - 2 / (1 + np.sqrt(curvature / penalty))
    unknown = np.isnan(truth)
    some_unknown = bool(unknown.any())
    known_counts = np.maximum(1, (row_weights * ~unknown).sum(0, dtype=np.float64))
    frequency = np.clip(np.nansum(row_weights * truth, 0) / known_counts, 1e-3, 1 - 1e-3)
    odds = frequency / (1 - frequency) if multi_label else frequency
    bias: np.ndarray = np.log(odds)
    weights = np.zeros((inputs.shape[1], truth.shape[1]), np.float32)
    last_bias = bias
    last_weights = weights
    for _ in range(min(MAX_STEPS, 10 + int(5 * np.sqrt(curvature / penalty)))):
        ahead = weights + momentum * (weights - last_weights)
        ahead_bias = bias + momentum * (bias - last_bias)
        error = probabilities(inputs @ ahead + ahead_bias + offset, multi_label) - truth
        error = row_weights * error / count
        if some_unknown:
            error[unknown] = 0
        last_weights = weights
        last_bias = bias
        weights = ahead - (inputs.T @ error + penalty * ahead) / np.float32(curvature)
        bias = ahead_bias - error.sum(0)
    if basis is not None:
        weights = basis @ weights
    return weights.astype(np.float32), bias.astype(np.float32)


def _largest_eigenvalue(inputs: np.ndarray) -> float:
    """Return the largest eigenvalue of inputs.T @ inputs, by power iteration and a little more."""
    vector = np.random.default_rng(0).normal(size=(inputs.shape[1],)).astype(np.float32)
    for _ in range(30):
        vector = inputs.T @ (inputs @ vector)
        value = float(np.linalg.norm(vector))
        vector /= max(value, 1e-12)
    return 1.05 * value
