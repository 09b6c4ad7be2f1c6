"""Fitting: the average of a model with its start, and a loss that leaves out the unknown."""

import keras
import numpy as np
import pytest

from picaption.models.data.batches import UNKNOWN_LABEL
from picaption.models.training.fit import average_weights, known_binary_crossentropy


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
