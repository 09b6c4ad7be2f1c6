"""The classifier: logistic regression on the picture's features and the words that its caption calls for.

With f the features at unit length and s the words' evidence (picaption.device.bundle.word_evidence), each word's divided by how much it varies,

    z = W f + V s + b        P(class | picture) = softmax(z), or for classes beside each other 1 / (1 + exp(-z))

W and V are the likeliest under Gaussian priors. That of W has mean zero. That of V has for its mean what language says of a
class without a picture: that it is there where the captioner calls for the words of its name, or, where texts tell
(picaption.models.language.word_prior), for the words that go with it. The more pictures there are, the less language counts. The fit needs
numpy alone and takes seconds: it runs on the device too.
"""

import re
from dataclasses import dataclass

import numpy as np

#: The loss' share of the squared weights, times the number of pictures; found on COCO's everyday objects, where the same
#: value served from 80 pictures to 5,000.
PENALTY = 0.16
#: The size of the evidence beside the features, whose mean square is 1: the larger, the more freely V is learned. And the
#: least part of it, for classes of which language knows nothing.
EVIDENCE_SCALE, LEAST = 0.3, 0.27
#: What is added to the standard deviation of a word's evidence before that is divided by it, for the sake of words that are
#: hardly ever called for. Without the division, much of a caption's weight lies on words that it says anyway.
SPREAD_FLOOR = 0.1
#: What the words of a class' name weigh, a standard deviation of evidence. More serves COCO's classes even better, and harms
#: Imagenette's, of which the captioner has few names.
NAME_WEIGHT = 0.4
#: The number of pictures of a class with which language weighs half, for that class, of what it does without any.
PRIOR_PICTURES = 8
#: Steps of the fit at most, and folds in which its confidence is checked.
STEPS, FOLDS = 300, 5
#: Temperatures that are tried.
TEMPERATURES = np.geomspace(0.25, 4, 65)


@dataclass(frozen=True)
class Classifier:
    """A fitted classifier: features float32 [F, C], words [V, C] (None where they do not count) and bias [C], for C
    classes; raw: it takes features as they are, not at unit length, as others' classifiers do."""

    features: np.ndarray
    words: np.ndarray | None
    bias: np.ndarray
    raw: bool = False

    def logits(self, features, evidence=None):
        """Return z, float32 [N, C], for features [N, F] and evidence [N, V]."""
        told = 0 if self.words is None else evidence @ self.words
        seen = features if self.raw else l2_normalize(features)
        return (seen @ self.features + told + self.bias).astype(np.float32)

    def with_temperature(self, fit_temperature):
        """Return the Head whose logits are these divided by `temperature`."""
        words = None if self.words is None else self.words / np.float32(fit_temperature)
        return Classifier(
            self.features / np.float32(fit_temperature),
            words,
            self.bias / np.float32(fit_temperature),
            self.raw,
        )


def l2_normalize(features):
    """Return the rows of `features` [N, F] at unit length; zeros stay zeros."""
    return features / np.maximum(np.linalg.norm(features, axis=-1, keepdims=True), 1e-6)


def probabilities(logits, multi_label):
    """Return probabilities of logits [..., C]: of each class by itself, or of one of them."""
    if multi_label:
        return 0.5 * np.tanh(0.5 * logits) + 0.5  # Does not overflow.
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def name_prior(labels, vocabulary):
    """Return a prior by the classes' names, float32 [V, C]: a column shares NAME_WEIGHT among the words of the class' name,
    in singular and plural. It is zero where the vocabulary (picaption.device.bundle.vocabulary.Vocabulary) lacks one of them: half a name
    is that of something else. All is weighed by the share of classes that have one: the others could only lose by it."""
    names = np.zeros((len(vocabulary), len(labels)), np.float32)
    for column, label in enumerate(labels):
        forms = [
            {word, f"{word}s", f"{word}es", word.removesuffix("s")} & vocabulary.word_ids.keys()
            for word in re.findall(r"[a-z]+", label.lower())
        ]
        for known in forms if all(forms) else ():
            for form in known:
                names[vocabulary.word_ids[form], column] += NAME_WEIGHT / len(forms)
    return names * np.float32(names.any(0).mean())


def evidence_scale(prior):
    """Return the size of the evidence for classes of which language tells `prior` [V, C]: where it knows few of them, words
    tell little that features do not, and would rather be learned from chance."""
    return EVIDENCE_SCALE * max(float(np.sqrt(prior.any(0).mean())), LEAST)


def fit_classifier(features, evidence, prior, truth, multi_label, scale=None):
    """Return the Head fitted to features [N, F], evidence [N, V] and truth [N, C] of 0 and 1.

    prior: what language says of the classes, float32 [V, C], a class' log-odds for a standard deviation of each word's
    evidence. Without a captioner, evidence and prior are None. scale: the size of the evidence, by default that of evidence_scale.
    """
    truth = np.asarray(truth, np.float32)
    seen, seen_mean, seen_scale = _standardized(l2_normalize(features))
    inputs, offset = seen, 0
    if evidence is not None:
        scale = scale or evidence_scale(prior)
        prior = prior / (1 + truth.sum(0) / np.float32(PRIOR_PICTURES))
        spread = evidence.std(0)[:, None] + np.float32(SPREAD_FLOOR)
        evidence = evidence / spread.T
        told, told_mean, told_scale = _standardized(evidence, scale)
        inputs, offset = np.concatenate([seen, told], 1), (evidence - told_mean) @ prior
    weights, bias = fit_logistic_regression(inputs, truth, multi_label, PENALTY, offset)
    own = weights[: seen.shape[1]] * seen_scale
    bias = bias - seen_mean @ own
    if evidence is None:
        return Classifier(own, None, bias)
    words = weights[seen.shape[1] :] * told_scale + prior
    return Classifier(own, words / spread, bias - told_mean @ words)


def fit_calibrated(features, evidence, truth, prior, multi_label, dev=None):
    """Return (the Head that fit_head gives, as sure as it is right; logits [N, C] that say how good it is).

    dev: (features, evidence, truth) of other pictures, to calibrate it on, whose logits are returned. Without, those are of the
    pictures themselves, by heads that were fitted without them (see held_out_logits).
    """
    head = fit_classifier(features, evidence, prior, truth, multi_label)
    if dev:
        *inputs, truth = dev
        logits = head.logits(*inputs)
    else:
        logits = held_out_logits(features, evidence, prior, truth, multi_label)
    degree = fit_temperature(logits, truth, multi_label)
    return head.with_temperature(degree), logits / np.float32(degree)


def fit_temperature(logits, truth, multi_label):
    """Return the temperature at which a head is as sure as it is right (Guo et al., "On Calibration of Modern Neural
    Networks", ICML 2017); logits [N, C] are what it says of pictures that it was not fitted to. Those that are nan do not
    count; it is 1 where there are no others."""
    known = ~np.isnan(logits).any(1)
    if not known.any():
        return 1.0
    logits, truth = logits[known], truth[known]

    def loss(fit_temperature):
        sure = np.clip(probabilities(logits / fit_temperature, multi_label), 1e-7, 1 - 1e-7)
        return -np.mean(truth * np.log(sure) + (multi_label * (1 - truth)) * np.log(1 - sure))

    return float(min(TEMPERATURES, key=loss))


def held_out_logits(features, evidence, prior, truth, multi_label, seed=1):
    """Return logits [N, C] of every picture by heads that were fitted without it (FOLDS of them, each without a like share
    of every class), and by none of a class of which there would be no other picture: nan."""
    order = np.random.default_rng(seed).permutation(len(truth))
    order = order[np.argsort(truth[order].argmax(1), kind="stable")]
    parts = [order[start::FOLDS] for start in range(min(FOLDS, len(order)))]
    logits = np.full(truth.shape, np.nan, np.float32)
    for part in parts:
        rest = np.setdiff1d(np.arange(len(truth)), part)
        given = [None, None] if evidence is None else [evidence[rest], evidence[part]]
        if truth[rest].any(0).all():
            head = fit_classifier(features[rest], given[0], prior, truth[rest], multi_label)
            logits[part] = head.logits(features[part], given[1])
    return logits


def _standardized(rows, size=1.0):
    """Return `rows` less their mean and with the mean square `size` squared; the mean, and the factor."""
    mean = rows.mean(0)
    centred = rows - mean
    scale = np.float32(size / max(np.sqrt((centred**2).sum(1).mean()), 1e-6))
    return centred * scale, mean, scale


def fit_logistic_regression(inputs, truth, multi_label, penalty, offset=0):
    """Return (weights [D, C], bias [C]) with the least mean loss of inputs @ weights + bias + offset + penalty / N / 2 of the
    squared weights, by Nesterov's accelerated gradient for strongly convex functions.

    inputs: float32 [N, D]; truth: float32 [N, C] of 0 and 1; offset: [N, C] or 0.
    """
    count = len(inputs)
    penalty = penalty / count
    basis = None
    if inputs.shape[1] > count:
        # The weights lie in the span of the pictures: as many unknowns a class as there are pictures do.
        values, vectors = np.linalg.eigh(inputs @ inputs.T)
        kept = values > 1e-7 * values[-1]
        roots = np.sqrt(values[kept])
        basis, inputs = inputs.T @ (vectors[:, kept] / roots), vectors[:, kept] * roots
    curvature = _largest_eigenvalue(inputs) / count * (0.25 if multi_label else 0.5) + penalty
    momentum = 1 - 2 / (1 + np.sqrt(curvature / penalty))
    frequency = np.clip(truth.mean(0), 1e-3, 1 - 1e-3)
    bias = before_bias = np.log(frequency / (1 - frequency)) if multi_label else np.log(frequency)
    weights = before = np.zeros((inputs.shape[1], truth.shape[1]), np.float32)
    for _ in range(min(STEPS, 10 + int(5 * np.sqrt(curvature / penalty)))):
        ahead, ahead_bias = (
            weights + momentum * (weights - before),
            bias + momentum * (bias - before_bias),
        )
        error = (probabilities(inputs @ ahead + ahead_bias + offset, multi_label) - truth) / count
        before, before_bias = weights, bias
        weights = ahead - (inputs.T @ error + penalty * ahead) / np.float32(curvature)
        bias = ahead_bias - error.sum(0)
    return (weights if basis is None else basis @ weights).astype(np.float32), bias.astype(
        np.float32
    )


def _largest_eigenvalue(inputs):
    """Return the largest eigenvalue of inputs.T @ inputs, by power iteration and a little more."""
    vector = np.random.default_rng(0).normal(size=inputs.shape[1]).astype(np.float32)
    for _ in range(30):
        vector = inputs.T @ (inputs @ vector)
        value = np.linalg.norm(vector)
        vector /= max(value, 1e-12)
    return 1.05 * float(value)
