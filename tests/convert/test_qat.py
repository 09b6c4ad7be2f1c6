"""A graph retraced is the graph, and weights trained to their quantization lose less by it."""

from dataclasses import dataclass, replace

import keras
import numpy as np
import pytest
import tensorflow as tf

from picaption.convert.convert import convert, opened
from picaption.convert.import_keras import convert_keras
from picaption.convert.qat import (
    Candidate,
    finetune_encoder,
    keep_better,
    one_scale,
    round_activations,
    round_weights,
)
from picaption.convert.tflite.export import convert_with_layer_names, freeze
from picaption.convert.tflite.to_tensorflow import TFLiteFunction
from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.bundle.bundle import read_bundle
from picaption.device.bundle.runtime import make_interpreter
from picaption.device.images import list_images, read_image, resize
from picaption.models.data.readers import read_folders, read_labels
from picaption.models.evaluation.evaluate import evaluate_classes
from picaption.models.run_folder import FloatModel


def pictures_of(data, size=32):
    """Return the pictures of `data`, uint8 [size, size, 3]."""
    return [resize(read_image(path), size, size, "squash") for path in list_images(data / "images")]


def graph_of(model, precision="float32", pictures=(), **options):
    """Return a Keras model as a flatbuffer with a signature encode."""
    function = freeze(
        lambda image: {"features": model(tf.cast(image, tf.float32) / 255)},
        tf.TensorSpec((1, *model.input_shape[1:]), tf.uint8, "image"),
    )
    return convert_with_layer_names(
        {"encode": function},
        precision,
        [("encode", {"image": picture[None]}) for picture in pictures],
        **options,
    )


def many_operators():
    """Return a Keras model of all that networks for pictures are made of."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    image = keras.Input((32, 32, 3))
    seen = layers.BatchNormalization()(
        layers.Conv2D(8, 3, 2, "same", activation="relu6")(layers.ZeroPadding2D(1)(image))
    )
    seen = layers.concatenate([layers.MaxPooling2D()(seen), layers.AveragePooling2D(2)(seen)])
    seen = layers.Activation("hard_swish")(layers.DepthwiseConv2D(3, dilation_rate=2)(seen))
    seen = layers.Subtract()(
        [layers.ReLU()(seen), layers.Conv2D(16, 1, activation="sigmoid")(seen)]
    )
    seen = layers.Multiply()(
        [
            seen,
            layers.Reshape((1, 1, 16))(
                layers.Dense(16, "softmax")(layers.GlobalAveragePooling2D()(seen))
            ),
        ]
    )
    return keras.Model(image, layers.Dense(5, "sigmoid")(layers.Flatten()(seen)))


def test_a_graph_retraced_gives_what_the_graph_gives(data):
    graph, pictures = graph_of(many_operators()), np.stack(pictures_of(data)[:3])
    runner = make_interpreter(graph).get_signature_runner("encode")
    expected = np.concatenate([runner(image=picture[None])["features"] for picture in pictures])
    retraced = TFLiteFunction(graph, "encode")
    np.testing.assert_allclose(retraced({"image": pictures})["features"], expected, atol=1e-5)
    again = {number: weight * 0 for number, weight in retraced.weights.items()}
    np.testing.assert_array_equal(
        retraced({"image": pictures}, again)["features"], np.full((3, 5), 0.5)
    )


def test_an_operator_that_is_not_known_is_named():
    image = keras.Input((32, 32, 3))
    model = keras.Model(
        image, keras.layers.LeakyReLU(name="leaky")(keras.layers.Conv2D(4, 3)(image))
    )
    with pytest.raises(
        PicaptionError,
        match="the layer .* is a LEAKY_RELU, which cannot be tuned: convert without --max-loss",
    ):
        TFLiteFunction(graph_of(model), "encode")


def test_rounding_by_hand():
    weights = tf.Variable([[1.27, -0.004, 0.016], [12.7, 0.26, 0.04]])
    with tf.GradientTape() as tape:
        one = round_weights(weights, "FULLY_CONNECTED", ())
        total = tf.reduce_sum(one)
    np.testing.assert_allclose(
        one, [[1.27, 0, 0.02], [12.7, 0.3, 0]], atol=1e-6
    )  # Steps of 0.01 and of 0.1.
    np.testing.assert_array_equal(tape.gradient(total, weights), np.ones((2, 3)))
    shared = round_weights(weights, "FULLY_CONNECTED", ("FULLY_CONNECTED",))
    np.testing.assert_allclose(shared, [[1.3, 0, 0], [12.7, 0.3, 0]], atol=1e-6)
    depthwise = round_weights(
        tf.reshape(tf.transpose(weights), (1, 1, 3, 2)), "DEPTHWISE_CONV_2D", ()
    )
    np.testing.assert_allclose(
        tf.transpose(tf.reshape(depthwise, (3, 2))), one, atol=1e-6
    )  # A scale for each channel, the last axis.
    np.testing.assert_allclose(
        round_activations("ADD", tf.constant([0.0, 0.24, 0.74, 127.5])), [0, 0, 0.5, 127.5]
    )
    assert one_scale(True, "ai-edge-litert") == ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
    assert (
        one_scale(False, "tflite-runtime") == ("FULLY_CONNECTED",)
        and one_scale(False, "ai-edge-litert") == ()
    )


def test_tuned_weights_bear_one_scale_a_tensor(data):
    pictures, image = pictures_of(data), keras.Input((32, 32, 3))
    seen = keras.layers.Conv2D(32, 1, activation="relu", name="tints")(image)
    model = keras.Model(image, keras.layers.GlobalAveragePooling2D()(seen))
    kernel = np.random.default_rng(2).uniform(-0.05, 0.15, (1, 1, 3, 32)).astype(np.float32)
    kernel[
        ..., 0
    ] = -16  # It gives nothing, and beside it, the others' weights have two or three steps left.
    model.get_layer("tints").set_weights([kernel, np.full(32, 0.02, np.float32)])
    exact = graph_of(model)
    examples = [("encode", {"image": picture[None]}) for picture in pictures]

    def lost(function):
        """Return the error's share of the features' power in int8, one scale a tensor."""
        runners = [
            make_interpreter(graph).get_signature_runner("encode")
            for graph in (
                exact,
                convert_with_layer_names({"encode": function}, "int8", examples, per_tensor=True),
            )
        ]
        one, other = (
            np.concatenate([runner(image=picture[None])["features"] for picture in pictures])
            for runner in runners
        )
        return ((one - other) ** 2).sum() / (one**2).sum()

    plain = freeze(
        lambda image: {"features": model(tf.cast(image, tf.float32) / 255)},
        tf.TensorSpec((1, 32, 32, 3), tf.uint8, "image"),
    )
    tuned = [
        finetune_encoder(exact, pictures, one_scale(True, "ai-edge-litert"), epochs=20)
        for _ in range(2)
    ]
    assert lost(tuned[0]) < 0.75 * lost(plain)
    first, second = (each(pictures[0][None])["features"].numpy() for each in tuned)
    np.testing.assert_array_equal(first, second)  # By the same seed.


@dataclass(frozen=True)
class Loses:
    """A conversion that loses so many points."""

    points: float


@pytest.mark.parametrize(
    "first, second, bound, kept, told",
    [
        (0.5, None, 1.0, 0.5, None),
        (1.0, None, 1.0, 1.0, None),
        (9.0, 2.0, 1.0, 2.0, {"bound": 1.0, "lost": 9.0, "lost_tuned": 2.0}),
        (9.0, 9.5, 1.0, 9.0, {"bound": 1.0, "lost": 9.0, "lost_tuned": 9.5}),
    ],
)
def test_the_better_is_kept(bundle, first, second, bound, kept, told):
    contents = read_bundle(bundle)

    def candidate(points):
        return Candidate({"encode": Loses(points)}, b"", contents)

    found = keep_better(
        candidate(first),
        lambda functions: Candidate(functions, b"", contents),
        lambda: {"encode": Loses(second)},
        lambda each: each.functions["encode"].points,
        bound,
    )
    assert found.functions["encode"].points == kept
    assert found.contents.metadata.provenance.get("tuned") == told
    assert opened(found.contents).labels == contents.labels
    assert replace(found.contents, metadata=contents.metadata) == contents


def test_a_run_is_tuned_and_says_so(run, data, tmp_path):
    dataset = read_labels(data / "labels.tsv", data / "images", data / "dev.txt")
    found = []
    convert(
        run,
        tmp_path / "tuned.tflite",
        data / "images",
        count=10,
        dataset=dataset,
        max_loss=-100.0,
        report=found.append,
    )
    bundle = Bundle(tmp_path / "tuned.tflite")
    tuned = bundle.metadata.provenance["tuned"]
    assert tuned["bound"] == -100 and set(tuned) == {"bound", "lost", "lost_tuned"}
    measured, better = found[0]["evaluation"], min(tuned["lost"], tuned["lost_tuned"])
    assert measured["float32"]["mAP"] - measured["bundle"]["mAP"] == pytest.approx(
        better, abs=0.011
    )
    assert found[0]["agreement"]["features"] < 0.05 and FloatModel(run).labels == bundle.labels


def test_a_classifier_of_others_is_tuned_and_says_so(data, tmp_path):
    model, path = many_operators(), tmp_path / "many.keras"
    model.save(path)
    names, mapping = (
        ("a", "b", "c", "d", "e"),
        {"astronaut": ["a"], "cat": ["b", "c"], "coffee": ["d"]},
    )
    folders = read_folders(data / "folders")
    convert_keras(
        path,
        tmp_path / "tuned.tflite",
        names,
        "0..1",
        data / "images",
        per_tensor=True,
        max_loss=-100.0,
        dataset=folders,
        mapping=mapping,
    )
    tuned = Bundle(tmp_path / "tuned.tflite").metadata.provenance["tuned"]
    convert_keras(
        path, tmp_path / "exact.tflite", names, "0..1", data / "images", precision="float32"
    )
    before, after = (
        evaluate_classes(Recognizer(tmp_path / name), folders, None, mapping)["mAP"]
        for name in ("exact.tflite", "tuned.tflite")
    )
    assert before - after == pytest.approx(min(tuned["lost"], tuned["lost_tuned"]), abs=0.011)


@pytest.mark.parametrize("precision", ("float16", "int16"))
def test_only_int8_is_tuned(run, data, tmp_path, precision):
    with pytest.raises(
        PicaptionError,
        match=f"--max-loss tunes to activations and weights of 8 bits, and {precision} has others",
    ):
        convert(run, tmp_path / "out.tflite", data / "images", precision=precision, max_loss=1.0)
    assert not list(tmp_path.iterdir())
