"""Networks of ONNX become bundles that say what ONNX Runtime says of them."""

import numpy as np
import pytest

pytest.importorskip("onnxruntime")

import onnx

from picaption.convert.import_network import convert_network
from picaption.convert.options import ConversionOptions, ImportOptions
from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.models.networks.onnx_graph.load import load_onnx
from tests.convert.networks import LABELS
from tests.onnx_networks import classifier, model, save

IMAGENET = "mean=0.485,0.456,0.406 std=0.229,0.224,0.225"
TREES = ImportOptions(LABELS, IMAGENET)


def own_scores(path, image):
    """Return ONNX Runtime's scores of a file for an image that is scaled by ImageNet's figures."""
    mean = np.float32([0.485, 0.456, 0.406])
    std = np.float32([0.229, 0.224, 0.225])
    scaled = (image.astype(np.float32) / 255 - mean) / std
    return load_onnx(path).own_scores(scaled[None])[0]


@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-5), ("int8", 0.05)])
def test_the_bundle_says_what_onnx_runtime_says(data, photos, tmp_path, precision, tolerance):
    path = save(classifier(), tmp_path)
    output = tmp_path / "out.tflite"
    agreement = convert_network(path, output, data / "images", TREES, ConversionOptions(precision))
    assert agreement.largest <= tolerance
    recognizer = Recognizer(output)
    assert recognizer.model.metadata.name == "trees"
    for photo in photos.values():
        image = recognizer.prepare(photo)
        exact = own_scores(path, image)
        np.testing.assert_allclose(recognizer.class_scores(image), exact, atol=tolerance)


def test_pixels_and_labels_come_from_the_files_metadata(data, photos, tmp_path, convert_command):
    metadata = {
        "mean": "[0.485, 0.456, 0.406]",
        "std": "[0.229, 0.224, 0.225]",
        "names": "{0: 'ash', 1: 'birch', 2: 'cedar', 3: 'oak'}",
    }
    path = save(classifier(metadata=metadata), tmp_path)
    output = tmp_path / "out.tflite"
    result = convert_command(path, "--output", output, "--representative", data / "images")
    assert result.code == 0
    assert "their probabilities differ by 0.0" in result.out
    assert Bundle(output).labels == LABELS
    recognizer = Recognizer(output)
    image = recognizer.prepare(photos["cat"])
    exact = own_scores(path, image)
    np.testing.assert_allclose(recognizer.class_scores(image), exact, atol=0.05)


def test_beyond_the_allowed_difference_nothing_is_written(data, tmp_path, failure):
    path = save(classifier(), tmp_path)
    names = tmp_path / "names.txt"
    names.write_text("\n".join(LABELS))
    output = tmp_path / "out.tflite"
    line = failure(
        *(path, "--output", output, "--representative", data / "images", "--names", names),
        *("--pixels", IMAGENET, "--allow-difference", "0"),
    )
    assert "its probabilities of one picture differ from the float model by 0.0" in line
    assert "--allow-difference" in line
    assert not output.exists()


def test_an_operator_that_computes_otherwise_is_found_before_anything_is_quantized(
    data, tmp_path, monkeypatch
):
    from picaption.models.networks.onnx_graph import function, spatial

    def wrong_pool(node, inputs):
        pooled = spatial.global_pool(node, inputs)
        return pooled.with_values(pooled.values * 3)

    monkeypatch.setitem(function.OPERATORS, "GlobalAveragePool", wrong_pool)
    path = save(classifier(), tmp_path)
    with pytest.raises(PicaptionError, match="before anything is quantized, its scores already"):
        convert_network(path, tmp_path / "out.tflite", data / "images", TREES)


def test_a_map_of_scores_is_pooled(data, photos, tmp_path):
    random = np.random.default_rng(2)
    weights = {
        "k": random.normal(0, 0.5, (8, 3, 3, 3)).astype(np.float32),
        "head": random.normal(0, 1, (4, 8, 1, 1)).astype(np.float32),
    }
    nodes = [
        ("Conv", ["image", "k"], ["c"], {"strides": [4, 4]}),
        ("Relu", ["c"], ["r"], {}),
        ("Conv", ["r", "head"], ["logits"], {}),
        ("Softmax", ["logits"], ["scores"], {"axis": 1}),
    ]
    path = save(model(nodes, weights), tmp_path)
    output = tmp_path / "out.tflite"
    convert_network(path, output, data / "images", TREES, ConversionOptions("float32"))
    recognizer = Recognizer(output)
    image = recognizer.prepare(photos["cat"])
    logits = np.log(own_scores(path, image)).mean((0, 1))
    exact = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(recognizer.class_scores(image), exact, atol=1e-4)


def test_features_become_a_bundle_to_teach(data, tmp_path, convert_command):
    made = classifier(classes=8, last=None)
    path = save(made, tmp_path)
    output = tmp_path / "out.tflite"
    result = convert_command(
        *(path, "--output", output, "--representative", data / "images"),
        *("--pixels", "0..1", "--embedding"),
    )
    assert result.code == 0
    assert "features for picaption teach" in result.out
    bundle = Bundle(output)
    assert bundle.labels == ()
    image = np.full((32, 32, 3), 90, np.uint8)
    expected = load_onnx(path).own_scores(np.float32(image[None] / 255))
    features = bundle.encode(image).features
    assert features.shape == (1, 8)
    np.testing.assert_allclose(features, expected, atol=0.1 * np.abs(expected).max())


def test_one_of_several_outputs_by_its_name(data, tmp_path):
    made = classifier()
    made.graph.output.append(type(made.graph.output[0])(name="features"))
    made.graph.output[1].type.tensor_type.elem_type = 1
    path = save(made, tmp_path)
    with pytest.raises(PicaptionError, match="gives 2 outputs, scores, features: choose the sco"):
        convert_network(path, tmp_path / "out", data / "images", TREES)
    with pytest.raises(PicaptionError, match="it has no output x; it gives scores, features"):
        convert_network(
            path, tmp_path / "out", data / "images", ImportOptions(LABELS, "0..1", output_name="x")
        )
    chosen = ImportOptions(LABELS, "0..1", output_name="scores")
    agreement = convert_network(path, tmp_path / "out", data / "images", chosen)
    assert agreement.top == 1


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        (
            lambda: classifier(shape=(1, 1, 32, 32)),
            TREES,
            r"its input is \[1, 1, 32, 32\]; it takes one picture in three colours",
        ),
        (
            lambda: classifier(shape=("N", 3, "H", "W")),
            TREES,
            r"dynamic shape, \[None, None, None, 3\]: tell the size of its pictures with --size",
        ),
        (lambda: classifier(), ImportOptions(pixels="0..1"), "give its class names"),
        (lambda: classifier(), ImportOptions(LABELS), "tell the range of pixels"),
        (
            lambda: classifier(last="HardSigmoid"),
            TREES,
            "whose results are neither logits nor probabilities",
        ),
        (
            lambda: classifier(last="Tanh"),
            TREES,
            "it ends in TANH, whose results are neither logits nor probabilities",
        ),
    ],
)
def test_what_is_no_classifier_of_pictures_is_named(data, tmp_path, made, options, message):
    path = save(made(), tmp_path)
    with pytest.raises(PicaptionError, match=message):
        convert_network(path, tmp_path / "out", data / "images", options)
    assert not (tmp_path / "out").exists()


def test_a_damaged_file(tmp_path, failure):
    path = save(classifier(), tmp_path)
    path.write_bytes(path.read_bytes()[:400])
    line = failure(path, "--representative", tmp_path)
    assert "cannot load it as an ONNX network" in line


def test_weights_that_are_not_beside_the_file(tmp_path, failure):
    path = tmp_path / "trees.onnx"
    onnx.save(
        *(classifier(), str(path)),
        save_as_external_data=True,
        location="trees.onnx.data",
        size_threshold=0,
    )
    assert load_onnx(path).input_shape == (32, 32, 3)
    (tmp_path / "trees.onnx.data").unlink()
    line = failure(path, "--representative", tmp_path)
    assert "its weights are in trees.onnx.data, which is not beside it: copy both files" in line


def test_an_operator_that_tflite_lacks_is_named_with_its_layer(data, tmp_path, failure):
    path = save(model([("NonZero", ["image"], ["scores"], {})], {}), tmp_path)
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    line = failure(
        *(path, "--representative", data / "images", "--pixels", "0..1"),
        *("--names", tmp_path / "names.txt"),
    )
    assert f"{path}: TFLite has no operator for NonZero, in layer layer0: export the" in line
