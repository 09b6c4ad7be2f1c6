"""As few layers as need it stay in floating point."""

import json

import numpy as np
import pytest

from picaption.convert.import_network import convert_network
from picaption.convert.mixed import (
    FloatGroup,
    Loss,
    fewest,
    float_group,
    limit_examples,
    relative_error,
    union,
)
from picaption.convert.options import BOUNDS, Agreement, ConversionOptions, ImportOptions
from picaption.convert.report.model_explorer import node_data
from picaption.convert.tflite.calibration import signature_outputs
from picaption.convert.tflite.export import calibrate
from picaption.convert.tflite.operators import read_operators
from picaption.device import Bundle, PicaptionError
from picaption.device.bundle.archive import read_bundle
from tests.convert.networks import (
    LABELS,
    classifier,
    encode_function,
    outlier_classifier,
    read_images,
)

TREES = ImportOptions(LABELS, "0..1")
#: A bundle is written however far it is off.
ANY = Agreement(features=2, words=99, classes=1, caption=0, top=0, largest=1)


@pytest.fixture(scope="module")
def images(data):
    """The images of the data set, uint8 [N, 32, 32, 3]."""
    return np.stack(read_images(data))


@pytest.fixture(scope="module")
def outlier_file(images, tmp_path_factory):
    """A Keras file of a network that 8 bits leave nothing of."""
    path = tmp_path_factory.mktemp("outlier") / "outlier.keras"
    outlier_classifier(images).save(path)
    return path


@pytest.fixture(scope="module")
def calibrated(images):
    """The calibrated graph of such a network."""
    function = encode_function(outlier_classifier(images))
    examples = [("encode", {"image": image[None]}) for image in images[:10]]
    return calibrate({"encode": function}, examples)


@pytest.fixture(scope="module")
def mixed(outlier_file, data):
    """The reports and paths of the bundles of such a network, all of 8 bits and mixed, by name."""
    reports = {}
    for name, is_mixed in (("int8", False), ("mixed", True)):
        path = outlier_file.with_name(f"{name}.tflite")
        options = ConversionOptions(mixed=True) if is_mixed else ConversionOptions(bounds=ANY)
        collected = []
        convert_network(
            outlier_file,
            path,
            data / "images",
            TREES,
            options,
            on_report=collected.append,
        )
        reports[name] = (path, collected[0])
    return reports


def test_8_bits_for_all_lose_the_classes_and_a_mixture_does_not(mixed):
    agreement = {name: report.agreement for name, (_, report) in mixed.items()}
    assert agreement["int8"].beyond(BOUNDS) == ["features", "classes"]
    assert agreement["mixed"].beyond(BOUNDS) == []
    assert mixed["mixed"][1].mixed.outcome.lost_mixed <= 1


def test_the_layers_that_do_it_and_no_more_stay_in_floating_point(mixed):
    path, report = mixed["mixed"]
    outcome = report.mixed.outcome
    assert outcome.layers[0] == "wide"
    operators = read_operators(read_bundle(path).graph)["encode"]
    convolutions = [operator.dtype for operator in operators if operator.opcode == "CONV_2D"]
    # stem, wide, narrow and after, in order.
    assert convolutions[1:3] == ["FLOAT32", "FLOAT32"]
    assert convolutions[3] == "INT8"
    assert {"QUANTIZE", "DEQUANTIZE"} <= {operator.opcode for operator in operators}
    assert outcome.operators < outcome.all_operators / 2
    assert outcome.bytes_int8 < outcome.bytes
    assert report.mixed.milliseconds.median > 0


def test_the_bundle_says_what_it_keeps(mixed):
    bundle = Bundle(mixed["mixed"][0])
    provenance = bundle.metadata.provenance["mixed"]
    assert provenance["layers"] == list(mixed["mixed"][1].mixed.outcome.layers)
    assert "mixed" not in Bundle(mixed["int8"][0]).metadata.provenance


def test_a_report_of_8_bits_that_lose_names_the_option(mixed):
    fixes = " ".join(advice.fix for advice in mixed["int8"][1].advice)
    assert "--mixed" in fixes
    assert "--mixed" not in " ".join(advice.fix for advice in mixed["mixed"][1].advice)


def test_what_loses_nothing_stays_in_8_bits(data, tmp_path):
    path = tmp_path / "trees.keras"
    classifier().save(path)
    options = ConversionOptions(mixed=True, max_loss=50.0)
    convert_network(path, tmp_path / "out.tflite", data / "images", TREES, options)
    assert "mixed" not in read_bundle(tmp_path / "out.tflite").metadata.provenance


def test_the_command_tells_what_it_kept(outlier_file, data, tmp_path, convert_command):
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    result = convert_command(
        outlier_file,
        *("--names", tmp_path / "names.txt", "--pixels", "0..1"),
        *("--representative", data / "images", "--output", tmp_path / "out.tflite"),
        *("--mixed", "--report", tmp_path / "report"),
    )
    assert result.code == 0
    last = result.out.strip().splitlines()[-1]
    assert "operators stay in floating point, to keep the output of wide" in last
    assert "all in 8 bits" in last
    page = (tmp_path / "report" / "report.html").read_text()
    assert "In floating point" in page
    values = json.loads((tmp_path / "report" / "report.json").read_text())
    assert values["mixed"]["outcome"]["layers"][0] == "wide"


def test_what_8_bits_ruin_is_written_where_any_difference_is_allowed(
    outlier_file, data, tmp_path, convert_command
):
    (tmp_path / "names.txt").write_text("\n".join(LABELS))
    output = tmp_path / "out.tflite"
    arguments = [outlier_file, "--names", tmp_path / "names.txt", "--pixels", "0..1"]
    arguments += ["--representative", data / "images", "--output", output]
    refused = convert_command(*arguments)
    assert refused.code == 2
    assert "or keep layers in floating point with --mixed, or another --precision" in refused.err
    assert not output.exists()
    assert convert_command(*arguments, "--allow-difference", "1").code == 0
    assert output.exists()


@pytest.mark.parametrize("precision", ["int16", "float16"])
def test_only_8_bits_are_mixed(precision):
    with pytest.raises(
        PicaptionError, match=f"--mixed keeps layers out of 8 bits, and {precision}"
    ):
        ConversionOptions(precision, mixed=True).check()


# --- Model Explorer


def test_model_explorer_finds_each_layer_by_its_operator(mixed):
    path, report = mixed["int8"]
    data = node_data(report.layers)
    operators = read_operators(read_bundle(path).graph)
    for layer in report.layers:
        assert operators[layer.signature][layer.operator].opcode == layer.opcode
        results = data[layer.signature]["results"]
        assert results[str(layer.operator)] == {"value": layer.decibels}
    assert set(data) == {"encode", "classify"}
    assert [entry["value"] for entry in data["encode"]["thresholds"]] == [10, 20, 30]


# --- the parts


def test_a_tensor_stays_with_its_operator_and_all_that_take_it(calibrated):
    (wide,) = (node.name for node in calibrated.nodes if "wide" in node.name)
    (narrow,) = (node.name for node in calibrated.nodes if "narrow" in node.name)
    group = float_group(calibrated, wide)
    assert group.layer == "wide"
    assert group.nodes == {wide, narrow}


def test_what_is_kept_has_the_digits_of_the_float_graph(calibrated, images):
    examples = [("encode", {"image": image[None]}) for image in images[:5]]
    expected = signature_outputs(calibrated.graph, examples)

    def error(nodes):
        graph = calibrated.keep_float(frozenset(nodes)).quantize()
        return relative_error(expected, signature_outputs(graph, examples))

    everything = {node.name for node in calibrated.nodes}
    assert error(everything) < 1e-9
    assert error(()) > 1e-3


def test_relative_error_by_hand():
    expected = [{"scores": np.array([3.0, 4.0])}, {"scores": np.array([0.0, 2.0])}]
    actual = [{"scores": np.array([3.0, 3.0])}, {"scores": np.array([0.0, 2.0])}]
    assert relative_error(expected, actual) == pytest.approx((1 / 25 + 0) / 2)


def test_the_first_examples_of_each_signature():
    examples = [("encode", {"n": 1}), ("next_word", {"n": 2}), ("encode", {"n": 3})]
    assert limit_examples(examples, 1) == examples[:2]


def test_groups_together():
    groups = [FloatGroup("a", frozenset("ab")), FloatGroup("b", frozenset("bc"))]
    assert union(groups) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("lost", "expected", "makes"),
    [
        ([9, 9, 9, 9, 0, 0, 0, 0], 5, [1, 2, 4, 8, 6, 5]),
        ([1, 0, 0, 0, 0, 0, 0, 0], 1, [1]),
        ([9, 0, 0, 0, 0, 0, 0, 0], 2, [1, 2]),
        ([9, 8, 9, 7, 9, 9, 9, 9], 4, [1, 2, 4, 8]),
        ([9, 9, 0], 3, [1, 2, 3]),
    ],
)
def test_the_fewest_that_keep_a_bound(lost, expected, makes):
    made = []

    def make(count):
        made.append(count)
        return count

    def measure(candidate):
        points = lost[candidate - 1]
        return Loss(points, points <= 1)

    count, candidate, loss = fewest(len(lost), make, measure)
    assert made == makes
    assert count == candidate == expected
    assert loss.points == lost[expected - 1]
