"""A network that others trained becomes an encoder, and may keep its own classes."""

import dataclasses

import keras
import numpy as np
import pytest

if keras.backend.backend() != "tensorflow":
    pytest.skip("networks of others' run on TensorFlow", allow_module_level=True)

from picaption.convert.convert import convert
from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.images import resize
from picaption.models.networks.external import load_external
from picaption.models.run_folder import FloatModel, load_model, save_model
from picaption.models.settings import read_settings
from picaption.models.training.train import train

NAMES = ("ash", "birch", "cedar", "oak")


def network(last="softmax"):
    """Return a small Keras classifier with random weights, one model inside another."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    nested = keras.Sequential(
        [
            keras.Input((40, 40, 3)),
            layers.Conv2D(8, 3, 2, name="stem"),
            layers.BatchNormalization(),
            layers.ReLU(name="open"),
        ],
        name="inside",
    )
    image = keras.Input((40, 40, 3))
    expected = layers.Conv2D(12, 3, 2, name="stem_1")(nested(image))
    pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="pool")(expected))
    model = keras.Model(image, layers.Dense(len(NAMES), last, name="told")(pooled))
    model.get_layer("inside").layers[1].set_weights(
        [np.linspace(low, high, 8) for low, high in ((1, 2), (-1, 1), (0, 1), (0.5, 2))]
    )
    return model


@pytest.fixture(scope="module")
def root(tmp_path_factory, data):
    """A folder with `data`, an external network in all three formats, and its class names."""
    root = tmp_path_factory.mktemp("root")
    for path in data.iterdir():
        (root / path.name).symlink_to(path)
    model = network()
    model.save(root / "trees.keras")
    model.save(root / "trees.h5")
    model.export(root / "trees", verbose=False)
    (root / "names.txt").write_text("\n".join(NAMES) + "\n")
    return root


@pytest.fixture(scope="module")
def external_settings(settings):
    """Settings of a run that captions what trees.keras sees."""
    return dataclasses.replace(
        settings,
        network="trees.keras",
        pixels="0..1",
        features="pool",
        class_names="names.txt",
        size=40,
        labels="",
        label_images="",
        label_train="",
        label_dev="",
        text="",
        finetune_epochs=0,
        scst_epochs=0,
        epochs=12,
        learning_rate=0.05,
        dropout=0.0,
        smoothing=0.0,
    )


@pytest.fixture(scope="module")
def expected(photos):
    """An image of the network's size, and its feature map, features and scores."""
    model = network()
    image = resize(photos["cat"], 40, 40, "stretch")
    feature_map = keras.Model(model.inputs, model.get_layer("stem_1").output)
    features = keras.Model(model.inputs, model.get_layer("pool").output)
    inputs = image[None] / np.float32(255)
    return image, *(np.array(part(inputs)) for part in (feature_map, features, model))


@pytest.mark.parametrize("name", ("trees.keras", "trees.h5", "./trees"))
@pytest.mark.parametrize("layer", ("pool", "stem_1", ""))
def test_the_encoder_outputs_the_features_of_the_layer(
    root, external_settings, expected, tmp_path, name, layer
):
    image, _, features, scores = expected
    if layer == "stem_1" and name == "./trees":
        layer = "stem_1_1"  # Its graph calls the layer `stem` of the model inside stem_1.
    external = load_external(
        dataclasses.replace(external_settings, network=name, features=layer), root
    )
    save_model(external.encoder, tmp_path / "encoder.keras")
    for encoder in (external.encoder, load_model(tmp_path / "encoder.keras")):
        np.testing.assert_allclose(
            encoder.predict_on_batch(image[None].astype(np.float32)),
            features,
            rtol=1e-5,
            atol=1e-6,
        )
    logits = external.classifier.logits(features)
    np.testing.assert_allclose(np.exp(logits) / np.exp(logits).sum(), scores, rtol=1e-5)
    assert external.labels == NAMES and external.head_type == "single-label"


def test_a_layer_of_a_nested_model_and_a_grid_for_attention(root, external_settings, expected):
    image, grid, *_ = expected
    nested = load_external(
        dataclasses.replace(external_settings, features="open", class_names=""), root
    )
    assert nested.encoder.output_shape == (None, 8) and nested.classifier is None
    with_grid = load_external(
        dataclasses.replace(external_settings, features="stem_1", pooling="attention"), root
    )
    np.testing.assert_allclose(
        with_grid.encoder.predict_on_batch(image[None].astype(np.float32)),
        grid.reshape(1, -1, 12),
        rtol=1e-5,
        atol=1e-6,
    )
    assert with_grid.classifier is not None


def test_a_run_captions_and_retains_the_classes(
    root, external_settings, expected, photos, tmp_path
):
    image, _, features, scores = expected
    train(external_settings, root, tmp_path / "run")
    convert(tmp_path / "run", tmp_path / "trees.tflite", root / "images")
    bundle = Bundle(tmp_path / "trees.tflite")
    for model in (FloatModel(tmp_path / "run"), bundle):
        encoded = model.encode(image)
        np.testing.assert_allclose(encoded.features, features, atol=0.02 * np.abs(features).max())
        np.testing.assert_allclose(model.classify(encoded.features, None), scores[0], atol=0.02)
    assert bundle.labels == NAMES and bundle.metadata.head == "single-label"
    recognition = Recognizer(bundle)(photos["cat"])
    assert recognition.caption.words and recognition.classes[0].name == NAMES[scores[0].argmax()]
    perplexity = bundle.metadata.provenance["perplexity"]
    assert (
        perplexity["captioner"] < 0.9 * perplexity["counted"]
    )  # It tells one picture from another.


def test_its_features_teach_classes_of_class_folders(root, external_settings, photos, tmp_path):
    train(
        dataclasses.replace(
            external_settings,
            captions="",
            images="",
            train="",
            dev="",
            class_names="",
            folders="folders",
        ),
        root,
        tmp_path / "run",
    )
    model = Recognizer(FloatModel(tmp_path / "run"))
    assert [model(photos[name]).classes[0].name for name in ("astronaut", "cat", "coffee")] == [
        "astronaut",
        "cat",
        "coffee",
    ]


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"network": "./none"}, r"network = './none': there is no .*none; give a .keras"),
        ({"network": "names/x.keras"}, "there is no"),
        (
            {"network": "captions.token.txt/"},
            "nor one of Keras, ONNX or PyTorch: it does not begin as one does",
        ),
        ({"network": "./folders"}, "no SavedModel: there is no saved_model.pb here"),
        (
            {"features": "pol"},
            "features = 'pol': trees.keras has no such layer; its last are .*stem_1, pool, "
            "dropout.*, told, stem, .*open",
        ),
        (
            {"features": "pol", "network": "./trees"},
            "features = 'pol': trees has no such layer; its last are .*pool_1, told_1",
        ),
        (
            {"features": "stem_1", "network": "./trees"},
            "several layers .* name inside_1/stem_1 or functional_[0-9_]*/stem_1_1",
        ),
        (
            {"features": "pool", "pooling": "attention"},
            "pool gives a vector: name the layer before its pooling",
        ),
        ({"features": "open"}, "the classes of trees.keras cannot be kept"),
        ({"size": 64}, "it takes pictures of 40x40, not 64x64: set size = 40"),
        ({"class_names": "dev.txt"}, "class_names: 6 names for 4 scores"),
        ({"class_names": "no.txt"}, "no.txt: cannot read the names"),
    ],
)
def test_what_cannot_be_an_encoder_is_refused(root, external_settings, tmp_path, changes, message):
    with pytest.raises(PicaptionError, match=message):
        train(dataclasses.replace(external_settings, **changes), root, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            ["network=mine"],
            "network = 'mine': it is one of .*, or the path of a .keras, .h5, .onnx or "
            ".pt2 file or a SavedModel, such as ./mine",
        ),
        (
            ["network=a.keras"],
            "pixels = '': tell the range that a.keras was trained with, one of 0..255, 0..1, -1..1",
        ),
        (
            ["network=a.keras", "pixels=0..1", "finetune_epochs=2"],
            "a.keras has its weights and stays as it is",
        ),
        (["network=a.keras", "pixels=0..1", "size=20"], "size = 20: it is 32 to 512"),
        (["network=a.keras", "pixels=0..1", "class_names=n", "folders=f"], "give one or the other"),
        (["features=pool"], "are about a network of others'"),
    ],
)
def test_settings_of_others_networks_that_make_no_sense(overrides, message):
    with pytest.raises(PicaptionError, match=message):
        read_settings(None, ["captions=told.txt", "images=pictures", *overrides])


@pytest.mark.parametrize("features", ["", "layer3"])
def test_a_network_of_onnx_sees_a_batch_as_it_sees_its_images(
    external_settings, tmp_path, features
):
    pytest.importorskip("onnxruntime")
    from picaption.models.networks.onnx_graph.load import network_of_model
    from tests.onnx_networks import classifier, save

    made = classifier(metadata={"mean": "0.485,0.456,0.406", "std": "0.229,0.224,0.225"})
    save(made, tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(NAMES))
    settings = dataclasses.replace(
        external_settings, network="trees.onnx", pixels="", size=32, features=features
    )
    external = load_external(settings, tmp_path)
    images = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3), np.uint8)
    made.graph.output[0].name = "features"
    own = network_of_model(made, tmp_path / "trees.onnx")
    scaled = (images / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    expected = np.concatenate([own.own_scores(image[None].astype(np.float32)) for image in scaled])
    np.testing.assert_allclose(external.encoder(images), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(external.encoder(images[:1]), expected[:1], rtol=1e-4, atol=1e-4)
    assert external.labels == NAMES
    assert external.classifier.features.shape == (8, 4)
