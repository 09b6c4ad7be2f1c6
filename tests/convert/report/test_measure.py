"""A report holds what the graphs do."""

import hashlib
import json

import keras
import numpy as np
import pytest

from picaption.convert.convert import convert
from picaption.convert.options import ConversionOptions
from picaption.convert.report.measure import data_without
from picaption.convert.report.table import table
from picaption.device import Bundle, PicaptionError
from picaption.models.data.readers import Dataset, Record
from picaption.models.run_folder import FloatModel


def test_multiply_adds_are_those_of_the_layers(reported, run):
    model = FloatModel(run)
    counted = reported.report.multiply_adds
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
    # The converter writes a small product once for each of its two uses.
    twice = counted["encode"] - expected - dense
    assert len(layers) == 3
    assert twice in (0, np.prod(model.captioner.context.get_layer("context").kernel.shape))
    words = len(model.vocabulary)
    width = model.metadata.beam.width
    embedded = 2 * 16
    assert counted["next_word"] == width * (embedded * 32 + 32 * words)
    assert counted["classify"] == model.classifier.features.size + model.classifier.words.size


def test_the_parts_add_up_to_the_file(reported):
    sizes = reported.report.sizes
    assert sum(part.bundle for part in sizes.values()) == reported.path.stat().st_size
    assert set(sizes) >= {
        "encoder",
        "captioner",
        "classifier",
        "structure",
        "vocabulary",
        "labels",
    }
    for name in ("encoder", "captioner", "classifier"):
        assert 3 < sizes[name].float32 / sizes[name].bundle <= 4
    assert reported.report.sha256 == hashlib.sha256(reported.path.read_bytes()).hexdigest()


def test_layers_have_the_names_of_the_run(reported, run):
    names = {layer.name for layer in FloatModel(run).encoder._flatten_layers()}
    convolutions = [
        layer
        for layer in reported.report.layers
        if layer.signature == "encode" and layer.opcode.endswith("CONV_2D")
    ]
    assert len(convolutions) == 3
    assert {layer.name for layer in convolutions} <= names


def test_operators_and_where_they_run(reported):
    report = reported.report
    encode = report.operators["encode"]
    assert encode["CONV_2D"].all == encode["CONV_2D"].xnnpack > 0
    # No int8 yet: the image comes as uint8.
    assert (encode["CAST"].all, encode["CAST"].xnnpack) == (1, 0)
    outside = sum(
        count.all - count.xnnpack
        for counts in report.operators.values()
        for count in counts.values()
    )
    assert len(report.outside_xnnpack) == outside
    assert report.float_operators == ()


def test_both_models_are_measured_on_pictures_that_gave_no_ranges(reported):
    evaluation = reported.report.evaluation
    assert set(evaluation.float32) == set(evaluation.bundle)
    assert evaluation.bundle["pictures"] + evaluation.left_out == 6
    assert evaluation.left_out > 0
    assert {"BLEU-4", "CIDEr", "mAP", "calibration_error"} <= set(evaluation.bundle)


def test_images_that_gave_ranges_are_left_out(tmp_path):
    paths = [tmp_path / name for name in ("a.jpg", "b.jpg", "c.jpg")]
    dataset = Dataset(tuple(Record(path.name, path) for path in paths))
    data = data_without(dataset, [tmp_path / "." / "b.jpg"])
    assert [record.name for record in data.dataset.records] == ["a.jpg", "c.jpg"]
    assert data.left_out == 1
    with pytest.raises(PicaptionError, match="are those that give the ranges: name others"):
        data_without(dataset, paths)


def test_the_same_conversion_reports_the_same_but_its_latencies(reported, run, data, tmp_path):
    reports = []
    path = tmp_path / "tiny.tflite"
    options = ConversionOptions(count=10)
    convert(run, path, data / "images", options, on_report=reports.append)
    texts = []
    for report in (reported.report, reports[0]):
        values = report.to_json()
        for models in values.pop("latency")["milliseconds"].values():
            for latency in models.values():
                assert 0 < latency["median"] <= latency["p90"]
        # The first one was measured on a data set too.
        assert (values.pop("evaluation", None) is None) == (report is reports[0])
        values.pop("advice")
        texts.append(json.dumps(values))
    assert texts[0] == texts[1]
    assert path.read_bytes() == reported.path.read_bytes()


def test_a_classifier_alone_is_reported(class_run, data, tmp_path):
    reports = []
    path = tmp_path / "classes.tflite"
    convert(class_run, path, data / "images", on_report=reports.append)
    assert set(reports[0].operators) == {"encode", "classify"}
    assert "captioner" not in reports[0].sizes
    assert Bundle(path).vocabulary is None
    assert "nats a word" not in "\n".join(table(reports[0]))
