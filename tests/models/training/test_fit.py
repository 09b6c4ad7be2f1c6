"""Fitting: the average of a model with its start, and a loss that leaves out the unknown."""

import keras
import numpy as np
import pytest

from picaption.device.recognition.classifier import Classifier
from picaption.models.data.batches import UNKNOWN_LABEL
from picaption.models.training.fit import (
    NameDistillation,
    average_weights,
    known_binary_crossentropy,
)


def test_average_weights_by_hand():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.set_weights([np.array([[4.0, 8.0]]), np.array([0.0, -4.0])])
    average_weights(model, [np.array([[0.0, 4.0]]), np.array([8.0, 0.0])], 0.75)
    kernel, bias = model.get_weights()
    assert kernel.tolist() == [[3, 7]] and bias.tolist() == [2, -3]


def test_unknown_labels_count_nothing():
    labels = np.array([[1, 0, UNKNOWN_LABEL, UNKNOWN_LABEL]], np.float32)
    logits = np.array([[0, 0, 50, -50]], np.float32)
    loss = keras.ops.convert_to_numpy(known_binary_crossentropy(labels, logits))
    # log 2 for each of two known classes of four.
    assert loss == pytest.approx([np.log(2) / 2])


def test_what_the_untuned_network_told_apart_must_not_be_forgotten():
    untuned = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    untuned.set_weights([np.eye(2, dtype=np.float32)])
    classifier = Classifier(
        np.array([[1, 0], [0, 1]], np.float32), None, np.zeros(2, np.float32), raw=True
    )
    layer = NameDistillation(classifier, untuned, weight=2.0)
    image = np.array([[np.log(3), 0]], np.float32)
    features = keras.ops.convert_to_tensor(image)
    np.testing.assert_array_equal(layer(features, image), image)
    assert float(layer.losses[0]) == pytest.approx(0, abs=1e-6)
    # Tuned features that tell nothing apart: twice KL((3/4, 1/4) || (1/2, 1/2)).
    layer(keras.ops.zeros((1, 2)), image)
    lost = 0.75 * np.log(1.5) + 0.25 * np.log(0.5)
    assert float(layer.losses[0]) == pytest.approx(2 * lost, rel=1e-5)
    # The names' layer is tuned, the untuned network is not.
    assert len(layer.trainable_weights) == 2
