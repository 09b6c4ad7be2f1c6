"""Keras classifiers that were not trained here become bundles that say the same."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from picaption.convert.commands import convert_command as command
from picaption.convert.import_keras import convert_keras
from picaption.device import PicaptionError, Recognizer, cli

LABELS = ("ash", "birch", "cedar", "oak")


def network(size=32, channels=3, last="softmax", middle=None):
    """Return a small Keras classifier of random weights; middle: a layer before its last one."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    image = keras.Input((size, size, channels))
    seen = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, 2, activation="relu6")(image))
    return keras.Model(image, layers.Dense(len(LABELS), last)(middle(seen) if middle else seen))


def saved(model, folder, kind):
    """Write a Keras model as a file or folder of that kind and return its path."""
    path = folder / f"trees{kind}"
    if kind:
        model.save(path)
    else:
        model.export(path, verbose=False)
    return path


@pytest.mark.parametrize("kind", (".keras", ".h5", ""))
@pytest.mark.parametrize("precision, off", (("float32", 1e-5), ("int8", 0.02)))
def test_the_bundle_says_what_the_model_says(data, photos, tmp_path, kind, precision, off):
    model = network()
    same, difference = convert_keras(
        saved(model, tmp_path, kind),
        tmp_path / "out.tflite",
        LABELS,
        "-1..1",
        data / "images",
        precision=precision,
    )
    assert same == 1 and difference < off
    recognizer = Recognizer(tmp_path / "out.tflite")
    for image in photos.values():
        picture = recognizer.prepare(image)
        exact = model(picture[None] / np.float32(127.5) - 1).numpy()[0]
        np.testing.assert_allclose(recognizer.class_scores(picture), exact, atol=off)
    assert (
        recognizer(photos["cat"]).classes[0].name in LABELS
        and recognizer.model.metadata.name == "trees"
    )


def test_logits_and_a_size_of_ones_own(data, photos, tmp_path):
    path = saved(network(None, last=None), tmp_path, ".keras")
    convert_keras(
        path, tmp_path / "out.tflite", LABELS, "0..1", data / "images", size=40, head="multi-label"
    )
    recognizer = Recognizer(tmp_path / "out.tflite")
    picture = recognizer.prepare(photos["cat"])
    assert picture.shape == (40, 40, 3)
    exact = tf.sigmoid(keras.saving.load_model(path)(picture[None] / np.float32(255))).numpy()[0]
    np.testing.assert_allclose(recognizer.class_scores(picture), exact, atol=0.02)


def test_the_same_model_gives_the_same_bytes(data, tmp_path):
    path = saved(network(), tmp_path, ".keras")
    for name in ("one", "two"):
        convert_keras(path, tmp_path / name, LABELS, "0..1", data / "images")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


class Strange(keras.layers.Layer):
    """An operator that TFLite does not have."""

    def call(self, x):
        return tf.math.betainc(tf.abs(x) + 1, tf.abs(x) + 1, tf.clip_by_value(x, 0.1, 0.9))


def test_an_operator_that_tflite_lacks_is_named_with_its_layer(data, tmp_path):
    path = saved(network(middle=Strange(name="peculiar")), tmp_path, "")
    with pytest.raises(
        PicaptionError,
        match=r"TFLite has no operator for Betainc \(in layer peculiar\): build the model without it",
    ):
        convert_keras(path, tmp_path / "out.tflite", LABELS, "0..1", data / "images")
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize(
    "model, labels, pixels, message",
    [
        (
            lambda: network(channels=1),
            LABELS,
            "0..1",
            "its input is [None, 32, 32, 1]; it takes pictures in three colours",
        ),
        (
            lambda: network(None),
            LABELS,
            "0..1",
            "its input is of a dynamic shape, [None, None, None, 3]: tell the size",
        ),
        (lambda: network(), LABELS[:3], "0..1", "3 labels for 4 scores; give one for each score"),
        (lambda: network(), None, "0..1", "give its class names, one a line, with --names"),
        (
            lambda: network(),
            LABELS,
            None,
            "tell the range of pixels that it was trained with, with --pixels",
        ),
    ],
)
def test_what_cannot_be_converted_is_told(data, tmp_path, model, labels, pixels, message):
    path = saved(model(), tmp_path, ".keras")
    with pytest.raises(PicaptionError) as raised:
        convert_keras(path, tmp_path / "out.tflite", labels, pixels, data / "images")
    assert message in str(raised.value) and not list(tmp_path.glob("out*"))


def test_disagreement_writes_nothing(data, tmp_path, monkeypatch):
    from picaption.convert import convert, import_keras

    monkeypatch.setattr(
        import_keras,
        "BOUNDS",
        convert.Agreement(features=0, words=0, classes=1e-9, caption=0, top=0),
    )
    (tmp_path / "out.tflite").write_text("what was there")
    with pytest.raises(
        PicaptionError, match="is not written: its probabilities differ from the float model"
    ):
        convert_keras(
            saved(network(), tmp_path, ".keras"),
            tmp_path / "out.tflite",
            LABELS,
            "0..1",
            data / "images",
        )
    assert (tmp_path / "out.tflite").read_text() == "what was there"


@pytest.mark.parametrize(
    "arguments, message",
    [
        ([], "give --representative, a folder of pictures"),
        (["--representative", "{folder}/none"], "none"),
        (["--representative", "{folder}"], "holds no pictures; put files ending in"),
    ],
)
def test_the_command_fails_in_one_line(tmp_path, capsys, arguments, message):
    path = saved(network(), tmp_path, ".keras")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    with pytest.raises(SystemExit) as raised:
        cli.main(
            [
                str(path),
                "--names",
                str(tmp_path / "labels.txt"),
                "--pixels",
                "0..1",
                "--output",
                str(tmp_path / "out"),
                *(each.format(folder=tmp_path) for each in arguments),
            ],
            command,
            "convert",
        )
    err = capsys.readouterr().err
    last = [line for line in err.split("\n") if line][-1]
    assert (
        raised.value.code == 2
        and last.startswith("picaption: ")
        and message in last
        and not (tmp_path / "out").exists()
    )


def test_the_command_converts(data, tmp_path, capsys):
    path = saved(network(), tmp_path, ".h5")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    with pytest.raises(SystemExit) as raised:
        cli.main(
            [
                str(path),
                "--names",
                str(tmp_path / "labels.txt"),
                "--pixels",
                "0..1",
                "--output",
                str(tmp_path / "out"),
                "--representative",
                str(data / "images"),
                "--precision",
                "dynamic",
            ],
            command,
            "convert",
        )
    assert (
        raised.value.code == 0
        and "float and bundle say the same first for 100%" in capsys.readouterr().out
    )
    assert Recognizer(tmp_path / "out").model.labels == LABELS


@pytest.mark.parametrize("kind, last", ((".keras", "softmax"), ("", None)))
def test_a_report_tells_what_quantization_did(data, tmp_path, capsys, kind, last):
    path = saved(network(last=last), tmp_path, kind)
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    (tmp_path / "mapping.tsv").write_text("astronaut\tash\ncat\tbirch\ncat\tcedar\ncoffee\toak\n")
    with pytest.raises(SystemExit) as raised:
        cli.main(
            [
                str(path),
                "--names",
                str(tmp_path / "labels.txt"),
                "--pixels",
                "-1..1",
                "--output",
                str(tmp_path / "out"),
                "--representative",
                str(data / "images"),
                "--count",
                "10",
                "--report",
                str(tmp_path / "report"),
                "--folders",
                str(data / "folders"),
                "--mapping",
                str(tmp_path / "mapping.tsv"),
            ],
            command,
            "convert",
        )
    assert raised.value.code == 0
    figures, out = (
        json.loads((tmp_path / "report" / "report.json").read_text()),
        capsys.readouterr().out,
    )
    assert "worst layers" in out and "report.html" in out
    assert (
        sum(part["bundle"] for part in figures["bytes"].values())
        == (tmp_path / "out").stat().st_size
    )
    assert (
        figures["agreement"]["top"] == 1
        and figures["agreement"]["classes"] < 0.02
        and figures["beyond"] == []
    )
    convolution = (
        15 * 15 * 8 * 3 * 3 * 3
    )  # A kernel of 3x3 over three colours, in steps of two, eight channels.
    assert figures["multiply_adds"] == {"encode": convolution, "classify": 8 * 4}
    layer = next(each for each in figures["layers"] if each["kind"] == "CONV_2D")
    assert (
        layer["name"].startswith("conv2d")
        and layer["signature"] == "encode"
        and 20 < layer["decibels"] < 60
    )
    measured = figures["evaluation"]
    assert (
        measured["float32"]["pictures"] == measured["bundle"]["pictures"] == 24
    )  # The pictures that gave ranges are other files.
    assert abs(measured["float32"]["top_1"] - measured["bundle"]["top_1"]) <= 10


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--captions", "{folder}/labels.txt"], "this is a classifier: give --folders or --labels"),
        (["--mapping", "{folder}/labels.txt"], "--mapping goes with --folders"),
        (["--folders", "{data}/folders"], "give --report"),
        (
            ["--folders", "{data}/folders", "--report", "{folder}/report"],
            "--mapping tells which are the same",
        ),
        (["--report", "{folder}/none/report"], "cannot be written: make its folder first"),
    ],
)
def test_what_cannot_be_reported_is_told(data, tmp_path, capsys, arguments, message):
    path = saved(network(), tmp_path, ".keras")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    with pytest.raises(SystemExit) as raised:
        cli.main(
            [
                str(path),
                "--names",
                str(tmp_path / "labels.txt"),
                "--pixels",
                "0..1",
                "--output",
                str(tmp_path / "out"),
                "--representative",
                str(data / "images"),
                *(each.format(folder=tmp_path, data=data) for each in arguments),
            ],
            command,
            "convert",
        )
    last = [line for line in capsys.readouterr().err.split("\n") if line][-1]
    assert (
        raised.value.code == 2
        and last.startswith("picaption: ")
        and message in last
        and not (tmp_path / "out").exists()
    )
