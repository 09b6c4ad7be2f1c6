"""The summary of a bundle, or of any .tflite file."""

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import Bundle, cli, default_bundle
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.metadata import Confidence
from picaption.device.bundle.summary import summarize, summary_lines


@pytest.fixture(scope="module")
def summary():
    return summarize(default_bundle())


@pytest.fixture
def call(capfd):
    """Runs `picaption inspect` in this process; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main(["inspect", *map(str, arguments)])
        return (exit.value.code, *capfd.readouterr())

    return call


def test_the_hash_is_the_one_in_the_file(summary):
    values = summary.to_json()
    with zipfile.ZipFile(default_bundle()) as archive:
        assert archive.read("sha256.txt").decode().strip() == values["sha256"]
        assert archive.read("labels.txt").decode().split("\n")[:-1] == values["labels"]
    assert values["metadata"]["name"] == "everyday" and len(values["words"]) == 1511
    prompts = "prompts     16: the, a, on top of a, standing next to a, is sitting on a, ..."
    assert prompts in summary_lines(summary)
    assert values["bytes"] == default_bundle().stat().st_size
    assert values["graph_bytes"] == len(read_bundle(default_bundle()).graph)


def test_weights_of_confidence_are_shown_where_there_are_some(summary):
    without = replace(summary.contents.metadata, confidence=None)
    unrated = replace(summary, contents=replace(summary.contents, metadata=without))
    assert not any(line.startswith("confidence") for line in summary_lines(unrated))
    weights = Confidence(0.6774, 0.75, threshold=0.834)
    metadata = replace(summary.contents.metadata, confidence=weights)
    sure = replace(summary, contents=replace(summary.contents, metadata=metadata))
    assert (
        "confidence  bias 0.677, lowest_score 0.75, other_score 0, word_log_probability 0, "
        "objects 0, lowest_tag 0, threshold 0.834"
    ) in summary_lines(sure)


def test_signatures_are_those_that_an_interpreter_has(summary):
    interpreter = Bundle(default_bundle()).interpreter
    expected = interpreter.get_signature_list()
    signatures = summary.to_json()["signatures"]
    assert {
        name: {
            way: sorted(tensor["name"] for tensor in signature[way])
            for way in ("inputs", "outputs")
        }
        for name, signature in signatures.items()
    } == {
        name: {way: sorted(names) for way, names in ways.items()} for name, ways in expected.items()
    }
    runner = interpreter.get_signature_runner("next_word")
    for tensor in signatures["next_word"]["inputs"]:
        detail = runner.get_input_details()[tensor["name"]]
        assert tensor["shape"] == detail["shape"].tolist()
        assert tensor["dtype"] == np.dtype(detail["dtype"]).name
    assert [operator["operator"] for operator in signatures["classify"]["operators"]] == [
        "l2_normalization",
        "fully_connected",
        "fully_connected",
        "add",
        "logistic",
    ]


def test_features_have_the_scale_that_they_are_quantized_with_inside(summary, photos):
    encode = summary.signatures["encode"]
    features = next(tensor for tensor in encode.outputs if tensor.name == "features")
    values = Bundle(default_bundle()).encode(np.zeros((224, 224, 3), np.uint8)).features
    steps = values / features.scale
    np.testing.assert_allclose(steps, steps.round(), atol=1e-3)
    # Relu's least is the lowest of 8 bits.
    assert features.zero_point == -128 and values.min() >= 0
    weights = next(
        operator for operator in encode.operators if operator.operator == "conv_2d"
    ).inputs[1]
    # A scale for every channel.
    assert weights.dtype == "int8" and weights.channels == weights.shape[0] == 32


def test_constants_are_most_of_the_graph(summary):
    constants = [signature.constant_bytes for signature in summary.signatures.values()]
    assert 0.9 < sum(constants) / summary.graph_bytes < 1


def test_a_tflite_file_that_is_no_bundle_is_summarized_too(tmp_path, summary):
    graph = read_bundle(default_bundle()).graph
    (tmp_path / "plain.tflite").write_bytes(graph)
    plain = summarize(tmp_path / "plain.tflite")
    assert plain.signatures == summary.signatures and "metadata" not in plain.to_json()
    assert summary_lines(plain)[0].endswith("plain.tflite: 6.41 MB, of which the graph is 6.41")


def test_notes_are_readable(tmp_path):
    contents = read_bundle(default_bundle())
    nested: dict = {"end": 1}
    for _ in range(50):
        nested = {"in": nested}
    provenance = {
        "wrapped": "trees.tflite",
        "pictures": {"captions": 6091, "labels": 5362},
        "settings": {f"setting_{number}": number / 8 for number in range(30)} | {"split": ""},
        "taught": {"bundle": "everyday", "pictures": {"cup": 12, "dog": 9}},
        "files": ["a", "b", {"c": 1}],
        "deep": nested,
    }
    metadata = replace(contents.metadata, provenance=provenance, measured={"CIDEr": 61.5})
    write_bundle(tmp_path / "noted.tflite", replace(contents, metadata=metadata))
    lines = summary_lines(summarize(tmp_path / "noted.tflite"))
    notes = [line for line in lines if line.startswith(("provenance", "measured"))]
    assert "provenance  wrapped: trees.tflite" in notes
    assert "provenance  pictures: captions 6091, labels 5362" in notes
    assert "provenance  taught: bundle everyday" in notes
    assert "provenance  taught.pictures: cup 12, dog 9" in notes
    assert "provenance  files: a, b, (1)" in notes
    assert "provenance  deep.in.in.in.in: end 1" in notes
    assert "measured    CIDEr: 61.5" in notes
    start = next(index for index, line in enumerate(lines) if "settings: setting_0 0.0" in line)
    assert lines[start + 1].startswith(" " * 12 + "setting_")
    assert max(map(len, lines[start : start + 3])) <= 100
    assert "{" not in "".join(notes)


def test_the_command(call, bundle, summary):
    code, out, err = call(default_bundle())
    assert (code, err) == (0, "")
    assert "features float32 [1, 1280] 0.0200515 (-128)" in out and "33 conv_2d" in out
    code, out, err = call(bundle, "--graph")
    assert code == 0 and "conv_2d." in out and " scales" in out
    code, out, err = call(default_bundle(), "--json")
    assert json.loads(out) == json.loads(json.dumps(summary.to_json()))


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda data: data[:1000], "cut short or damaged"),
        (
            lambda data: data.replace(b"PK\x03\x04", b"PK\x05\x04", 1),
            "the bundle is cut short or damaged",
        ),
        (
            lambda data: data[:200_000] + bytes([data[200_000] ^ 1]) + data[200_001:],
            "the bundle was altered",
        ),
        (lambda data: b"hello", "not a bundle"),
    ],
)
def test_a_damaged_file_is_one_line(call, tmp_path, change, message):
    (tmp_path / "bad.tflite").write_bytes(change(default_bundle().read_bytes()))
    code, out, err = call(tmp_path / "bad.tflite")
    assert (
        (code, out) == (2, "")
        and err.startswith("picaption: ")
        and message in err
        and err.count("\n") == 1
    )


def test_a_file_that_is_not_there(call, tmp_path):
    code, out, err = call(tmp_path / "absent.tflite")
    assert (code, out) == (
        2,
        "",
    ) and "absent.tflite: cannot read it: No such file or directory; check the path" in err
