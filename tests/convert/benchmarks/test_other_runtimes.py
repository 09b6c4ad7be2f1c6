"""The encoder by itself, and others timed beside it."""

import importlib.util
import json

import numpy as np
import pytest

from picaption.convert.benchmarks import other_runtimes
from picaption.device import Recognizer, cli
from picaption.device.bundle.bundle import default_bundle, read_bundle
from picaption.device.bundle.runtime import make_interpreter
from picaption.device.errors import PicaptionError
from picaption.device.sources.sources import Demo


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer(default_bundle(), 1)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("peers") / "encoder.tflite"
    path.write_bytes(other_runtimes.encoder_graph(read_bundle(default_bundle()).graph))
    return path


def test_the_encoder_by_itself_computes_the_same(file, recognizer):
    interpreter = make_interpreter(file.read_bytes(), 1)
    assert list(interpreter.get_signature_list()) == ["encode"]
    picture = recognizer.prepare(Demo().frame(0))
    told, right = (
        interpreter.get_signature_runner("encode")(image=picture[None]),
        recognizer.model.encode(picture),
    )
    np.testing.assert_array_equal(told["features"], right.features)
    np.testing.assert_array_equal(told["context"], right.context)
    assert all(tensor["name"] for tensor in interpreter.get_tensor_details())
    assert tuple(interpreter.get_output_details()[0]["shape"]) == right.features.shape


def test_the_plain_loop_sees_the_same_picture(file, recognizer):
    picture = recognizer.prepare(Demo().frame(0))
    told = other_runtimes.plain_loop(file, 1)(picture).ravel()
    right = recognizer.model.encode(picture).features.ravel()
    # A 255th more or less in a few pixels: floats are cut off, not rounded, on the way back.
    assert told @ right / np.linalg.norm(told) / np.linalg.norm(right) > 0.98


@pytest.mark.parametrize(
    "name, peer",
    [
        ("openvino", other_runtimes.openvino),
        ("onnxruntime", other_runtimes.onnxruntime),
        ("ncnn", other_runtimes.ncnn),
    ],
)
def test_peers_that_are_installed_see_the_same(file, recognizer, name, peer):
    for needed in {
        "openvino": (name,),
        "onnxruntime": (name, "tf2onnx"),
        "ncnn": (name, "tf2onnx", "pnnx"),
    }[name]:
        pytest.importorskip(needed)
    picture = recognizer.prepare(Demo().frame(0))
    told, right = peer(file, 1)(picture).ravel(), recognizer.model.encode(picture).features.ravel()
    assert told @ right / np.linalg.norm(told) / np.linalg.norm(right) > 0.98


def test_the_benchmark_tool_measures_the_same_file(tmp_path):
    if not importlib.util.find_spec("ai_edge_litert.tools"):
        pytest.skip("this ai-edge-litert has no tool")
    assert 0.1 < other_runtimes.litert_tool(default_bundle(), 1, tmp_path)(3) < 1000
    assert json.loads((tmp_path / "tool.json").read_text())["latency"]["num_runs"] == 3


def test_what_a_failing_tool_says_last_is_told():
    with pytest.raises(
        PicaptionError, match="^import sys; sys.exit.'no graph'. ends with no graph$"
    ):
        other_runtimes.call("-c", "import sys; sys.exit('no graph')")


def test_peers_that_are_missing_are_left_out(monkeypatch):
    def missing(file, threads):
        raise ModuleNotFoundError("No module named 'openvino'")

    def broken(*arguments):
        raise PicaptionError("it is broken")

    monkeypatch.setattr(other_runtimes, "openvino", missing)
    for name in ("onnxruntime", "ncnn", "litert_tool"):
        monkeypatch.setattr(other_runtimes, name, broken)
    rows, left_out = other_runtimes.measure(default_bundle(), 1, 0.1)
    assert left_out == [
        "OpenVINO: No module named 'openvino'",
        "ONNX Runtime: it is broken",
        "ncnn, float: it is broken",
        "litert's benchmark tool: it is broken",
    ]
    assert [row[0] for row in rows] == [
        "picaption, encoder",
        "picaption, frame to features",
        "plain loop, frame to features",
    ]
    assert rows[0][3] == pytest.approx(1) and rows[2][2] is rows[1][1]


def test_the_table_has_ratios():
    one, two = [np.full(3, 2.0)] * 3, [np.full(2, 3.0)] * 3
    assert other_runtimes.table(
        [("picaption, encoder", one, None, 1.0), ("another", two, one, None)]
    )[1:] == [
        "picaption, encoder                    2.000        1.000  1.000 to 1.000    1.0000",
        "another                               3.000        1.500  1.500 to 1.500         -",
    ]


@pytest.mark.parametrize(
    "arguments, said",
    [(["none.tflite"], "cannot read the bundle"), (["--threads", "none"], "no list of threads")],
)
def test_bad_options_are_one_line(capsys, arguments, said):
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments, other_runtimes.main, "peers")
    out, errors = capsys.readouterr()
    assert ended.value.code == 2 and out == "" and errors.count("\n") == 1 and said in errors
