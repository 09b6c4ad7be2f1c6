"""What a report tells is what the graphs do."""

import hashlib
import json
from html.parser import HTMLParser

import numpy as np
import pytest

from picaption.convert import convert
from picaption.convert.options import Agreement, ConversionOptions
from picaption.convert.report.figures import table, write_report
from picaption.convert.report.layer_snr import compare_layers, decibels
from picaption.convert.representative import load_images
from picaption.convert.tflite.operators import multiply_adds
from picaption.device import Bundle, PicaptionError
from picaption.models.data.readers import add_labels, read_captions, read_labels
from picaption.models.run_folder import FloatModel


@pytest.fixture(scope="module")
def reported(run, data, tmp_path_factory):
    """(the bundle's path, the figures of its conversion), measured on the dev pictures too."""
    path, seen = tmp_path_factory.mktemp("reported") / "tiny.tflite", []
    split, images = data / "dev.txt", data / "images"
    dataset = add_labels(
        read_captions(data / "captions.token.txt", images, split),
        read_labels(data / "labels.tsv", images, split),
    )
    convert.convert(
        run,
        path,
        data / "images",
        ConversionOptions(count=10),
        on_report=seen.append,
        dataset=dataset,
    )
    return path, seen[0]


@pytest.mark.parametrize(
    "kind, inputs, output, expected",
    [
        ("CONV_2D", [[1, 8, 8, 3], [4, 3, 3, 3], [4]], [1, 6, 6, 4], 6 * 6 * 4 * 3 * 3 * 3),
        ("DEPTHWISE_CONV_2D", [[1, 8, 8, 5], [1, 3, 3, 5], [5]], [1, 8, 8, 5], 8 * 8 * 5 * 9),
        ("FULLY_CONNECTED", [[3, 10], [7, 10]], [3, 7], 210),
        ("BATCH_MATMUL", [[2, 3, 4], [2, 4, 5]], [2, 3, 5], 120),
        ("ADD", [[1, 9], [1, 9]], [1, 9], 0),
    ],
)
def test_multiply_adds_by_hand(kind, inputs, output, expected):
    assert multiply_adds(kind, inputs, output) == expected


def test_multiply_adds_are_those_of_the_layers(reported, run):
    import keras

    model, counted = FloatModel(run), reported[1]["multiply_adds"]
    layers = [
        layer
        for layer in model.encoder._flatten_layers()
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D))
    ]
    expected = sum(
        np.prod(layer.output.shape[1:3]) * np.prod(layer.kernel.shape) for layer in layers
    )
    dense = sum(
        np.prod(layer.kernel.shape)
        for part in (model.encoder, model.captioner.context, model.captioner.tagger)
        for layer in part._flatten_layers()
        if isinstance(layer, keras.layers.Dense)
    )
    twice = (
        counted["encode"] - expected - dense
    )  # The converter writes a small product once for each of its two uses.
    assert len(layers) == 3 and twice in (
        0,
        np.prod(model.captioner.context.get_layer("context").kernel.shape),
    )
    words, width, embedded = len(model.vocabulary), model.metadata.beam.width, 2 * 16
    assert counted["next_word"] == width * (embedded * 32 + 32 * words)
    assert counted["classify"] == model.classifier.features.size + model.classifier.words.size


def test_decibels_by_hand():
    assert decibels(100, 1) == pytest.approx(20)
    assert decibels(1, 2) == pytest.approx(-3.0103, abs=1e-4)
    assert decibels(5, 0) == pytest.approx(120) and decibels(0, 0) == 0


def test_the_parts_add_up_to_the_file(reported):
    path, figures = reported
    assert sum(part["bundle"] for part in figures["bytes"].values()) == path.stat().st_size
    assert {"encoder", "captioner", "classifier", "structure", "vocabulary", "labels"} <= set(
        figures["bytes"]
    )
    for name in ("encoder", "captioner", "classifier"):
        assert 3 < figures["bytes"][name]["float32"] / figures["bytes"][name]["bundle"] <= 4
    assert figures["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_layers_decibels_are_those_of_its_outputs(run, data, reported):
    from picaption.convert.tflite.export import convert_with_layer_names, signature_functions

    model = FloatModel(run)
    functions = signature_functions(model, model.metadata.beam.width)
    pictures = [
        picture
        for _, picture in load_images(sorted((data / "images").iterdir())[:4], model.metadata.input)
    ]
    examples = convert.representative_examples(model, pictures)
    exact, rough = (
        convert_with_layer_names(functions, "float32"),
        convert_with_layer_names(functions, "int8", examples),
    )
    assert {layer.decibels for layer in compare_layers(exact, exact, examples)} == {120.0}
    found = {layer.name: layer for layer in compare_layers(exact, rough, examples)}
    from picaption.device.bundle.runtime import make_interpreter

    runners = [make_interpreter(graph).get_signature_runner("encode") for graph in (exact, rough)]
    seen = [
        np.concatenate([runner(image=picture[None])["features"] for picture in pictures])
        for runner in runners
    ]
    expected = 10 * np.log10((seen[0] ** 2).sum() / ((seen[0] - seen[1]) ** 2).sum())
    assert found["features"].decibels == pytest.approx(
        expected, abs=1
    )  # Its kernels here are XNNPACK's.
    assert 0 < found["features"].lost < 20 and found["features"].kind == "FULLY_CONNECTED"


def test_layers_have_the_names_of_the_run(reported, run):
    names = {layer.name for layer in FloatModel(run).encoder._flatten_layers()}
    told = [
        layer
        for layer in reported[1]["layers"]
        if layer["signature"] == "encode" and layer["kind"].endswith("CONV_2D")
    ]
    assert len(told) == 3 and {layer["name"] for layer in told} <= names


def test_one_scale_a_tensor_is_worse_where_channels_differ(run, data, tmp_path):
    from picaption.convert.tflite.export import convert_with_layer_names, signature_functions

    model = FloatModel(run)
    layer = next(
        layer for layer in model.encoder._flatten_layers() if type(layer).__name__ == "Conv2D"
    )
    kernel, *rest = layer.get_weights()
    kernel[..., 0] *= 300  # The others' weights are then next to nothing beside it.
    layer.set_weights([kernel, *rest])
    functions = signature_functions(model, model.metadata.beam.width)
    pictures = [
        picture
        for _, picture in load_images(sorted((data / "images").iterdir())[:4], model.metadata.input)
    ]
    examples = [("encode", {"image": picture[None]}) for picture in pictures]
    examples += [
        (
            "next_word",
            {"history": np.zeros((2, 2), np.int32), "context": np.ones((1, 32), np.float32)},
        )
    ]
    exact = convert_with_layer_names(functions, "float32")

    def after(per_tensor):
        layers = compare_layers(
            exact,
            convert_with_layer_names(functions, "int8", examples, per_tensor=per_tensor),
            examples,
        )
        return next(each.decibels for each in layers if each.name == "features")

    assert after(per_tensor=True) < after(per_tensor=False) - 3


def test_operators_and_where_they_run(reported):
    figures = reported[1]
    encode = figures["operators"]["encode"]
    assert encode["CONV_2D"]["all"] == encode["CONV_2D"]["xnnpack"] > 0
    assert encode["CAST"] == {"all": 1, "xnnpack": 0}  # No int8 yet: the picture comes as uint8.
    outside = sum(
        each["all"] - each["xnnpack"]
        for kinds in figures["operators"].values()
        for each in kinds.values()
    )
    assert len(figures["elsewhere"]) == outside and figures["floating"] == []


def test_both_models_are_measured_on_pictures_that_gave_no_ranges(reported):
    measured = reported[1]["evaluation"]
    assert set(measured) == {"float32", "bundle", "left_out"} and set(measured["float32"]) == set(
        measured["bundle"]
    )
    assert measured["bundle"]["pictures"] + measured["left_out"] == 6 and measured["left_out"] > 0
    assert {"BLEU-4", "CIDEr", "mAP", "calibration_error"} <= set(measured["bundle"])


def test_the_same_conversion_reports_the_same_but_its_latencies(run, data, tmp_path):
    texts = []
    for name in ("one", "two"):
        seen = []
        convert.convert(
            run,
            tmp_path / f"{name}.tflite",
            data / "images",
            ConversionOptions(count=10),
            on_report=seen.append,
        )
        assert all(
            0 < each["median"] <= each["p90"]
            for spent in seen[0].pop("latency")["milliseconds"].values()
            for each in spent.values()
        )
        texts.append(json.dumps(seen[0]))
    assert texts[0] == texts[1]
    assert (tmp_path / "one.tflite").read_bytes() == (tmp_path / "two.tflite").read_bytes()


class Page(HTMLParser):
    """What a page holds: its text, and the addresses that it would load."""

    def __init__(self, text):
        super().__init__()
        self.text, self.addresses, self.tags = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [
            value
            for name, value in attributes
            if name in ("src", "href", "xlink:href") and value[0] != "#"
        ]

    def handle_data(self, data):
        self.text.append(data.strip())


def test_the_page_needs_no_other_file(reported, tmp_path):
    figures = reported[1]
    path = write_report(tmp_path / "out", figures)
    page = Page(path.read_text())
    assert page.addresses == [] and page.tags.count("svg") == 2 and "script" not in page.tags
    worst = min(figures["layers"], key=lambda layer: layer["decibels"])
    assert (
        worst["name"] in page.text
        and str(worst["decibels"]) in page.text
        and "tiny, int8" in page.text
    )
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == figures
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.json",
    ]
    assert write_report(tmp_path / "other.html", figures).read_text() == path.read_text()
    assert (tmp_path / "other.json").exists()


def test_the_table_names_what_the_report_does(reported):
    lines = table(reported[1])
    assert any(
        line.split()[:1] == ["encoder"] and f"{reported[1]['bytes']['encoder']['bundle']:,}" in line
        for line in lines
    )
    assert any("CIDEr" in line for line in lines) and any(
        line.startswith("! only 10 representative") for line in lines
    )


def test_a_bundle_that_is_refused_is_reported(run, data, tmp_path):
    seen = []
    options = ConversionOptions(bounds=Agreement(1e-9, words=1, classes=1, caption=0, top=0))
    with pytest.raises(PicaptionError, match="is not written"):
        convert.convert(
            run, tmp_path / "out.tflite", data / "images", options, on_report=seen.append
        )
    assert seen[0]["beyond"] == ["features"] and seen[0]["advice"][0]["symptom"].startswith(
        "no bundle was written: its features"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_classifier_alone_is_reported(class_run, data, tmp_path):
    seen = []
    convert.convert(class_run, tmp_path / "classes.tflite", data / "images", on_report=seen.append)
    assert (
        set(seen[0]["operators"]) == {"encode", "classify"} and "captioner" not in seen[0]["bytes"]
    )
    assert Bundle(tmp_path / "classes.tflite").vocabulary is None
    assert "nats a word" not in "\n".join(table(seen[0]))
    write_report(tmp_path / "classes.html", seen[0])
