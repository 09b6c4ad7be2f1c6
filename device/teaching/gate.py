"""Whether an image shows any of the classes, or none of these.

A softmax over the classes knows nothing else: the less an image has to do with them, the more a
little likeness to one of them decides. The gate is a logistic regression with one class more, none,
whose images are those of a Background. It takes the features at unit length and the square roots of
the probabilities of the bundle's names: what looks a bit like a class looks more like something
else that has a name, and the more so the more names compete. The scores of the classes are
multiplied by the probability that it is not none.

The bias of none is such that a certain share of the held-out pictures of the Background would pass,
or fewer.
Of those that pass, about 60 % are sure of a class (docs/reports/teaching.md).
"""

from dataclasses import dataclass, replace

import numpy as np

from ..recognition.classifier import (
    class_weights,
    fit_logistic_regression,
    l2_normalize,
    probabilities,
)
from .background import Background

#: The weight of the squared weights in the loss, for each image of a class.
PENALTY = 0.005
#: The size of the features beside the names, whose mean square over the Background is 1.
FEATURE_SCALE = 0.5
#: The share of pictures of other things that may get a class.
DEFAULT_SHARE = 0.05
#: The least bias of none: where classes are far from the Background, what lies between them is not
#: let through, however few pictures of the Background are there.
MIN_NONE_BIAS = -4.0
#: The share of pictures that pass the gate and are sure of a class, as measured for
#: docs/reports/teaching.md.
SURE_SHARE = 0.6


@dataclass(frozen=True)
class Gate:
    """A fitted gate for C classes; the last output is none of them.

    Attributes:
        features: weights of the features at unit length, float32 [F, C + 1].
        names: weights of the square roots of the names' probabilities, float32 [names, C + 1].
        bias: float32 [C + 1].
        share: the share of pictures of other things that get a class, 0 to 1.
    """

    features: np.ndarray
    names: np.ndarray
    bias: np.ndarray
    share: float

    def probability(self, features: np.ndarray, names: np.ndarray) -> np.ndarray:
        """Return the probability that images show any of the classes, float32 [N, 1].

        Args:
            features: [N, F].
            names: the probabilities of the names, [N, names].
        """
        logits = l2_normalize(features) @ self.features + np.sqrt(names) @ self.names + self.bias
        shown: np.ndarray = 1 - probabilities(logits, multi_label=False)[:, -1:]
        return shown.astype(np.float32)


def fit_gate(
    features: np.ndarray,
    names: np.ndarray,
    truth: np.ndarray,
    background: Background,
    negatives: tuple[np.ndarray, np.ndarray] | None = None,
    share: float = DEFAULT_SHARE,
) -> Gate:
    """Return the Gate of classes; every class counts alike, and the Background as all of them.

    Args:
        features: of images of the classes, float32 [N, F].
        names: the probabilities of their names, float32 [N, names].
        truth: [N, C] of 0 and 1, one 1 in every row.
        background: of the bundle.
        negatives: features and names of other images that show none of the classes; each counts
            as an image of a class does.
        share: the share of pictures of other things that may get a class, 0 to 1.
    """
    count, class_count = truth.shape
    fitted = len(background.features) - background.held_out
    parts = [(background.project(features), np.sqrt(names))]
    weights = [class_weights(truth)]
    if negatives is not None:
        parts.append((background.project(negatives[0]), np.sqrt(negatives[1])))
        weights.append(np.ones(len(negatives[0]), np.float32))
    parts.append((background.features[:fitted], background.name_roots[:fitted]))
    weights.append(np.full(fitted, count / fitted, np.float32))
    feature_scale = FEATURE_SCALE / _root_mean_square(background.features)
    name_mean = background.name_roots.mean(0)
    name_scale = 1 / _root_mean_square(background.name_roots - name_mean)
    inputs = np.concatenate(
        [
            np.concatenate([part for part, _ in parts]) * feature_scale,
            (np.concatenate([part for _, part in parts]) - name_mean) * name_scale,
        ],
        axis=1,
    )
    targets = np.zeros((len(inputs), class_count + 1), np.float32)
    targets[:count, :class_count] = truth
    targets[count:, class_count] = 1
    row_weights = np.concatenate(weights)
    fitted_weights, bias = fit_logistic_regression(
        inputs,
        targets,
        multi_label=False,
        penalty=PENALTY * count,
        image_weights=row_weights / row_weights.mean(),
    )
    axis_count = background.axes.shape[1]
    axis_weights = fitted_weights[:axis_count] * feature_scale
    name_weights = fitted_weights[axis_count:] * name_scale
    feature_weights = background.axes @ axis_weights
    bias = bias - background.mean @ feature_weights - name_mean @ name_weights
    gate = Gate(feature_weights, name_weights, bias.astype(np.float32), share)
    held_out = background.features[fitted:] @ axis_weights + background.mean @ feature_weights
    held_out = held_out + background.name_roots[fitted:] @ name_weights + bias
    return replace(gate, bias=gate.bias + _none_bias(held_out, min(share / SURE_SHARE, 1.0)))


def _root_mean_square(rows: np.ndarray) -> np.float32:
    """Return the root of the mean squared length of the rows."""
    return np.float32(max(np.sqrt((rows**2).sum(1).mean()), 1e-6))


def _none_bias(logits: np.ndarray, share: float) -> np.ndarray:
    """Return what to add to the bias so that a share of the images passes, float32 [C + 1].

    Args:
        logits: of images that show none of the classes, [N, C + 1].
        share: 0 to 1.
    """
    greatest = logits[:, :-1].max(1)
    any_class = greatest + np.log(np.exp(logits[:, :-1] - greatest[:, None]).sum(1))
    bias = np.zeros(logits.shape[1], np.float32)
    bias[-1] = max(np.quantile(any_class - logits[:, -1], 1 - share), MIN_NONE_BIAS)
    return bias
