"""Calibrating the captions' confidence on labelled dev images.

Logistic regression from the inputs of picaption.device.recognition.confidence to whether a caption
is clean: whether it names no object that is neither a label of its image nor named by a caption
that a person wrote. Captions that name no class tell nothing of it. Its weights have a Gaussian
prior. Of confidences that each come from the folds
without their image, Platt scaling ("Probabilistic Outputs for Support Vector Machines", 1999) takes
back what the fit is surer of than it should be; and they choose the threshold.
"""

import dataclasses
import logging
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from picaption.device.bundle.metadata import Confidence
from picaption.device.recognition.confidence import BELOW_THRESHOLD, INPUTS, OBJECTS
from picaption.device.recognition.recognizer import Recognizer
from picaption.device.recognition.result import Caption

from ..evaluation.confidence_report import (
    CLEAN_SHARE,
    RatedCaptions,
    confidence_figures,
    risk_coverage,
)
from ..evaluation.object_hallucination import clean_captions
from ..run_folder import FloatModel
from .classifier import class_scores
from .training_run import TrainingRun

logger = logging.getLogger(__name__)

#: The precision of the weights' prior, for inputs of unit variance.
PENALTY = 1.0
#: Parts of the images that are held out in turn.
FOLDS = 5
#: The fewest captions of either sort, clean or not, in all but one fold, that tell them apart.
MIN_CAPTIONS = 20
#: The most steps of a fit, and how small a step ends it.
MAX_STEPS = 100
SMALL_STEP = 1e-9
#: No weight is larger; the bundle's metadata bounds them too.
MAX_WEIGHT = 100.0


@dataclass(frozen=True)
class Calibration:
    """The confidence's weights, and what they were on images that did not choose them.

    Attributes:
        confidence: What the bundle gets.
        held_out: The captions with their confidences by the other folds.
    """

    confidence: Confidence
    held_out: RatedCaptions


def calibrate_confidence(run: TrainingRun) -> None:
    """Fit the confidence's weights to captions of the labelled dev images, if there are enough.

    The captions are those that the run's models say with the bundle's settings. What the dev images
    of `label_dev_captions` are captioned with counts as being there, like their labels.
    """
    labels_dev = run.data.labels_dev
    if not (labels_dev and run.metadata.object_words and run.metadata.head == "multi-label"):
        return
    assert run.features.labels_dev is not None
    model = FloatModel(run.folder)
    model.metadata = run.metadata
    recognizer = Recognizer(model)
    scores = class_scores(run, model, run.features.labels_dev, "labels_dev")
    captions, inputs = caption_features(recognizer, run.features.labels_dev, scores)
    is_clean = clean_captions(
        [caption.text for caption in captions],
        [record.labels for record in labels_dev.records],
        labels_dev.classes,
        [record.captions for record in labels_dev.records],
    )
    calibration = fit_confidence(inputs, np.array(is_clean))
    if calibration is None:
        logger.warning(
            "captions have no confidence: too few of the %d dev images' captions name an object "
            "that is absent, or too few name none",
            len(captions),
        )
        return
    figures = {"captions": len(captions), **confidence_figures(calibration.held_out)}
    logger.info("confidence of the dev captions, by folds without them: %s", figures)
    run.metadata = dataclasses.replace(
        run.metadata,
        confidence=calibration.confidence,
        provenance=run.metadata.provenance | {"confidence": figures},
    )


def caption_features(
    recognizer: Recognizer, features: np.ndarray, class_scores: np.ndarray
) -> tuple[list[Caption], np.ndarray]:
    """Return what a run's Recognizer says of cached features, and the inputs of its confidence.

    Args:
        recognizer: Over a FloatModel.
        features: float [N, F] or [N, G, F].
        class_scores: What the search listens to, float32 [N, C].

    Returns:
        N captions, and float64 [N, 5].
    """
    model = recognizer.model
    assert isinstance(model, FloatModel)
    captions = []
    inputs = []
    rows = tqdm(zip(features, class_scores), "dev captions", len(features), disable=None)
    for row, scores in rows:
        encoded = model.encode_features(row[None])
        caption = recognizer.caption(encoded, scores, recognizer.name_scores(encoded))
        assert caption is not None
        captions.append(caption)
        inputs.append(recognizer.confidence_inputs(caption, scores, encoded.tags))
    return captions, np.array(inputs)


def fit_confidence(inputs: np.ndarray, is_clean: np.ndarray, seed: int = 1) -> Calibration | None:
    """Fit the confidence's weights and choose its threshold.

    Args:
        inputs: Of N captions, float64 [N, I], in the order of
            picaption.device.recognition.confidence.INPUTS.
        is_clean: Which captions name no absent object, bool [N].
        seed: Draws the folds.

    Returns:
        The Calibration; None if there are too few captions of either sort.
    """
    known = inputs[:, OBJECTS] > 0
    count = int(known.sum())
    known_inputs = inputs[known]
    truth = is_clean[known]
    if min(truth.sum(), count - truth.sum()) < MIN_CAPTIONS:
        return None
    folds = np.random.default_rng(seed).permutation(np.arange(count) % FOLDS)
    held_out = np.empty(count)
    for fold in range(FOLDS):
        is_held_out = folds == fold
        weights = fit_logistic(known_inputs[~is_held_out], truth[~is_held_out], PENALTY)
        held_out[is_held_out] = logits_of(known_inputs[is_held_out], weights)
    offset, slope = fit_logistic(held_out[:, None], truth, 0.0)
    # A negative slope would turn the order round: then the inputs tell nothing.
    slope = max(0.0, slope)
    bias, *rest = (slope * fit_logistic(known_inputs, truth, PENALTY)).tolist()
    weights_by_name = dict(zip(INPUTS, np.clip(rest, -MAX_WEIGHT, MAX_WEIGHT).tolist()))
    known_confidences = 1 / (1 + np.exp(-(offset + slope * held_out)))
    threshold = choose_threshold(known_confidences, truth)
    confidences = np.full(len(inputs), max(0.0, threshold - BELOW_THRESHOLD))
    confidences[known] = known_confidences
    confidence = Confidence(
        bias=float(np.clip(bias + offset, -MAX_WEIGHT, MAX_WEIGHT)),
        **weights_by_name,
        threshold=threshold,
    )
    return Calibration(confidence, RatedCaptions(confidences, is_clean, threshold))


def fit_logistic(inputs: np.ndarray, truth: np.ndarray, penalty: float) -> np.ndarray:
    """Return the likeliest bias and weights of a logistic regression, float64 [1 + I].

    By Newton's method. The weights, of inputs at unit variance, have a Gaussian prior; an input
    that never varies has the weight 0.

    Args:
        inputs: float64 [N, I].
        truth: bool [N], of both sorts.
        penalty: The prior's precision; 0 for none.
    """
    mean = inputs.mean(axis=0)
    spread = inputs.std(axis=0)
    varies = spread > 1e-9
    scale = np.where(varies, spread, 1.0)
    design = np.column_stack([np.ones(len(inputs)), np.where(varies, (inputs - mean) / scale, 0.0)])
    # A trace of a prior keeps the equations solvable, also of inputs that say the same.
    precision = np.diag([1e-6, *np.full(inputs.shape[1], penalty + 1e-6)])
    weights = np.zeros(design.shape[1])
    for _ in range(MAX_STEPS):
        shares = 1 / (1 + np.exp(-np.clip(design @ weights, -500, 500)))
        gradient = design.T @ (shares - truth) + precision @ weights
        curvature = (design * (shares * (1 - shares))[:, None]).T @ design + precision
        step = np.linalg.solve(curvature, gradient)
        # A step across the whole range would overshoot where a sort is easy to tell.
        weights -= step * min(1.0, 5.0 / max(np.abs(step).max(), 1e-12))
        if np.abs(step).max() < SMALL_STEP:
            break
    raw = np.where(varies, weights[1:] / scale, 0.0)
    return np.array([weights[0] - raw @ mean, *raw])


def logits_of(inputs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return bias + weights . inputs, float64 [N], of what `fit_logistic` returns."""
    return weights[0] + inputs @ weights[1:]


def choose_threshold(confidences: np.ndarray, is_clean: np.ndarray) -> float:
    """Return the lowest threshold, 0 to 1, so that CLEAN_SHARE of the captions above are clean.

    It is 1 where no threshold does that: then every caption is shown as uncertain.
    """
    curve = risk_coverage(confidences, is_clean)
    reached = curve.thresholds[curve.clean >= CLEAN_SHARE]
    if not len(reached):
        return 1.0
    # Rounded up: rounded down, it could let in captions that it is to keep out.
    return float(np.ceil(1000 * reached[-1]) / 1000)
