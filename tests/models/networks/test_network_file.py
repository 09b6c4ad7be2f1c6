"""Networks that others trained load, whatever their files are called and whatever is in them."""

import json
import shutil
import zipfile

import h5py
import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("networks of others' run on TensorFlow", allow_module_level=True)

import tensorflow as tf

from picaption.device import PicaptionError
from picaption.models.networks.network_file import describe_cause, load_network
from picaption.models.pixels import PIXELS
from tests.convert.networks import classifier

layers = keras.layers


def network(*first_layers, activation="relu"):
    """Return a small classifier of images of 16x16, which begins with some layers."""
    keras.utils.set_random_seed(8)
    image = keras.Input((16, 16, 3))
    values = image
    for layer in first_layers:
        values = layer(values)
    values = layers.Conv2D(6, 3, 2, activation=activation)(values)
    pooled = layers.GlobalAveragePooling2D()(values)
    return keras.Model(image, layers.Dense(4, "softmax")(pooled))


@pytest.fixture
def image():
    """One image as a batch, float32 [1, 16, 16, 3]."""
    return np.random.default_rng(4).uniform(0, 255, (1, 16, 16, 3)).astype(np.float32)


def frozen_scores(path, image):
    """Return the scores of a network's file for an image, by a function without variables."""
    from picaption.convert.tflite.export import freeze

    loaded = load_network(path)

    def scores(image):
        return {"scores": loaded.call(image)}

    specification = tf.TensorSpec((1, *loaded.input_shape), tf.float32, "image")
    return freeze(scores, specification)(image)["scores"].numpy()


def rewrite(path, change):
    """Change the configuration in a Keras file: `change` gets each of its dicts."""

    def walk(part):
        if isinstance(part, dict):
            change(part)
        for child in part.values() if isinstance(part, dict) else part:
            if isinstance(child, (dict, list)):
                walk(child)

    if path.suffix == ".h5":
        with h5py.File(path, "r+") as file:
            config = json.loads(file.attrs["model_config"])
            walk(config)
            file.attrs["model_config"] = json.dumps(config)
        return
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    walk(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


@pytest.mark.parametrize("name", ["model.hdf5", "MODEL.H5", "model.KERAS", "model", "model.h5"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_the_content_tells_the_format_not_the_name(tmp_path, image, name, suffix):
    model = network()
    path = tmp_path / f"saved{suffix}"
    model.save(path)
    shutil.move(path, tmp_path / name)
    np.testing.assert_allclose(frozen_scores(tmp_path / name, image), model(image), atol=1e-6)


@pytest.mark.parametrize(
    "layer",
    [
        layers.RandomFlip,
        lambda: layers.RandomRotation(0.1),
        lambda: layers.RandomZoom(0.1),
        lambda: layers.RandomContrast(0.1),
        lambda: layers.RandomBrightness(0.1),
        lambda: layers.RandomTranslation(0.1, 0.1),
        # These draw numbers at inference too, and use none of them.
        lambda: layers.RandomHue(0.1),
        layers.RandomGrayscale,
        lambda: keras.Sequential([layers.RandomFlip(), layers.RandomRotation(0.2)]),
        lambda: layers.GaussianNoise(0.5),
    ],
)
def test_augmentation_does_nothing(tmp_path, image, layer):
    model = network(layer())
    model.save(tmp_path / "model.keras")
    expected = model(image, training=False)
    np.testing.assert_allclose(frozen_scores(tmp_path / "model.keras", image), expected, atol=1e-6)


def test_a_saved_model_with_augmentation_says_how_to_do_without(tmp_path):
    network(layers.RandomFlip()).export(tmp_path / "model", verbose=False)
    with pytest.raises(
        PicaptionError,
        match=r"exported as it is trained, with augmentation .* \(random_flip.*\): give the model's"
        r" own file, from model.save\('NAME.keras'\)",
    ):
        load_network(tmp_path / "model")


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_trained_in_16_bits_computes_in_32(tmp_path, image, policy, suffix):
    keras.config.set_dtype_policy(policy)
    try:
        model = network(layers.Rescaling(1 / 255), layers.BatchNormalization())
    finally:
        keras.config.set_dtype_policy("float32")
    path = tmp_path / f"model{suffix}"
    model.save(path)
    if (policy, suffix) == ("mixed_float16", ".h5"):

        def as_keras_2_writes_it(part):
            if isinstance(part.get("dtype"), dict):
                name = part["dtype"]["config"]["name"]
                part["dtype"] = {"class_name": "Policy", "config": {"name": name}}

        rewrite(path, as_keras_2_writes_it)
    scores = frozen_scores(path, image)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, model(image), atol=0.02)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_groups_of_keras_2_are_dropped_where_they_are_1(tmp_path, image, suffix):
    # As Teachable Machine's keras_model.h5 has them.
    ungrouped = (
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(4, 3),
        layers.Conv2DTranspose(3, 3),
    )
    names = [type(layer).__name__ for layer in ungrouped]
    model = network(*ungrouped)
    path = tmp_path / f"model{suffix}"
    model.save(path)

    def add_groups(part):
        if part.get("class_name") in names:
            part["config"]["groups"] = 1

    rewrite(path, add_groups)
    before = path.read_bytes()
    np.testing.assert_allclose(frozen_scores(path, image), model(image), atol=1e-6)
    assert path.read_bytes() == before

    def set_two_groups(part):
        if part.get("class_name") == "DepthwiseConv2D":
            part["config"]["groups"] = 2

    rewrite(path, set_two_groups)
    with pytest.raises(
        PicaptionError, match="Unrecognized keyword arguments passed to DepthwiseConv2D: {'groups"
    ):
        load_network(path)


class Scale(layers.Layer):
    """A layer that Keras does not have."""

    def call(self, values):
        return values * 2


def twice(values):
    return values * 2


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: network(Scale()), "it has Scale, which Keras does not have: export the model"),
        (lambda: network(activation=twice), "it has twice, which Keras does not have: export"),
        (
            lambda: network(layers.Lambda(lambda values: values * 2)),
            "it has a Lambda layer, a program inside the file, which is not run: export",
        ),
    ],
)
def test_what_keras_refuses_is_named(tmp_path, suffix, model, message):
    path = tmp_path / f"model{suffix}"
    model().save(path)
    with pytest.raises(PicaptionError, match=message):
        load_network(path)


def test_files_that_hold_no_network(tmp_path):
    model = network()
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(PicaptionError, match="it holds weights without a network: save the whole"):
        load_network(tmp_path / "model.weights.h5")
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"cut{suffix}"
        model.save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(PicaptionError, match="the file is cut short or damaged; copy it again"):
            load_network(path)


def export(folder, function, name, dtype=tf.float32):
    """Write a SavedModel whose signature `name` is a function of images."""
    module = tf.Module()
    module.function = tf.function(function)
    specification = tf.TensorSpec((None, 16, 16, 3), dtype, "image")
    signature = module.function.get_concrete_function(specification)
    tf.saved_model.save(module, str(folder), signatures={name: signature} if name else None)


def test_the_only_signature_of_a_saved_model_is_taken(tmp_path, image):
    weights = np.random.default_rng(1).normal(size=(3, 4)).astype(np.float32)

    def scores(image):
        return {
            "scores": tf.nn.softmax(tf.reduce_mean(tf.cast(image, tf.float32), (1, 2)) @ weights)
        }

    export(tmp_path / "predict", scores, "predict")
    expected = scores(image)["scores"]
    np.testing.assert_allclose(frozen_scores(tmp_path / "predict", image), expected, atol=1e-6)
    export(tmp_path / "none", scores, None)
    with pytest.raises(PicaptionError, match="it has no signature, and which one takes a picture"):
        load_network(tmp_path / "none")
    # Whole numbers are taken as they are.
    export(tmp_path / "integers", scores, "serving_default", tf.uint8)
    rounded = np.floor(image)
    np.testing.assert_allclose(
        frozen_scores(tmp_path / "integers", rounded), scores(rounded)["scores"], atol=1e-6
    )
    loaded = load_network(tmp_path / "integers")
    assert loaded.scaling(tmp_path, "0..255") == PIXELS["0..255"]
    with pytest.raises(
        PicaptionError, match="takes pixels as whole numbers, whose range is 0..255"
    ):
        loaded.scaling(tmp_path, "0..1")


def test_a_failing_call_is_described_by_its_cause():
    model = classifier()
    with pytest.raises(ValueError, match="incompatible") as raised:
        tf.function(model).get_concrete_function(tf.TensorSpec((1, 8, 8, 5)))
    described = describe_cause(raised.value)
    assert "in user code" not in described
    assert "\n" not in described
    assert "shape" in described
