"""The encoder by itself, and other runtimes timed beside it."""

import importlib.util
import json

import numpy as np
import pytest

from picaption.convert.benchmarks.other_runtimes import (
    PEERS,
    Peer,
    Row,
    encoder_graph,
    load_litert_tool,
    load_ncnn,
    load_onnxruntime,
    load_openvino,
    load_plain_loop,
    measure,
    other_runtimes_command,
    run_python,
    table,
)
from picaption.device import Recognizer, cli
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.bundle import default_bundle
from picaption.device.bundle.runtime import make_interpreter
from picaption.device.errors import PicaptionError
from picaption.device.sources.demo_frames import Demo


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer(default_bundle(), 1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("peers") / "encoder.tflite"
    path.write_bytes(encoder_graph(read_bundle(default_bundle()).graph))
    return path


def cosine(left, right):
    return left @ right / np.linalg.norm(left) / np.linalg.norm(right)


def test_the_encoder_by_itself_computes_the_same(file, recognizer):
    interpreter = make_interpreter(file.read_bytes(), 1)
    assert list(interpreter.get_signature_list()) == ["encode"]
    image = recognizer.prepare(Demo().frame(0))
    actual = interpreter.get_signature_runner("encode")(image=image[None])
    expected = recognizer.model.encode(image)
    np.testing.assert_array_equal(actual["features"], expected.features)
    np.testing.assert_array_equal(actual["context"], expected.context)
    assert all(tensor["name"] for tensor in interpreter.get_tensor_details())
    assert tuple(interpreter.get_output_details()[0]["shape"]) == expected.features.shape


def test_the_plain_loop_sees_the_same_image(file, recognizer):
    image = recognizer.prepare(Demo().frame(0))
    actual = load_plain_loop(file, 1)(image).ravel()
    expected = recognizer.model.encode(image).features.ravel()
    # A 255th more or less in a few pixels: floats are cut off, not rounded, on the way back.
    assert cosine(actual, expected) > 0.98


@pytest.mark.parametrize(
    "load, packages",
    [
        (load_openvino, ["openvino"]),
        (load_onnxruntime, ["onnxruntime", "tf2onnx"]),
        (load_ncnn, ["ncnn", "tf2onnx", "pnnx"]),
    ],
    ids=["openvino", "onnxruntime", "ncnn"],
)
def test_peers_that_are_installed_see_the_same(file, recognizer, load, packages):
    for package in packages:
        pytest.importorskip(package)
    image = recognizer.prepare(Demo().frame(0))
    expected = recognizer.model.encode(image).features.ravel()
    assert cosine(load(file, 1)(image).ravel(), expected) > 0.98


def test_the_benchmark_tool_measures_the_same_file(tmp_path):
    if not importlib.util.find_spec("ai_edge_litert.tools"):
        pytest.skip("this ai-edge-litert has no tool")
    assert 0.1 < load_litert_tool(default_bundle(), 1, tmp_path)(3) < 1000
    assert json.loads((tmp_path / "tool.json").read_text())["latency"]["num_runs"] == 3


def test_what_a_failing_tool_says_last_is_told():
    with pytest.raises(
        PicaptionError, match="^import sys; sys.exit.'no graph'. ends with no graph$"
    ):
        run_python("-c", "import sys; sys.exit('no graph')")


def test_peers_that_are_missing_are_left_out():
    def missing(file, threads):
        raise ModuleNotFoundError("No module named 'openvino'")

    def broken(*arguments):
        raise PicaptionError("it is broken")

    loads = {"OpenVINO": missing, "ONNX Runtime": broken, "ncnn, float": broken}
    peers = {**PEERS, **{name: Peer(load) for name, load in loads.items()}}
    rows, left_out = measure(default_bundle(), 1, 0.1, peers, broken)
    assert left_out == [
        "OpenVINO: No module named 'openvino'",
        "ONNX Runtime: it is broken",
        "ncnn, float: it is broken",
        "litert's benchmark tool: it is broken",
    ]
    assert [row.name for row in rows] == [
        "picaption, encoder",
        "picaption, frame to features",
        "plain loop, frame to features",
    ]
    assert rows[0].cosine == pytest.approx(1)
    assert rows[0].reference is None
    assert rows[2].reference is rows[1].rounds


def test_the_tool_is_timed_beside_the_encoder():
    def load_tool(bundle, threads, folder):
        return lambda calls: 2.0

    rows, left_out = measure(default_bundle(), 1, 0.1, {}, load_tool)
    assert left_out == []
    assert rows[-1].name == "litert's benchmark tool"
    assert rows[-1].reference is rows[0].rounds
    assert rows[-1].cosine is None
    assert [calls.tolist() for calls in rows[-1].rounds] == [[2.0]] * 20


def test_the_table_has_ratios():
    quick = [np.full(3, 2.0)] * 3
    slow = [np.full(2, 3.0)] * 3
    rows = [Row("picaption, encoder", quick, None, 1.0), Row("another", slow, quick, None)]
    assert table(rows)[1:] == [
        "picaption, encoder                    2.000        1.000  1.000 to 1.000    1.0000",
        "another                               3.000        1.500  1.500 to 1.500         -",
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["none.tflite"], "cannot read the bundle"),
        (["--threads", "none"], "is not a list of threads"),
    ],
)
def test_bad_options_are_one_line(capsys, arguments, message):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments, other_runtimes_command, "peers")
    out, errors = capsys.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert errors.count("\n") == 1
    assert message in errors
