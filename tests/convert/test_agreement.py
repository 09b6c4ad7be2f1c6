"""The distance of a bundle from its float model, by hand and with real models."""

from types import SimpleNamespace

import numpy as np
import pytest

from picaption.convert.agreement import compare
from picaption.convert.options import Agreement
from picaption.device import Bundle, Recognizer
from picaption.device.bundle.bundle import Encoded
from picaption.models.run_folder import FloatModel

IMAGE = np.zeros((1, 1, 3), np.uint8)


def model_of(features, scores):
    """Return a classifier of these features and scores, whatever the image is."""
    return SimpleNamespace(
        vocabulary=None,
        labels=("cat", "dog"),
        encode=lambda image: Encoded(np.array([features], np.float32), None, None),
        classify=lambda features, word_evidence: np.array(scores, np.float32),
    )


def test_features_and_classes_by_hand():
    exact = model_of([3, 4], [0.75, 0.25])
    # The cosine of (3, 4) and (4, 3) is 24/25.
    turned = model_of([4, 3], [0.5, 0.25])
    assert compare(exact, turned, [IMAGE]) == Agreement(
        features=0.04, words=0.0, classes=0.125, caption=1.0, top=1.0, largest=0.25
    )
    swapped = model_of([3, 4], [0.25, 0.75])
    assert compare(exact, swapped, [IMAGE, IMAGE]) == Agreement(
        features=0.0, words=0.0, classes=0.5, caption=1.0, top=0.0, largest=0.5
    )


def test_a_model_agrees_with_itself(run, data, photos):
    model = FloatModel(run)
    images = [Recognizer(model).prepare(image) for image in photos.values()]
    agreement = compare(model, model, images)
    assert agreement.features == pytest.approx(0, abs=1e-5)
    assert (agreement.words, agreement.classes) == (0.0, 0.0)
    assert (agreement.caption, agreement.top) == (1.0, 1.0)


def test_int8_bundle_agrees_with_the_float_models(run, bundle, photos):
    model = FloatModel(run)
    quantized_model = Bundle(bundle)
    for photo in photos.values():
        image = Recognizer(quantized_model).prepare(photo)
        exact = model.encode(image)
        quantized = quantized_model.encode(image)
        cosine = (exact.features @ quantized.features.T).item() / (
            np.linalg.norm(exact.features) * np.linalg.norm(quantized.features)
        )
        assert cosine > 0.97
        history = np.array([[0, 0], [0, 3]], np.int32)
        np.testing.assert_allclose(
            np.exp(quantized_model.next_word(history, exact.context)),
            np.exp(model.next_word(history, exact.context)),
            atol=0.05,
        )
