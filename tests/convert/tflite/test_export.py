"""Functions become graphs: frozen, named, and with an error of one line where TFLite cannot."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from picaption.convert.tflite.export import (
    convert_functions,
    convert_with_layer_names,
    embed,
    freeze,
    history_type,
    next_word_logits,
)
from picaption.device import PicaptionError
from picaption.device.bundle.runtime import make_interpreter


def test_a_frozen_function_keeps_its_names_and_its_weights():
    weight = tf.Variable(2.0)

    def scaled(image):
        return {"b": image * weight, "a": image + weight}

    frozen = freeze(scaled, tf.TensorSpec((1,), tf.float32, "image"))
    weight.assign(100.0)
    outputs = frozen(tf.constant([3.0]))
    assert {name: value.numpy().tolist() for name, value in outputs.items()} == {
        "a": [5.0],
        "b": [6.0],
    }


def test_every_signature_is_one_of_the_graph():
    one = tf.TensorSpec((1,), tf.float32, "x")
    functions = {
        "double": freeze(lambda x: {"y": x * 2}, one),
        "add": freeze(lambda x: {"y": x + 1}, one),
    }
    interpreter = make_interpreter(convert_functions(functions, "float32"))
    outputs = {
        name: interpreter.get_signature_runner(name)(x=np.float32([3]))["y"].tolist()
        for name in functions
    }
    assert outputs == {"double": [6.0], "add": [4.0]}


@pytest.mark.parametrize("dtype", [tf.int32, tf.float32])
def test_words_are_looked_up_exactly_in_any_dtype(dtype):
    embedding = keras.layers.Embedding(4, 2)
    embedding.build()
    table = np.arange(8, dtype=np.float32).reshape(4, 2)
    embedding.set_weights([table])
    history = tf.constant([[0, 3], [2, 2]], dtype)
    np.testing.assert_array_equal(embed(embedding, history), [[0, 1, 6, 7], [4, 5, 4, 5]])


def test_logits_of_histories_by_hand():
    # One context for both histories: relu(embedding + context), and the logits are its double.
    layers = {
        "embedding": keras.layers.Embedding(3, 2, name="embedding"),
        "hidden": lambda embedded: embedded,
        "logits": lambda hidden: hidden * 2,
    }
    layers["embedding"].build()
    layers["embedding"].set_weights([np.float32([[0, 0], [1, -1], [5, 5]])])
    named = [layers["embedding"]]
    for name in ("hidden", "logits"):
        named.append(_NamedLayer(name, layers[name]))
    logits = next_word_logits(
        SimpleNamespace(layers=named), tf.constant([[1], [2]]), tf.constant([[0.5, -1.0]])
    )
    np.testing.assert_allclose(logits, [[3, 0], [11, 8]])


class _NamedLayer:
    """A function with a layer's name."""

    def __init__(self, name, function):
        self.name = name
        self.function = function

    def __call__(self, values):
        return self.function(values)


def test_word_ids_are_floating_point_at_16_bits_alone():
    assert history_type("int16") == tf.float32
    assert history_type("int8") == history_type("float32") == tf.int32


@pytest.fixture
def beyond_tflite(tmp_path):
    """A signature whose operators TFLite does not have."""
    image = keras.Input((8, 8, 3))
    convolved = keras.layers.Conv2D(4, 3, name="first")(image)
    inverse = keras.ops.erfinv(convolved * 0.1)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(inverse))
    model.save(tmp_path / "model.keras")
    model = keras.saving.load_model(tmp_path / "model.keras")

    def encode(image):
        return {"features": model(tf.cast(image, tf.float32))}

    return {"encode": freeze(encode, tf.TensorSpec((1, 8, 8, 3), tf.uint8, "image"))}


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_an_operator_that_tflite_does_not_have_is_named_with_its_layer(beyond_tflite, precision):
    examples = [("encode", {"image": np.zeros((1, 8, 8, 3), np.uint8)})]
    with pytest.raises(
        PicaptionError, match=r"^TFLite has no operator for Erfinv \(in layer erfinv\): build"
    ) as error:
        convert_with_layer_names(beyond_tflite, precision, examples)
    assert "\n" not in str(error.value)
