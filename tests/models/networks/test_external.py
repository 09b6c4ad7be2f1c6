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
    inside = keras.Sequential(
        [
            keras.Input((40, 40, 3)),
            layers.Conv2D(8, 3, 2, name="stem"),
            layers.BatchNormalization(),
            layers.ReLU(name="open"),
        ],
        name="inside",
    )
    image = keras.Input((40, 40, 3))
    seen = layers.Conv2D(12, 3, 2, name="stem_1")(inside(image))
    pooled = layers.Dropout(0.2)(layers.GlobalAveragePooling2D(name="pool")(seen))
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
def asked(settings):
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
def seen(photos):
    """An image of the network's size, and its feature map, features and scores."""
    model = network()
    picture = resize(photos["cat"], 40, 40, "stretch")
    map_ = keras.Model(model.inputs, model.get_layer("stem_1").output)
    return picture, *(
        np.array(each(picture[None] / np.float32(255)))
        for each in (map_, keras.Model(model.inputs, model.get_layer("pool").output), model)
    )


@pytest.mark.parametrize("name", ("trees.keras", "trees.h5", "./trees"))
@pytest.mark.parametrize("layer", ("pool", "stem_1", ""))
def test_the_encoder_gives_what_the_layer_gives(root, asked, seen, tmp_path, name, layer):
    picture, _, features, scores = seen
    if layer == "stem_1" and name == "./trees":
        layer = "stem_1_1"  # Its graph calls the layer `stem` of the model inside stem_1.
    found = load_external(dataclasses.replace(asked, network=name, features=layer), root)
    save_model(found.encoder, tmp_path / "encoder.keras")
    for encoder in (found.encoder, load_model(tmp_path / "encoder.keras")):
        np.testing.assert_allclose(
            encoder.predict_on_batch(picture[None].astype(np.float32)),
            features,
            rtol=1e-5,
            atol=1e-6,
        )
    told = found.classifier.logits(features)
    np.testing.assert_allclose(np.exp(told) / np.exp(told).sum(), scores, rtol=1e-5)
    assert found.labels == NAMES and found.head_type == "single-label"


def test_a_layer_of_a_model_inside_and_places_to_look_at(root, asked, seen):
    picture, grid, *_ = seen
    inside = load_external(dataclasses.replace(asked, features="open", class_names=""), root)
    assert inside.encoder.output_shape == (None, 8) and inside.classifier is None
    places = load_external(dataclasses.replace(asked, features="stem_1", pooling="attention"), root)
    np.testing.assert_allclose(
        places.encoder.predict_on_batch(picture[None].astype(np.float32)),
        grid.reshape(1, -1, 12),
        rtol=1e-5,
        atol=1e-6,
    )
    assert places.classifier is not None


def test_a_run_captions_and_keeps_the_classes(root, asked, seen, photos, tmp_path):
    picture, _, features, scores = seen
    train(asked, root, tmp_path / "run")
    convert(tmp_path / "run", tmp_path / "trees.tflite", root / "images")
    model, bundle = FloatModel(tmp_path / "run"), Bundle(tmp_path / "trees.tflite")
    for each in (model, bundle):
        found = each.encode(picture)
        np.testing.assert_allclose(found.features, features, atol=0.02 * np.abs(features).max())
        np.testing.assert_allclose(each.classify(found.features, None), scores[0], atol=0.02)
    assert bundle.labels == NAMES and bundle.metadata.head == "single-label"
    said = Recognizer(bundle)(photos["cat"])
    assert said.caption.words and said.classes[0].name == NAMES[scores[0].argmax()]
    perplexity = bundle.metadata.provenance["perplexity"]
    assert (
        perplexity["captioner"] < 0.9 * perplexity["counted"]
    )  # It tells one picture from another.


def test_its_features_teach_classes_of_class_folders(root, asked, photos, tmp_path):
    train(
        dataclasses.replace(
            asked, captions="", images="", train="", dev="", class_names="", folders="folders"
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
        ({"network": "captions.token.txt/"}, "cannot load it as a Keras model"),
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
def test_what_cannot_be_an_encoder_is_told(root, asked, tmp_path, changes, message):
    with pytest.raises(PicaptionError, match=message):
        train(dataclasses.replace(asked, **changes), root, tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "overrides, message",
    [
        (
            ["network=mine"],
            "network = 'mine': it is one of .*, or the path of a .keras or .h5 file or a "
            "SavedModel, such as ./mine",
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
