"""Weights trained to their quantization lose less by it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from picaption.convert.qat import (
    finetune_encoder,
    round_activations,
    round_weights,
    single_scale_opcodes,
)
from picaption.convert.tflite.export import convert_with_layer_names
from picaption.device.bundle.runtime import make_interpreter
from tests.convert.networks import encode_function, encoder_graph, read_images

WEIGHTS = [[1.27, -0.004, 0.016], [12.7, 0.26, 0.04]]


def test_a_scale_for_each_channel_by_hand():
    weights = tf.Variable(WEIGHTS)
    with tf.GradientTape() as tape:
        rounded = round_weights(weights, "FULLY_CONNECTED", ())
        total = tf.reduce_sum(rounded)
    # Steps of 0.01 and of 0.1.
    np.testing.assert_allclose(rounded, [[1.27, 0, 0.02], [12.7, 0.3, 0]], atol=1e-6)
    np.testing.assert_array_equal(tape.gradient(total, weights), np.ones((2, 3)))
    # The channels of a depthwise convolution are its last axis.
    transposed = tf.reshape(tf.transpose(weights), (1, 1, 3, 2))
    depthwise = round_weights(transposed, "DEPTHWISE_CONV_2D", ())
    np.testing.assert_allclose(tf.transpose(tf.reshape(depthwise, (3, 2))), rounded, atol=1e-6)


def test_one_scale_for_a_tensor_by_hand():
    rounded = round_weights(tf.constant(WEIGHTS), "FULLY_CONNECTED", ("FULLY_CONNECTED",))
    np.testing.assert_allclose(rounded, [[1.3, 0, 0], [12.7, 0.3, 0]], atol=1e-6)


def test_activations_by_hand():
    values = tf.constant([0.0, 0.24, 0.74, 127.5])
    np.testing.assert_allclose(round_activations("ADD", values), [0, 0, 0.5, 127.5])
    assert round_activations("RESHAPE", values) is values


@pytest.mark.parametrize(
    ("per_tensor", "runtime", "opcodes"),
    [
        (True, "ai-edge-litert", ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")),
        (False, "tflite-runtime", ("FULLY_CONNECTED",)),
        (False, "ai-edge-litert", ()),
    ],
)
def test_what_has_one_scale_a_tensor(per_tensor, runtime, opcodes):
    assert single_scale_opcodes(per_tensor, runtime) == opcodes


def test_tuned_weights_bear_one_scale_a_tensor(data):
    images = read_images(data)
    image = keras.Input((32, 32, 3))
    tints = keras.layers.Conv2D(32, 1, activation="relu", name="tints")(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(tints))
    kernel = np.random.default_rng(2).uniform(-0.05, 0.15, (1, 1, 3, 32)).astype(np.float32)
    # This channel is always zero, and leaves the weights of the others two or three steps.
    kernel[..., 0] = -16
    model.get_layer("tints").set_weights([kernel, np.full(32, 0.02, np.float32)])
    exact = encoder_graph(model)
    examples = [("encode", {"image": image[None]}) for image in images]

    def features(graph):
        runner = make_interpreter(graph).get_signature_runner("encode")
        return np.concatenate([runner(image=image[None])["features"] for image in images])

    def error(function):
        """Return the error's share of the features' power in int8, one scale a tensor."""
        graph = convert_with_layer_names({"encode": function}, "int8", examples, per_tensor=True)
        expected = features(exact)
        return ((expected - features(graph)) ** 2).sum() / (expected**2).sum()

    single_scale = single_scale_opcodes(True, "ai-edge-litert")
    tuned = [finetune_encoder(exact, images, single_scale, epochs=20) for _ in range(2)]
    assert error(tuned[0]) < 0.75 * error(encode_function(model))
    first, second = (encode(images[0][None])["features"].numpy() for encode in tuned)
    np.testing.assert_array_equal(first, second)  # By the same seed.
