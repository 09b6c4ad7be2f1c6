"""A bundle is a Model: what the protocol names, it has, with the shapes that are promised."""

import numpy as np

from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.vocabulary import START_ID
from picaption.device.recognition.model import Model


def test_a_bundle_is_a_model(bundle):
    model: Model = Bundle(bundle)
    shape = model.metadata.input
    encoded = model.encode(np.zeros((shape.height, shape.width, 3), np.uint8))
    assert encoded.features.dtype == np.float32 and len(encoded.features) == 1
    words = len(model.vocabulary)
    width = model.metadata.beam.width
    history = np.full((width, model.metadata.order - 1), START_ID, np.int32)
    log_probabilities = model.next_word(history, encoded.context)
    assert log_probabilities.shape == (width, words)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(1), 1, rtol=1e-4)
    scores = model.classify(encoded.features, np.zeros(words, np.float32))
    assert scores.shape == (len(model.labels),)
