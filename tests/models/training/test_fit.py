"""Fitting: the average of a model with the weights that it started from."""

import keras
import numpy as np

from picaption.models.training.fit import average_weights


def test_average_weights_by_hand():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    model.set_weights([np.array([[4.0, 8.0]]), np.array([0.0, -4.0])])
    average_weights(model, [np.array([[0.0, 4.0]]), np.array([8.0, 0.0])], 0.75)
    kernel, bias = model.get_weights()
    assert kernel.tolist() == [[3, 7]] and bias.tolist() == [2, -3]
