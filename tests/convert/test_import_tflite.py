"""Classifiers that are .tflite files already: as bundles they return their very scores."""

import io
import time
import zipfile
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from picaption.convert.import_tflite import wrap
from picaption.convert.options import ImportOptions
from picaption.convert.tflite.cut import cut_graph
from picaption.device import PicaptionError, Recognizer
from picaption.device.bundle.archive import write_bundle
from picaption.device.bundle.flatbuffer import pack_model
from tests.convert.networks import LABELS, classifier, classifier_file, to_tflite


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
    graph = classifier_file(precision, dtype)
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
    graph = classifier_file()
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
    graph = classifier_file(last=None)
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
    contents = wrap(save(classifier_file(last="sigmoid")), trees())
    assert contents.metadata.head == "multi-label"


def test_what_a_softmax_multiplies_logits_by_is_kept(save, tmp_path, photos):
    model = schema.ModelT.InitFromPackedBuf(classifier_file(), 0)
    operator = model.subgraphs[0].operators[-1]
    assert isinstance(operator.builtinOptions, schema.SoftmaxOptionsT)
    operator.builtinOptions.beta = 0.25
    graph = pack_model(model)
    write_bundle(tmp_path / "wrapped.tflite", wrap(save(graph), trees()))
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    image = recognizer.prepare(photos["coffee"])
    expected = scores_of(graph, image / np.float32(255))
    np.testing.assert_allclose(recognizer.class_scores(image), expected, atol=1e-6)


@pytest.mark.parametrize("last", ["sigmoid", None])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_one_score_is_that_of_the_second_of_two_classes(save, tmp_path, photos, last, precision):
    graph = classifier_file(precision, last=last, classes=1)
    path = save(graph, "pets.tflite")
    pets = ImportOptions(("cat", "dog"), "0..255")
    contents = wrap(path, pets)
    assert contents.metadata.head == "single-label"
    write_bundle(tmp_path / "wrapped.tflite", contents)
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    image = recognizer.prepare(photos["cat"])
    (score,) = scores_of(graph, image)
    dog = score if last else 1 / (1 + np.exp(-score))
    np.testing.assert_allclose(recognizer.class_scores(image), [1 - dog, dog], atol=1 / 255)
    with pytest.raises(
        PicaptionError,
        match="pets.tflite: it gives one score, and 4 labels are no pair: give two with --names, "
        "first what a score of 0 stands for, then what 1 stands for",
    ):
        wrap(path, trees("0..255"))
    with pytest.raises(PicaptionError, match="of a single-label head already: leave out --head"):
        wrap(path, ImportOptions(("cat", "dog"), "0..255", head="multi-label"))


def behind_softmax(function):
    """Return a classifier whose scores go through a function."""
    model = classifier()
    return keras.Model(model.inputs, function(model.outputs[0]))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda: classifier(last="tanh"), "it ends in TANH, whose results are neither logits nor"),
        (lambda: classifier(last="hard_sigmoid"), "it ends in RELU6, whose results are neither"),
        (lambda: classifier(last="relu"), "it ends in RELU, whose results are neither logits nor"),
        (
            lambda: behind_softmax(lambda scores: scores * 100.0),
            "behind its SOFTMAX the scores go through MUL, and are not probabilities any more",
        ),
        (
            lambda: behind_softmax(keras.ops.sqrt),
            "behind its SOFTMAX the scores go through SQRT, and are not probabilities any more",
        ),
        (
            lambda: classifier(last="softmax", classes=1),
            "it gives one score by a SOFTMAX, which is the same for every picture",
        ),
    ],
)
def test_scores_that_are_neither_logits_nor_probabilities(save, model, message):
    with pytest.raises(PicaptionError) as raised:
        wrap(save(to_tflite(model())), trees())
    assert message in str(raised.value)


def test_logarithms_of_probabilities_are_logits(save, tmp_path, photos):
    graph = classifier_file(last="log_softmax")
    write_bundle(tmp_path / "wrapped.tflite", wrap(save(graph), trees()))
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    image = recognizer.prepare(photos["coffee"])
    expected = np.exp(scores_of(graph, image / np.float32(255)))
    np.testing.assert_allclose(recognizer.class_scores(image), expected, atol=1e-5)


def test_a_bundle_that_says_something_else_is_refused(save, monkeypatch):
    # As if the cut had dropped what the file does to its logits.
    def cut_as_sigmoids(*arguments):
        return replace(cut_graph(*arguments[:3], None), activation=None)

    monkeypatch.setattr("picaption.convert.import_tflite.cut_graph", cut_as_sigmoids)
    with pytest.raises(
        PicaptionError, match=r"as a bundle its probabilities differ from its own by 0\.\d+"
    ):
        wrap(save(classifier_file(last="sigmoid")), trees())


def test_numbers_in_errors_are_plain(save):
    image = keras.Input((32, 32, 3))
    maps = keras.layers.Conv2D(4, 3, 2)(image)
    with pytest.raises(
        PicaptionError,
        match=r"what it gives is of shape \[1, 15, 15, 4\], a classifier's is \[1, cl",
    ):
        wrap(save(to_tflite(keras.Model(image, maps))), trees())


def with_archive(graph, files):
    """Return a graph with an archive of text files behind it, as TFLite's metadata has them."""
    file = io.BytesIO(graph)
    with zipfile.ZipFile(file, "a") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return file.getvalue()


def test_labels_inside_the_file(save):
    graph = classifier_file("int8", tf.uint8)
    text = "".join(f"{label}\n" for label in LABELS)
    unnamed = ImportOptions()
    assert wrap(save(with_archive(graph, {"labels.txt": text})), unnamed).labels == LABELS
    # Of several files, the one with as many lines as there are scores.
    several = {"notes.txt": "by hand\n", "trees.txt": text.replace("\n", "\r\n")}
    assert wrap(save(with_archive(graph, several)), unnamed).labels == LABELS
    # As Windows and Teachable Machine write them.
    numbered = "".join(f"{number} {label}\r\n" for number, label in enumerate(LABELS))
    graph_of_windows = with_archive(graph, {"labels.txt": "\ufeff" + numbered})
    assert wrap(save(graph_of_windows), unnamed).labels == LABELS
    with pytest.raises(
        PicaptionError, match="trees.tflite: 1 labels for 4 scores; give one for each score"
    ):
        wrap(save(with_archive(graph, {"notes.txt": "by hand\n"})), unnamed)
    with pytest.raises(
        PicaptionError,
        match="trees.tflite: it has no labels for its 4 scores inside: give a file of them",
    ):
        wrap(save(graph), unnamed)


def branching(activation=None):
    """Return a network that adds two dense layers."""
    keras.utils.set_random_seed(6)
    image = keras.Input((32, 32, 3))
    pooled = keras.layers.GlobalAveragePooling2D()(image)
    left = keras.layers.Dense(4, activation)(keras.layers.Dense(3, "relu")(pooled))
    return keras.Model(image, left + keras.layers.Dense(4, activation)(pooled))


def test_logits_of_several_layers_are_the_features(save, tmp_path, photos):
    graph = to_tflite(branching())
    write_bundle(tmp_path / "wrapped.tflite", wrap(save(graph), trees()))
    recognizer = Recognizer(tmp_path / "wrapped.tflite")
    image = recognizer.prepare(photos["coffee"])
    logits = scores_of(graph, image / np.float32(255))
    np.testing.assert_allclose(
        recognizer.class_scores(image), np.exp(logits) / np.exp(logits).sum(), atol=1e-5
    )


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
            "what it gives is of shape [1, 15, 15, 4], a classifier's is [1, classes]",
        ),
        (
            classifier,
            trees(head="multi-label"),
            "it gives probabilities of a single-label head already: leave out --head",
        ),
        (
            lambda: branching("softmax"),
            trees(),
            "its scores are put together from the probabilities of several branches",
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
        wrap(save(classifier_file(size=None)), trees())


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_file_that_is_cut_short(save, share):
    graph = classifier_file()
    with pytest.raises(
        PicaptionError,
        match="^trees.tflite: its graph cannot be used here: it points out of the file; get a ",
    ):
        wrap(save(graph[: int(len(graph) * share)]), trees())


@pytest.fixture
def no_interpreter_here(monkeypatch):
    """Fails where this process, and not a child of it, opens a graph."""

    def make_interpreter(graph, threads=None):
        raise AssertionError("a graph was opened in this process")

    monkeypatch.setattr("picaption.convert.tflite.trial.make_interpreter", make_interpreter)


@pytest.mark.usefixtures("no_interpreter_here")
def test_a_graph_that_contradicts_itself_is_refused_before_it_is_opened(save):
    model = schema.ModelT.InitFromPackedBuf(classifier_file(), 0)
    operator = model.subgraphs[0].operators[0]
    operator.inputs = np.array([operator.inputs[0], 1000, operator.inputs[2]], np.int32)
    with pytest.raises(PicaptionError, match="^trees.tflite: its graph cannot be used here: "):
        wrap(save(pack_model(model)), trees())


@pytest.mark.usefixtures("no_interpreter_here")
def test_what_ends_the_process_that_opens_it_is_refused(save, monkeypatch):
    path = save(classifier_file())
    assert wrap(path, trees()).labels == LABELS
    (path.parent / "ends_itself.py").write_text("import os\nos.abort()\n")
    monkeypatch.syspath_prepend(str(path.parent))
    monkeypatch.setattr("picaption.convert.tflite.trial.TRIAL", "ends_itself")
    with pytest.raises(
        PicaptionError, match="^trees.tflite: its graph ends the program that opens it .SIGABRT"
    ):
        wrap(path, trees())


@pytest.mark.usefixtures("no_interpreter_here")
def test_what_the_runtime_refuses_is_told_in_a_line(save):
    model = schema.ModelT.InitFromPackedBuf(classifier_file(), 0)
    # A convolution whose strides are 0: only the runtime knows that there are none such.
    model.subgraphs[0].operators[0].builtinOptions.strideW = 0
    with pytest.raises(PicaptionError) as raised:
        wrap(save(pack_model(model)), trees())
    assert str(raised.value).startswith("trees.tflite: ") and "\n" not in str(raised.value)
