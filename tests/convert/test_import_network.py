"""Keras classifiers from elsewhere become bundles that say the same."""

import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from picaption.convert.import_network import convert_network
from picaption.convert.options import Agreement, ConversionOptions, ImportOptions
from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.models.data.readers import read_folders
from picaption.models.evaluation.evaluate import evaluate_classes
from tests.convert.networks import LABELS, classifier, many_operators

#: A file that a bundle may be written over begins as TFLite files do.
BEFORE = b"\x1c\0\0\0TFL3 what was there"
TREES = ImportOptions(LABELS, "0..1")


def save(model, folder, suffix):
    """Write a Keras model as a file of that suffix, or as a SavedModel, and return its path."""
    path = folder / f"trees{suffix}"
    if suffix:
        model.save(path)
    else:
        model.export(path, verbose=False)
    return path


@pytest.mark.parametrize("suffix", [".keras", ".h5", ""])
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("int8", 0.02)])
def test_the_bundle_says_what_the_model_says(data, photos, tmp_path, suffix, precision, tolerance):
    model = classifier()
    agreement = convert_network(
        save(model, tmp_path, suffix),
        tmp_path / "out.tflite",
        data / "images",
        ImportOptions(LABELS, "-1..1"),
        ConversionOptions(precision),
    )
    assert agreement.top == 1
    assert agreement.classes < tolerance
    recognizer = Recognizer(tmp_path / "out.tflite")
    for photo in photos.values():
        image = recognizer.prepare(photo)
        exact = model(image[None] / np.float32(127.5) - 1).numpy()[0]
        np.testing.assert_allclose(recognizer.class_scores(image), exact, atol=tolerance)
    assert recognizer(photos["cat"]).classes[0].name in LABELS
    assert recognizer.model.metadata.name == "trees"


@pytest.mark.parametrize("suffix", [".keras", ".h5", ""])
def test_swish_whose_gradients_are_its_own(data, tmp_path, suffix):
    swish = keras.layers.Dense(8, "swish")
    path = save(classifier(middle=swish), tmp_path, suffix)
    agreement = convert_network(path, tmp_path / "out.tflite", data / "images", TREES)
    assert agreement.top == 1
    assert agreement.classes < 0.02


def test_a_command_on_such_a_network_prints_its_result_alone(data, tmp_path):
    path = save(classifier(middle=keras.layers.Dense(8, "swish")), tmp_path, ".keras")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    environment.pop("TF_CPP_MIN_LOG_LEVEL", None)
    code = "from picaption.device.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code, "convert", path, "--names", tmp_path / "labels.txt"]
        + ["--pixels", "0..1", "--representative", data / "images", "--output", tmp_path / "out"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0
    assert result.stdout.startswith(f"{tmp_path / 'out'}: 0.0")
    assert result.stderr == ""


@pytest.mark.parametrize("last", ["sigmoid", None])
def test_one_score_is_that_of_the_second_of_two_classes(data, photos, tmp_path, last):
    model = classifier(last=last, classes=1)
    pets = ImportOptions(("cat", "dog"), "0..1")
    path = save(model, tmp_path, ".keras")
    agreement = convert_network(path, tmp_path / "out.tflite", data / "images", pets)
    assert agreement.classes < 0.02
    recognizer = Recognizer(tmp_path / "out.tflite")
    image = recognizer.prepare(photos["cat"])
    score = model(image[None] / np.float32(255)).numpy()[0, 0]
    dog = score if last else 1 / (1 + np.exp(-score))
    np.testing.assert_allclose(recognizer.class_scores(image), [1 - dog, dog], atol=0.02)


def test_scores_that_are_no_probabilities_are_named(data, tmp_path):
    path = save(classifier(last="hard_sigmoid"), tmp_path, ".keras")
    with pytest.raises(PicaptionError, match="it ends in RELU6, whose results are neither logits"):
        convert_network(path, tmp_path / "out.tflite", data / "images", TREES)


def test_logits_and_a_size_of_ones_own(data, photos, tmp_path):
    path = save(classifier(None, last=None), tmp_path, ".keras")
    trees = ImportOptions(LABELS, "0..1", head="multi-label", size=40)
    convert_network(path, tmp_path / "out.tflite", data / "images", trees)
    recognizer = Recognizer(tmp_path / "out.tflite")
    image = recognizer.prepare(photos["cat"])
    assert image.shape == (40, 40, 3)
    exact = tf.sigmoid(keras.saving.load_model(path)(image[None] / np.float32(255))).numpy()[0]
    np.testing.assert_allclose(recognizer.class_scores(image), exact, atol=0.02)


def test_the_same_model_gives_the_same_bytes(data, tmp_path):
    path = save(classifier(), tmp_path, ".keras")
    for name in ("one", "two"):
        convert_network(path, tmp_path / name, data / "images", TREES)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


class Strange(keras.layers.Layer):
    """An operator that TFLite does not have."""

    def call(self, x):
        return tf.math.betainc(tf.abs(x) + 1, tf.abs(x) + 1, tf.clip_by_value(x, 0.1, 0.9))


def test_an_operator_that_tflite_lacks_is_named_with_its_layer(data, tmp_path):
    path = save(classifier(middle=Strange(name="peculiar")), tmp_path, "")
    with pytest.raises(
        PicaptionError,
        match=r"TFLite has no operator for Betainc \(in layer peculiar\): build the model without",
    ):
        convert_network(path, tmp_path / "out.tflite", data / "images", TREES)
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    ("model", "trees", "message"),
    [
        (
            lambda: classifier(channels=1),
            TREES,
            "its input is [None, 32, 32, 1]; it takes pictures in three colours",
        ),
        (
            lambda: classifier(None),
            TREES,
            "its input is of a dynamic shape, [None, None, None, 3]: tell the size",
        ),
        (
            classifier,
            ImportOptions(LABELS[:3], "0..1"),
            "3 labels for 4 scores; give one for each score",
        ),
        (
            classifier,
            ImportOptions(None, "0..1"),
            "give its class names, one a line, with --names",
        ),
        (
            classifier,
            ImportOptions(LABELS, None),
            "tell the range of pixels that it was trained with, with --pixels",
        ),
    ],
)
def test_what_cannot_be_converted(data, tmp_path, model, trees, message):
    path = save(model(), tmp_path, ".keras")
    with pytest.raises(PicaptionError) as raised:
        convert_network(path, tmp_path / "out.tflite", data / "images", trees)
    assert message in str(raised.value)
    assert not list(tmp_path.glob("out*"))


def test_disagreement_writes_nothing(data, tmp_path):
    output = tmp_path / "out.tflite"
    output.write_bytes(BEFORE)
    bounds = Agreement(features=0, words=0, classes=1e-9, caption=0, top=0)
    path = save(classifier(), tmp_path, ".keras")
    with pytest.raises(
        PicaptionError,
        match="is not written: its probabilities differ from the float model by .* or another --pr",
    ):
        convert_network(path, output, data / "images", TREES, ConversionOptions(bounds=bounds))
    assert output.read_bytes() == BEFORE


def test_a_folder_that_is_missing_is_told_before_converting(data, tmp_path):
    path = save(classifier(), tmp_path, ".keras")
    with pytest.raises(PicaptionError, match="cannot be written: make its folder first"):
        convert_network(path, tmp_path / "no" / "out.tflite", data / "images", TREES)


@pytest.mark.parametrize(("suffix", "last"), [(".keras", "softmax"), ("", None)])
def test_a_report_shows_what_quantization_did(data, tmp_path, convert_command, suffix, last):
    path = save(classifier(last=last), tmp_path, suffix)
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    (tmp_path / "mapping.tsv").write_text("astronaut\tash\ncat\tbirch\ncat\tcedar\ncoffee\toak\n")
    result = convert_command(
        path,
        *("--names", tmp_path / "labels.txt", "--pixels", "-1..1"),
        *("--output", tmp_path / "out", "--report", tmp_path / "report"),
        *("--representative", data / "images", "--count", 10),
        *("--folders", data / "folders", "--mapping", tmp_path / "mapping.tsv"),
    )
    assert result.code == 0
    assert "worst layers" in result.out
    assert "report.html" in result.out
    figures = json.loads((tmp_path / "report" / "report.json").read_text())
    size = (tmp_path / "out").stat().st_size
    assert sum(part["bundle"] for part in figures["bytes"].values()) == size
    assert figures["agreement"]["top"] == 1
    assert figures["agreement"]["classes"] < 0.02
    assert figures["beyond"] == []
    # A kernel of 3x3 over three colours, in steps of two, eight channels.
    convolution = 15 * 15 * 8 * 3 * 3 * 3
    assert figures["multiply_adds"] == {"encode": convolution, "classify": 8 * 4}
    layer = next(layer for layer in figures["layers"] if layer["kind"] == "CONV_2D")
    assert layer["name"].startswith("conv2d")
    assert layer["signature"] == "encode"
    assert 20 < layer["decibels"] < 60
    measured = figures["evaluation"]
    # The images that gave ranges are other files.
    assert measured["float32"]["pictures"] == measured["bundle"]["pictures"] == 24
    assert abs(measured["float32"]["top_1"] - measured["bundle"]["top_1"]) <= 10


def test_a_classifier_is_tuned_and_says_so(data, tmp_path):
    path = tmp_path / "many.keras"
    many_operators().save(path)
    letters = ImportOptions(("a", "b", "c", "d", "e"), "0..1")
    mapping = {"astronaut": ["a"], "cat": ["b", "c"], "coffee": ["d"]}
    folders = read_folders(data / "folders")
    convert_network(
        path,
        tmp_path / "tuned.tflite",
        data / "images",
        letters,
        ConversionOptions(per_tensor=True, max_loss=-100.0),
        dataset=folders,
        mapping=mapping,
    )
    tuned = Bundle(tmp_path / "tuned.tflite").metadata.provenance["tuned"]
    exact = tmp_path / "exact.tflite"
    convert_network(path, exact, data / "images", letters, ConversionOptions("float32"))
    before, after = (
        evaluate_classes(Recognizer(tmp_path / name), folders, mapping).figures["mAP"]
        for name in ("exact.tflite", "tuned.tflite")
    )
    assert before - after == pytest.approx(min(tuned["lost"], tuned["lost_tuned"]), abs=0.011)
