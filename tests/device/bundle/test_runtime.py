"""Which TFLite runtime is taken, and what is no graph."""

import importlib.metadata
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from picaption.device.bundle.runtime import load_runtime, make_interpreter, runtime_name
from picaption.device.errors import PicaptionError


@pytest.fixture
def without_litert(monkeypatch):
    """As if ai-edge-litert were not installed."""
    for name in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def without_tflite(monkeypatch):
    """As if tflite-runtime were not installed."""
    for name in ("tflite_runtime", "tflite_runtime.interpreter"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def tflite(monkeypatch):
    """A stand-in for tflite-runtime 2.14.0; gives its Interpreter."""
    interpreter, version = object(), importlib.metadata.version
    monkeypatch.setitem(sys.modules, "tflite_runtime", SimpleNamespace())
    monkeypatch.setitem(
        sys.modules, "tflite_runtime.interpreter", SimpleNamespace(Interpreter=interpreter)
    )
    monkeypatch.setattr(
        importlib.metadata,
        "version",
        lambda name: "2.14.0" if name == "tflite-runtime" else version(name),
    )
    return interpreter


def test_litert_is_taken_first(tflite):
    litert = pytest.importorskip("ai_edge_litert.interpreter")
    version = importlib.metadata.version("ai-edge-litert")
    assert load_runtime() == (litert.Interpreter, f"ai-edge-litert {version}")
    assert runtime_name() == f"ai-edge-litert {version}"


def test_tflite_runtime_is_taken_where_litert_is_not_there(without_litert, tflite):
    assert load_runtime() == (tflite, "tflite-runtime 2.14.0")
    assert runtime_name() == "tflite-runtime 2.14.0"


def test_tflite_runtime_is_taken_where_litert_does_not_load(monkeypatch, tflite):
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", SimpleNamespace())
    assert load_runtime() == (tflite, "tflite-runtime 2.14.0")


def test_without_a_runtime_one_line_says_what_to_install(without_litert, without_tflite):
    with pytest.raises(
        PicaptionError, match="^no TFLite runtime is installed: pip install ai-edge-litert$"
    ):
        load_runtime()


def test_a_runtime_that_does_not_load_says_why(
    monkeypatch, tmp_path, without_litert, without_tflite
):
    (tmp_path / "ai_edge_litert").mkdir()
    (tmp_path / "ai_edge_litert" / "__init__.py").touch()
    (tmp_path / "ai_edge_litert" / "interpreter.py").write_text(
        "raise ImportError('libstdc++ is too old\\nand so on')"
    )
    for name in ("ai_edge_litert", "ai_edge_litert.interpreter"):
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        PicaptionError, match="^ai-edge-litert does not load: libstdc.. is too old$"
    ):
        load_runtime()


def test_a_32_bit_python_is_told_so(monkeypatch, without_litert, without_tflite):
    monkeypatch.setattr(sys, "maxsize", 2**31 - 1)
    with pytest.raises(
        PicaptionError, match="this is a 32-bit Python, for which there is no TFLite runtime"
    ):
        make_interpreter(b"")


@pytest.mark.parametrize("graph", [b"", b"this is only text\n" * 99, b"\x1c\0\0\0TFL3" + bytes(99)])
def test_what_is_no_graph_is_refused(graph):
    with pytest.raises(ValueError):
        make_interpreter(graph)


def test_an_interpreter_is_ready_to_run(bundle):
    interpreter = make_interpreter(bundle.read_bytes(), threads=1)
    interpreter.invoke()
    encode = interpreter.get_signature_runner("encode")
    assert encode(image=np.zeros((1, 64, 64, 3), np.uint8))["tags"].shape == (1, 10)


def test_nothing_is_printed_of_it(bundle):
    # LiteRT tells of its delegate once in a process.
    program = (
        "from picaption.device.bundle.runtime import make_interpreter; "
        f"make_interpreter(open({str(bundle)!r}, 'rb').read())"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert (result.stdout, result.stderr) == ("", "")
