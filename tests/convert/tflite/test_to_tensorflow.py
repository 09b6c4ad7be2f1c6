"""A graph as TensorFlow operators computes what the graph computes."""

import keras
import numpy as np
import pytest

from picaption.convert.tflite.to_tensorflow import TFLiteFunction
from picaption.device import PicaptionError
from picaption.device.bundle.runtime import make_interpreter
from tests.convert.networks import encoder_graph, many_operators, read_images


def test_it_returns_what_the_graph_returns(data):
    graph = encoder_graph(many_operators())
    images = np.stack(read_images(data)[:3])
    runner = make_interpreter(graph).get_signature_runner("encode")
    expected = np.concatenate([runner(image=image[None])["features"] for image in images])
    function = TFLiteFunction(graph, "encode")
    np.testing.assert_allclose(function({"image": images})["features"], expected, atol=1e-5)
    zeros = {index: weight * 0 for index, weight in function.weights.items()}
    np.testing.assert_array_equal(
        function({"image": images}, zeros)["features"], np.full((3, 5), 0.5)
    )


@pytest.fixture
def doubling():
    """A convolution of 1x1 that doubles the first colour, and adds 0.5."""
    image = keras.Input((2, 2, 3))
    model = keras.Model(image, keras.layers.Conv2D(1, 1, name="double")(image))
    kernel = np.zeros((1, 1, 3, 1), np.float32)
    kernel[0, 0, 0, 0] = 2
    model.get_layer("double").set_weights([kernel, np.full(1, 0.5, np.float32)])
    return TFLiteFunction(encoder_graph(model), "encode")


def test_weights_and_values_by_hand(doubling):
    image = np.zeros((1, 2, 2, 3), np.uint8)
    image[0, 0, 0, 0] = 255
    assert sorted(array.shape for array in doubling.weights.values()) == [(1,), (1, 1, 1, 3)]
    assert list(doubling.kernels.values()) == ["CONV_2D"]
    np.testing.assert_allclose(
        np.ravel(doubling({"image": image})["features"]), [2.5, 0.5, 0.5, 0.5], atol=1e-6
    )


def test_outputs_can_be_replaced(doubling):
    opcodes = []

    def halve_convolutions(opcode, values):
        opcodes.append(opcode)
        return values / 2 if opcode == "CONV_2D" else values

    image = np.zeros((1, 2, 2, 3), np.uint8)
    features = doubling({"image": image}, None, halve_convolutions)["features"]
    np.testing.assert_allclose(np.ravel(features), [0.25] * 4, atol=1e-6)
    assert opcodes[0] == "CAST"
    assert "CONV_2D" in opcodes


def test_an_operator_that_is_not_known_is_named():
    image = keras.Input((32, 32, 3))
    leaky = keras.layers.LeakyReLU(name="leaky")(keras.layers.Conv2D(4, 3)(image))
    with pytest.raises(
        PicaptionError,
        match="the layer .* is a LEAKY_RELU, which cannot be tuned: convert without --max-loss",
    ):
        TFLiteFunction(encoder_graph(keras.Model(image, leaky)), "encode")
