"""Classifiers that are .tflite files already: as bundles they give the very scores that they gave."""

import io
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from picaption.convert.commands import convert_command as command
from picaption.convert.import_tflite import wrap
from picaption.device import Bundle, PicaptionError, Recognizer, cli
from picaption.device.bundle.bundle import write_bundle

LABELS = ("ash", "birch", "cedar", "oak")


def network(last="softmax", channels=3, pooled=True):
    """Return a small Keras classifier of pictures of 32x32, with random weights."""
    keras.utils.set_random_seed(5)
    layers = keras.layers
    image = keras.Input((32, 32, channels))
    seen = layers.Conv2D(8, 3, 2, activation="relu6")(image)
    seen = layers.GlobalAveragePooling2D()(seen) if pooled else seen
    return keras.Model(image, layers.Dense(len(LABELS), last)(seen))


def tflite(model, precision="float32", kind=tf.float32):
    """Return a Keras model as a .tflite file's bytes: int8 with inputs and outputs of the dtype `kind`, or floating point."""
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if precision == "float16":
        converter.optimizations, converter.target_spec.supported_types = (
            [tf.lite.Optimize.DEFAULT],
            [tf.float16],
        )
    if precision == "int8":
        random = np.random.default_rng(0)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [random.uniform(0, 255, (1, 32, 32, 3)).astype(np.float32)] for _ in range(20)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = kind
    return converter.convert()


def scores(graph, picture):
    """Return what the graph of a .tflite file gives for a picture of uint8, by its own quantization."""
    interpreter = tf.lite.Interpreter(model_content=graph)
    interpreter.allocate_tensors()
    given, told = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    image = picture.astype(np.int16) - 128 if given["dtype"] == np.int8 else picture
    interpreter.set_tensor(given["index"], image[None].astype(given["dtype"]))
    interpreter.invoke()
    found, (scale, zero_point) = interpreter.get_tensor(told["index"])[0], told["quantization"]
    return (found.astype(np.float32) - zero_point) * scale if scale else found


@pytest.fixture
def save(tmp_path):
    """A function that writes bytes to a .tflite file and returns its path."""

    def save(data, name="trees.tflite"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return save


@pytest.mark.parametrize(
    "precision, kind, step",
    [
        ("float32", tf.float32, 1e-6),
        ("float16", tf.float32, 1e-6),
        ("int8", tf.uint8, 1 / 255),
        ("int8", tf.int8, 1 / 255),
        ("int8", tf.float32, 1 / 255),
    ],
)
def test_the_bundle_gives_the_scores_of_the_file(save, tmp_path, photos, precision, kind, step):
    graph = tflite(network(), precision, kind)
    contents = wrap(save(graph), LABELS, "0..255")
    write_bundle(tmp_path / "wrapped.tflite", contents)
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    for image in photos.values():
        picture = recognizer.prepare(image)
        found = recognizer.class_scores(picture)
        # The file's own probabilities come in steps, a bundle's do not.
        np.testing.assert_allclose(found, scores(graph, picture), atol=step)
        assert found.sum() == pytest.approx(1, abs=1e-5)
    recognition = recognizer(photos["cat"])
    assert recognition.caption is None and recognition.classes[0].name in LABELS
    assert (contents.metadata.name, contents.metadata.head) == ("trees", "single-label")
    assert len(contents.graph) < len(graph) + 3000  # Weights stand in it once.


def test_pixels_are_brought_to_the_range_that_the_network_takes(save, tmp_path, photos):
    graph = tflite(network())
    for pixels, factor, added in (("0..1", 1 / 255, 0), ("-1..1", 1 / 127.5, -1)):
        write_bundle(tmp_path / "wrapped.tflite", wrap(save(graph), LABELS, pixels))
        recognizer = Recognizer(tmp_path / "wrapped.tflite")
        picture = recognizer.prepare(photos["coffee"])
        np.testing.assert_allclose(
            recognizer.class_scores(picture),
            scores(graph, picture * np.float32(factor) + added),
            atol=1e-6,
        )


def test_logits_become_what_the_head_says(save, tmp_path, photos):
    graph = tflite(network(last=None))
    for head, expected in (
        ("single-label", lambda logits: np.exp(logits) / np.exp(logits).sum()),
        ("multi-label", lambda logits: 1 / (1 + np.exp(-logits))),
    ):
        write_bundle(tmp_path / "wrapped.tflite", wrap(save(graph), LABELS, "0..1", head=head))
        recognizer = Recognizer(tmp_path / "wrapped.tflite")
        picture = recognizer.prepare(photos["coffee"])
        logits = scores(graph, picture / np.float32(255))
        np.testing.assert_allclose(recognizer.class_scores(picture), expected(logits), atol=1e-5)
        assert recognizer.model.metadata.head == head
    assert wrap(save(tflite(network("sigmoid"))), LABELS, "0..1").metadata.head == "multi-label"


def test_labels_inside_the_file_are_found(save):
    def with_files(graph, files):
        file = io.BytesIO(graph)
        with zipfile.ZipFile(file, "a") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        return file.getvalue()

    graph = tflite(network(), "int8", tf.uint8)
    text = "".join(f"{label}\n" for label in LABELS)
    # As TFLite's metadata has them; of several files, the one with as many lines as there are scores.
    assert wrap(save(with_files(graph, {"labels.txt": text}))).labels == LABELS
    assert (
        wrap(
            save(
                with_files(
                    graph, {"notes.txt": "by hand\n", "trees.txt": text.replace("\n", "\r\n")}
                )
            )
        ).labels
        == LABELS
    )
    with pytest.raises(
        PicaptionError, match="trees.tflite: 1 labels for 4 scores; give one for each score"
    ):
        wrap(save(with_files(graph, {"notes.txt": "by hand\n"})))
    with pytest.raises(
        PicaptionError,
        match="trees.tflite: it has no labels for its 4 scores inside: give a file of them",
    ):
        wrap(save(graph))


def branching():
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Dense(4)(pooled) * keras.layers.Dense(4)(pooled))


@pytest.mark.parametrize(
    "model, pixels, head, message",
    [
        (
            lambda: network(),
            None,
            None,
            "it takes pictures as floating point: tell the range of their pixels with --pixels",
        ),
        (
            lambda: network(channels=1),
            "0..1",
            None,
            "its input is [1, 32, 32, 1]; it takes one picture in three colours",
        ),
        (
            lambda: network(pooled=False),
            "0..1",
            None,
            "it does not end in one dense layer, in front of which are the features",
        ),
        (
            lambda: network(),
            "0..1",
            "multi-label",
            "it gives probabilities of a single-label head already: leave out --head",
        ),
        (
            branching,
            "0..1",
            None,
            "it does not end in one dense layer, in front of which are the features",
        ),
    ],
)
def test_what_is_no_classifier_is_told(save, model, pixels, head, message):
    with pytest.raises(PicaptionError) as raised:
        wrap(save(tflite(model())), LABELS, pixels, head=head)
    assert message in str(raised.value) and str(raised.value).startswith("trees.tflite: ")


def test_a_picture_of_any_size_is_refused(save):
    image = keras.Input((None, None, 3))
    seen = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(8, 3)(image))
    with pytest.raises(
        PicaptionError,
        match="its input is of a dynamic shape, .*: convert it with a fixed height and width",
    ):
        wrap(save(tflite(keras.Model(image, keras.layers.Dense(4)(seen)))), LABELS, "0..1")


@pytest.mark.parametrize("share", (0.1, 0.5, 0.9))
def test_a_file_that_is_cut_short_is_told(save, share):
    graph = tflite(network())
    with pytest.raises(
        PicaptionError, match="trees.tflite: the file is cut short or damaged; copy it again"
    ):
        wrap(save(graph[: int(len(graph) * share)]), LABELS, "0..1")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (
            ["{file}", "--names", "{folder}/absent.txt", "--pixels", "0..1"],
            "absent.txt: cannot read the names",
        ),
        (["{folder}/text.tflite"], "text.tflite: not a .tflite file"),
        (
            ["{folder}", "--pixels", "0..1"],
            "--names, --pixels, --size, --head and --mapping are about others' classifiers; this is a training run",
        ),
        (
            [
                "{file}",
                "--names",
                "{folder}/labels.txt",
                "--pixels",
                "0..1",
                "--output",
                "{folder}/absent/out.tflite",
            ],
            "absent/out.tflite: cannot write the bundle: No such file or directory",
        ),
    ],
)
def test_the_command_fails_in_one_line(save, tmp_path, capsys, arguments, message):
    file = save(tflite(network()))
    (tmp_path / "text.tflite").write_text("no graph at all")
    (tmp_path / "labels.txt").write_text("\n".join(LABELS))
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit) as raised:
        cli.main(
            [each.format(file=file, folder=tmp_path) for each in arguments], command, "convert"
        )
    assert raised.value.code == 2 and sorted(tmp_path.iterdir()) == before
    err = capsys.readouterr().err
    assert err.startswith("picaption: ") and message in err and err.count("\n") == 1


def test_the_command_writes_a_bundle(save, tmp_path, capsys):
    (tmp_path / "labels.txt").write_text("\n".join(LABELS) + "\n\n")
    output = tmp_path / "bundle.tflite"
    with pytest.raises(SystemExit) as raised:
        cli.main(
            [
                str(save(tflite(network()))),
                "--names",
                str(tmp_path / "labels.txt"),
                "--pixels",
                "-1..1",
                "--resize",
                "crop",
                "--output",
                str(output),
            ],
            command,
            "convert",
        )
    out, err = capsys.readouterr()
    assert (raised.value.code, err) == (0, "") and "4 classes, single-label" in out
    bundle = Bundle(output)
    assert bundle.labels == LABELS and bundle.metadata.input.resize == "crop"
