"""Classifiers that are .tflite files already: as bundles they return their very scores."""

import io
import time
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

from picaption.convert.import_tflite import wrap
from picaption.convert.options import ImportOptions
from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.archive import write_bundle
from tests.convert.networks import LABELS, classifier, to_tflite


def scores_of(graph, image):
    """Return the output of a .tflite file for an image of uint8, by its own quantization."""
    interpreter = tf.lite.Interpreter(model_content=graph)
    interpreter.allocate_tensors()
    (inputs,) = interpreter.get_input_details()
    (outputs,) = interpreter.get_output_details()
    if inputs["dtype"] == np.int8:
        image = image.astype(np.int16) - 128
    interpreter.set_tensor(inputs["index"], image[None].astype(inputs["dtype"]))
    interpreter.invoke()
    scores = interpreter.get_tensor(outputs["index"])[0]
    scale, zero_point = outputs["quantization"]
    return (scores.astype(np.float32) - zero_point) * scale if scale else scores


@pytest.fixture
def save(tmp_path):
    """A function that writes bytes to a .tflite file and returns its path."""

    def save(data, name="trees.tflite"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return save


def trees(pixels="0..1", **options):
    """Return the options of the classifiers here."""
    return ImportOptions(LABELS, pixels, **options)


@pytest.mark.parametrize(
    ("precision", "dtype", "step"),
    [
        ("float32", tf.float32, 1e-6),
        ("float16", tf.float32, 1e-6),
        ("int8", tf.uint8, 1 / 255),
        ("int8", tf.int8, 1 / 255),
        ("int8", tf.float32, 1 / 255),
    ],
)
def test_the_bundle_returns_the_scores_of_the_file(save, tmp_path, photos, precision, dtype, step):
    graph = to_tflite(classifier(), precision, dtype)
    contents = wrap(save(graph), trees("0..255"))
    write_bundle(tmp_path / "wrapped.tflite", contents)
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    for photo in photos.values():
        image = recognizer.prepare(photo)
        scores = recognizer.class_scores(image)
        # The file's own probabilities come in steps, a bundle's do not.
        np.testing.assert_allclose(scores, scores_of(graph, image), atol=step)
        assert scores.sum() == pytest.approx(1, abs=1e-5)
    recognition = recognizer(photos["cat"])
    assert recognition.caption is None
    assert recognition.classes[0].name in LABELS
    assert (contents.metadata.name, contents.metadata.head) == ("trees", "single-label")
    assert len(contents.graph) < len(graph) + 3000  # Weights stand in it once.


@pytest.mark.parametrize(
    ("pixels", "factor", "offset"), [("0..1", 1 / 255, 0), ("-1..1", 1 / 127.5, -1)]
)
def test_pixels_are_brought_to_the_range_that_the_network_takes(
    save, tmp_path, photos, pixels, factor, offset
):
    graph = to_tflite(classifier())
    write_bundle(tmp_path / "wrapped.tflite", wrap(save(graph), trees(pixels)))
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    image = recognizer.prepare(photos["coffee"])
    expected = scores_of(graph, image * np.float32(factor) + offset)
    np.testing.assert_allclose(recognizer.class_scores(image), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("head", "activate"),
    [
        ("single-label", lambda logits: np.exp(logits) / np.exp(logits).sum()),
        ("multi-label", lambda logits: 1 / (1 + np.exp(-logits))),
    ],
)
def test_logits_become_what_the_head_says(save, tmp_path, photos, head, activate):
    graph = to_tflite(classifier(last=None))
    write_bundle(tmp_path / "wrapped.tflite", wrap(save(graph), trees(head=head)))
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    image = recognizer.prepare(photos["coffee"])
    expected = activate(scores_of(graph, image / np.float32(255)))
    np.testing.assert_allclose(recognizer.class_scores(image), expected, atol=1e-5)
    assert recognizer.model.metadata.head == head


def many_branches(branch, count=40):
    """Return a classifier of 8 channels with `count` times `branch`, of a layer's output."""
    keras.utils.set_random_seed(6)
    image = keras.Input((8, 8, 3))
    values = keras.layers.Conv2D(8, 1)(image)
    for _ in range(count):
        values = branch(values)
    pooled = keras.layers.GlobalAveragePooling2D()(values)
    return keras.Model(image, keras.layers.Dense(len(LABELS), "softmax")(pooled))


def squeeze_and_excite(values):
    pooled = keras.layers.GlobalAveragePooling2D(keepdims=True)(values)
    return values * keras.layers.Conv2D(values.shape[-1], 1, activation="sigmoid")(pooled)


def dense_block(values):
    return keras.layers.concatenate([values, keras.layers.Conv2D(1, 1)(values)])


@pytest.mark.timeout(100)
@pytest.mark.parametrize(
    "branch",
    [
        lambda values: values + keras.layers.Conv2D(8, 1)(values),
        keras.activations.silu,
        squeeze_and_excite,
        dense_block,
        lambda values: keras.layers.LayerNormalization()(values),
    ],
    ids=["residual", "swish", "squeeze and excite", "dense", "layer normalization"],
)
def test_networks_of_many_branches_are_cut_in_one_pass(save, branch):
    path = save(to_tflite(many_branches(branch)))
    start = time.process_time()
    assert wrap(path, trees("0..1")).labels == LABELS
    assert time.process_time() - start < 10  # Branch by branch it would be 2^40 steps.


def test_a_sigmoid_is_a_multi_label_head(save):
    contents = wrap(save(to_tflite(classifier(last="sigmoid"))), trees())
    assert contents.metadata.head == "multi-label"


def with_archive(graph, files):
    """Return a graph with an archive of text files behind it, as TFLite's metadata has them."""
    file = io.BytesIO(graph)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file.getvalue()


def test_labels_inside_the_file(save):
    graph = to_tflite(classifier(), "int8", tf.uint8)
    text = "".join(f"{label}\n" for label in LABELS)
    unnamed = ImportOptions()
    assert wrap(save(with_archive(graph, {"labels.txt": text})), unnamed).labels == LABELS
    # Of several files, the one with as many lines as there are scores.
    several = {"notes.txt": "by hand\n", "trees.txt": text.replace("\n", "\r\n")}
    assert wrap(save(with_archive(graph, several)), unnamed).labels == LABELS
    with pytest.raises(
        PicaptionError, match="trees.tflite: 1 labels for 4 scores; give one for each score"
    ):
        wrap(save(with_archive(graph, {"notes.txt": "by hand\n"})), unnamed)
    with pytest.raises(
        PicaptionError,
        match="trees.tflite: it has no labels for its 4 scores inside: give a file of them",
    ):
        wrap(save(graph), unnamed)


def branching():
    """Return a network that multiplies two dense layers."""
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    return keras.Model(image, keras.layers.Dense(4)(pooled) * keras.layers.Dense(4)(pooled))


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (
            classifier,
            trees(None),
            "it takes pictures as floating point: tell the range of their pixels with --pixels",
        ),
        (
            lambda: classifier(channels=1),
            trees(),
            "its input is [1, 32, 32, 1]; it takes one picture in three colours",
        ),
        (
            lambda: classifier(pooled=False),
            trees(),
            "it does not end in one dense layer, in front of which are the features",
        ),
        (
            classifier,
            trees(head="multi-label"),
            "it gives probabilities of a single-label head already: leave out --head",
        ),
        (
            branching,
            trees(),
            "it does not end in one dense layer, in front of which are the features",
        ),
    ],
)
def test_what_is_no_classifier(save, model, options, message):
    with pytest.raises(PicaptionError) as raised:
        wrap(save(to_tflite(model())), options)
    assert message in str(raised.value)
    assert str(raised.value).startswith("trees.tflite: ")


def test_an_image_of_any_size_is_refused(save):
    with pytest.raises(
        PicaptionError,
        match="its input is of a dynamic shape, .*: convert it with a fixed height and width",
    ):
        wrap(save(to_tflite(classifier(size=None))), trees())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_short(save, share):
    graph = to_tflite(classifier())
    with pytest.raises(
        PicaptionError, match="trees.tflite: the file is cut short or damaged; copy it again"
    ):
        wrap(save(graph[: int(len(graph) * share)]), trees())
