"""The confidence's weights: found again where they are known, and honest where they are not."""

import math
from dataclasses import replace

import numpy as np
import pytest

from picaption.device.bundle.metadata import from_json, to_json
from picaption.device.images import read_image
from picaption.device.recognition.confidence import INPUTS, caption_confidence
from picaption.device.recognition.recognizer import Recognizer
from picaption.models.run_folder import FloatModel
from picaption.models.training import confidence as confidence_stage
from picaption.models.training.confidence import (
    calibrate_confidence,
    choose_threshold,
    fit_confidence,
    fit_logistic,
)
from picaption.models.training.train import (
    describe_bundle,
    encode_images,
    learn_words,
    load_images,
    train_encoder,
)
from picaption.models.training.training_run import TrainingRun
from tests.device.fakes.metadata import METADATA


def drawn(count, seed=0):
    """Return inputs and truth of which the first input's log-odds, doubled, tell."""
    random = np.random.default_rng(seed)
    inputs = random.normal(0, 1, (count, len(INPUTS)))
    inputs[:, 3] = 1.0  # Every caption names an object.
    inputs[:, 4] = 0.0
    truth = random.random(count) < 1 / (1 + np.exp(-2 * inputs[:, 0] - 0.5))
    return inputs, truth


def test_a_logistic_regression_by_hand():
    # Of those at 0 one of four is true, of those at 1 three of four: ln 1/3, and from there ln 9.
    inputs = np.repeat([[0.0], [1.0]], 4, axis=0)
    truth = np.array([True, False, False, False, True, True, True, False])
    bias, weight = fit_logistic(inputs, truth, 0.0)
    assert bias == pytest.approx(-math.log(3), abs=1e-4)
    assert weight == pytest.approx(math.log(9), abs=1e-4)
    assert 0 < fit_logistic(inputs, truth, 5.0)[1] < weight


def test_what_can_be_told_for_sure_has_finite_weights():
    weights = fit_logistic(np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1]), 1.0)
    assert np.isfinite(weights).all() and weights[1] > 0
    assert np.isfinite(fit_logistic(np.zeros((4, 2)), np.array([0, 0, 1, 1]), 1.0)).all()


def test_known_weights_are_found_again():
    calibration = fit_confidence(*drawn(4000))
    confidence = calibration.confidence
    assert confidence.bias == pytest.approx(0.5, abs=0.15)
    assert confidence.lowest_score == pytest.approx(2.0, abs=0.25)
    others = (confidence.other_score, confidence.word_log_probability, confidence.objects)
    assert np.abs(others).max() < 0.15 and confidence.lowest_tag == 0.0


def test_the_confidence_holds_on_other_captions():
    calibration = fit_confidence(*drawn(800))
    inputs, truth = drawn(4000, seed=1)
    confidences = np.array([caption_confidence(calibration.confidence, row) for row in inputs])
    for low in (0.1, 0.3, 0.5, 0.7, 0.9):
        inside = (confidences >= low - 0.1) & (confidences < low + 0.1)
        assert truth[inside].mean() == pytest.approx(confidences[inside].mean(), abs=0.06)
    shown = confidences >= calibration.confidence.threshold
    assert shown.mean() > 0.1 and truth[shown].mean() > 0.93


def test_inputs_that_tell_nothing_leave_the_share():
    inputs, truth = drawn(800)
    noise = np.random.default_rng(2).normal(0, 1, inputs.shape)
    noise[:, 3] = 1.0
    calibration = fit_confidence(noise, truth)
    confidences = calibration.held_out.confidences
    assert np.abs(confidences - truth.mean()).max() < 0.15
    # No threshold shows captions of which 95 % are clean.
    assert calibration.confidence.threshold > 0.6


def test_captions_that_name_nothing_stay_below_the_threshold():
    inputs, truth = drawn(400)
    expected = fit_confidence(inputs, truth)
    nothing = np.zeros((3, len(INPUTS)))
    calibration = fit_confidence(np.vstack([inputs, nothing]), np.append(truth, [True] * 3))
    assert calibration.confidence == expected.confidence
    below = calibration.held_out.confidences[-3:]
    assert below == pytest.approx(calibration.confidence.threshold - 0.001)
    assert caption_confidence(calibration.confidence, nothing[0]) == below[0]


def test_too_few_captions_of_a_sort_have_no_confidence():
    inputs, truth = drawn(100)
    truth[:] = True
    truth[:19] = False
    assert fit_confidence(inputs, truth) is None
    truth[:20] = False
    assert fit_confidence(inputs, truth) is not None


def test_the_metadata_takes_what_is_fitted():
    metadata = replace(METADATA, confidence=fit_confidence(*drawn(200)).confidence)
    assert from_json(to_json(metadata), "here") == metadata


def test_the_stage_rates_what_the_run_says_of_dev_images(run, data, settings, monkeypatch, caplog):
    training = TrainingRun(settings, data, run)
    for stage in (load_images, learn_words, describe_bundle, train_encoder, encode_images):
        stage(training)
    calibrate_confidence(training)
    assert training.metadata.confidence is None
    assert "too few of the 6 dev images' captions" in caplog.text
    # Half of six captions: enough for the machinery, not for a confidence that holds.
    captions = []

    def alternate(texts, labels, classes, references):
        captions.extend(texts)
        return [index % 2 == 0 for index in range(len(texts))]

    monkeypatch.setattr(confidence_stage, "clean_captions", alternate)
    monkeypatch.setattr(confidence_stage, "MIN_CAPTIONS", 1)
    calibrate_confidence(training)
    assert training.metadata.provenance["confidence"]["captions"] == 6
    # The bundle's own code gives the same captions, and now a confidence with them.
    model = FloatModel(run)
    model.metadata = training.metadata
    recognizer = Recognizer(model)
    for record, text in zip(training.data.labels_dev.records, captions):
        caption = recognizer(read_image(record.path)).caption
        assert caption.text == text and 0 <= caption.confidence <= 1


def test_the_threshold_by_hand():
    confidences = np.arange(40, 0, -1) / 40
    is_clean = np.ones(40, bool)
    is_clean[[25, 30]] = False
    # 30 with one that is not clean: 96.7 %; 31 with two: 93.5 %; 40 with two are 95 % again.
    assert choose_threshold(confidences, is_clean) == 0.025
    is_clean[39] = False
    # All with three: 92.5 %. The 30 surest end at 11/40.
    assert choose_threshold(confidences, is_clean) == 0.275
    assert choose_threshold(np.array([0.9, 0.8]), np.array([False, True])) == 1.0
