"""What a bundle holds is told as it is."""

import json
import zipfile

import numpy as np
import pytest

from picaption.device import Bundle, cli, default_bundle
from picaption.device.bundle.bundle import read_bundle
from picaption.device.bundle.summary import summarize, table


@pytest.fixture(scope="module")
def found():
    return summarize(default_bundle())


@pytest.fixture
def call(capfd):
    """Runs `picaption inspect` in this process; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main(["inspect", *map(str, arguments)])
        return (exit.value.code, *capfd.readouterr())

    return call


def test_the_hash_is_the_one_in_the_file(found):
    with zipfile.ZipFile(default_bundle()) as archive:
        assert archive.read("sha256.txt").decode().strip() == found["sha256"]
        assert archive.read("labels.txt").decode().split("\n")[:-1] == found["labels"]
    assert found["metadata"]["name"] == "everyday" and len(found["words"]) == 1263
    assert "prompts     16: in front of a, on top of a, a, the, there is a, ..." in table(found)
    assert found["bytes"] == default_bundle().stat().st_size and found["graph_bytes"] == len(
        read_bundle(default_bundle()).graph
    )


def test_signatures_are_those_that_an_interpreter_has(found):
    interpreter = Bundle(default_bundle()).interpreter
    expected = interpreter.get_signature_list()
    told = found["signatures"]
    assert {
        name: {
            way: sorted(each["name"] for each in signature[way]) for way in ("inputs", "outputs")
        }
        for name, signature in told.items()
    } == {
        name: {way: sorted(names) for way, names in ways.items()} for name, ways in expected.items()
    }
    runner = interpreter.get_signature_runner("next_word")
    for each in told["next_word"]["inputs"]:
        detail = runner.get_input_details()[each["name"]]
        assert (
            each["shape"] == detail["shape"].tolist()
            and each["dtype"] == np.dtype(detail["dtype"]).name
        )
    assert [each["operator"] for each in told["classify"]["operators"]] == [
        "l2_normalization",
        "fully_connected",
        "fully_connected",
        "add",
        "logistic",
    ]


def test_features_have_the_scale_that_they_are_quantized_with_inside(found, photos):
    features = next(
        each for each in found["signatures"]["encode"]["outputs"] if each["name"] == "features"
    )
    bundle = Bundle(default_bundle())
    seen = bundle.encode(np.zeros((224, 224, 3), np.uint8)).features
    steps = seen / features["scale"]
    np.testing.assert_allclose(steps, steps.round(), atol=1e-3)
    assert (
        features["zero_point"] == -128 and seen.min() >= 0
    )  # Relu's least is the lowest of 8 bits.
    first = found["signatures"]["encode"]["operators"]
    weights = next(each for each in first if each["operator"] == "conv_2d")["inputs"][1]
    assert (
        weights["dtype"] == "int8" and weights["channels"] == weights["shape"][0] == 32
    )  # A scale for each channel.


def test_constants_are_most_of_the_graph(found):
    constants = [signature["constant_bytes"] for signature in found["signatures"].values()]
    assert 0.9 < sum(constants) / found["graph_bytes"] < 1


def test_a_tflite_file_that_is_no_bundle_is_told_too(tmp_path, found):
    graph = read_bundle(default_bundle()).graph
    (tmp_path / "plain.tflite").write_bytes(graph)
    plain = summarize(tmp_path / "plain.tflite")
    assert plain["signatures"] == found["signatures"] and "metadata" not in plain
    assert table(plain)[0].endswith("plain.tflite: 5.19 MB, of which the graph is 5.19")


def test_the_command(call, bundle, found):
    code, out, err = call(default_bundle())
    assert (
        (code, err) == (0, "")
        and "features float32 [1, 1280] 0.0225615 (-128)" in out
        and "33 conv_2d" in out
    )
    code, out, err = call(bundle, "--graph")
    assert code == 0 and "conv_2d." in out and " scales" in out
    code, out, err = call(default_bundle(), "--json")
    assert json.loads(out) == json.loads(json.dumps(found))


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
