"""Bundles from elsewhere: what ends a child process, and that it ends nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from picaption.device import default_bundle
from picaption.device.bundle import bundle as bundle_module
from picaption.device.bundle.archive import Contents, read_bundle, write_bundle
from picaption.device.bundle.bundle import Bundle, write_checked
from picaption.device.bundle.trust import trust
from picaption.device.bundle.trust.trust import need_usable, try_in_child
from picaption.device.errors import PicaptionError, TemporaryError
from tests.tiny import TINY_BUNDLE


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def trials(monkeypatch):
    """The paths of the bundles that were tried in a child process."""
    paths = []
    run = trust.try_in_child

    def try_and_note(data, path):
        paths.append(path)
        run(data, path)

    monkeypatch.setattr(trust, "try_in_child", try_and_note)
    return paths


def copy_with(path, **changes):
    """Write the tiny bundle with other metadata to `path`."""
    contents = read_bundle(TINY_BUNDLE)
    metadata = replace(contents.metadata, **changes)
    write_bundle(path, replace(contents, metadata=metadata))
    return path


def test_a_bundle_is_tried_once(trials, tmp_path):
    path = copy_with(tmp_path / "other.tflite", name="other")
    Bundle(path)
    assert trials == [path]
    Bundle(path)
    Bundle(shutil.copy(path, tmp_path / "copy.tflite"))
    assert trials == [path]


def test_the_shipped_bundle_is_known_wherever_it_is(trials, tmp_path):
    Bundle(default_bundle())
    Bundle(shutil.copy(default_bundle(), tmp_path / "copy.tflite"))
    assert trials == []


def test_what_is_made_here_is_known(trials, tmp_path):
    contents = read_bundle(TINY_BUNDLE)
    path = tmp_path / "made.tflite"
    write_checked(path, replace(contents, metadata=replace(contents.metadata, name="made")))
    Bundle(path)
    assert trials == []


def test_without_a_shipped_bundle_others_open(monkeypatch, trials):
    def nowhere():
        raise PicaptionError("the shipped bundle is not installed")

    monkeypatch.setattr(bundle_module, "default_bundle", nowhere)
    Bundle(TINY_BUNDLE)
    assert trials == [TINY_BUNDLE]


def test_a_graph_that_contradicts_itself_is_never_run(trials, tmp_path):
    contents = read_bundle(TINY_BUNDLE)
    graph = contents.graph[:4] + b"TFL3" + b"\xff" * 40 + contents.graph[48:]
    write_bundle(tmp_path / "bad.tflite", replace(contents, graph=graph))
    with pytest.raises(PicaptionError, match="its graph cannot be used here: ") as error:
        Bundle(tmp_path / "bad.tflite")
    assert "\n" not in str(error.value)
    assert trials == []


def deadly_bundle(path):
    """Write a bundle whose graph is consistent, and divides by zero when it is opened."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    from picaption.device.bundle.flatbuffer import pack_model

    contents = read_bundle(TINY_BUNDLE)
    model = schema.ModelT.InitFromPackedBuf(contents.graph, 0)
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            for name in ("strideW", "strideH"):
                if hasattr(operator.builtinOptions, name):
                    setattr(operator.builtinOptions, name, 0)
    graph = pack_model(model, named=True)
    write_bundle(path, replace(contents, graph=graph))
    return path


def test_what_the_runtime_refuses_or_dies_of_is_one_line(tmp_path, cache):
    path = deadly_bundle(tmp_path / "deadly.tflite")
    for _ in range(2):  # It is not remembered as a good one.
        with pytest.raises(PicaptionError) as error:
            Bundle(path)
        assert str(error.value).startswith(f"{path}: its graph ")
        assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "code, output, message",
    [
        (
            -signal.SIGSEGV,
            b"",
            r"its graph ends the program that opens it \(SIGSEGV\); get a fresh copy",
        ),
        (-signal.SIGABRT, b"", r"its graph ends the program that opens it \(SIGABRT\)"),
        (-signal.SIGXCPU, b"", "a recognition with it takes too long"),
        (1, b"Traceback", r"its graph ends the program that opens it \(exit code 1\)"),
        (2, b"", r"its graph ends the program that opens it \(exit code 2\)"),
        (2, b"/dev/stdin: the bundle\ncontradicts itself\n", "the bundle contradicts itself$"),
        (2, b"/dev/stdin: \xff\n", "\ufffd$"),
    ],
)
def test_how_a_child_ended_is_told_in_one_line(code, output, message):
    with pytest.raises(PicaptionError, match=message) as error:
        need_usable(code, output, "a.tflite")
    assert str(error.value).startswith("a.tflite: ")
    assert "\n" not in str(error.value)


def test_a_child_that_hangs_is_ended(monkeypatch, tmp_path):
    (tmp_path / "sleeper.py").write_text("import time; time.sleep(60)")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(trust, "TRIAL", "sleeper")
    monkeypatch.setattr(trust, "TRIAL_SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(TemporaryError, match="a.tflite: it cannot be tried within 0 s"):
        try_in_child(b"", "a.tflite")
    assert time.monotonic() - started < 10


def test_without_room_for_a_process_it_may_be_tried_later(monkeypatch):
    def no_room(*arguments, **options):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(subprocess, "run", no_room)
    with pytest.raises(TemporaryError, match="a.tflite: it cannot be checked: Resource"):
        try_in_child(b"", "a.tflite")


def test_the_child_takes_no_module_from_the_folder_it_runs_in(monkeypatch, tmp_path):
    (tmp_path / "numpy.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    try_in_child(TINY_BUNDLE.read_bytes(), TINY_BUNDLE)


def test_the_bytes_that_were_checked_are_those_that_are_opened(tmp_path):
    # Whatever becomes of the file while its bundle is tried, the Bundle is of the bytes read first.
    path = tmp_path / "replaced.tflite"
    shutil.copy(TINY_BUNDLE, path)

    def replace_file(data, graph, name, shipped):
        path.write_bytes(b"something else")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bundle_module, "need_trust", replace_file)
        assert Bundle(path).labels == read_bundle(TINY_BUNDLE).labels


def test_an_error_of_the_runtime_is_one_line():
    bundle = Bundle(TINY_BUNDLE)
    context = bundle.encode(np.zeros((64, 64, 3), np.uint8)).context
    with pytest.raises(PicaptionError, match="its next_word fails: ") as error:
        bundle.next_word(np.zeros((1, 9), np.int32), context)
    assert "\n" not in str(error.value)


def test_contents_of_a_bundle_without_a_captioner_are_tried_too(tmp_path):
    contents = read_bundle(TINY_BUNDLE)
    path = tmp_path / "half.tflite"
    write_bundle(path, Contents(contents.graph, contents.metadata, contents.labels, None))
    with pytest.raises(PicaptionError, match="contradicts itself"):
        Bundle(path)
    assert os.listdir(tmp_path) == ["half.tflite"]
