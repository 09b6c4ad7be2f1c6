"""What `picaption bench` measures with the shipped bundle, writes, and refuses."""

import json
import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from picaption.device import cli
from picaption.device.bench import steps
from picaption.device.bench.bench import (
    bench,
    installed,
    run_plan,
    step_doubts,
    threads_of,
    write_whole,
)
from picaption.device.bench.steps import Plan
from picaption.device.bundle.bundle import default_bundle
from picaption.device.commands import bench_command as command
from picaption.device.errors import CameraError, PicaptionError
from picaption.device.sources.sources import DEMO_PICTURES

ROOT = Path(__file__).parents[3]
DEMO = DEMO_PICTURES
PLAN = Plan(str(default_bundle()), 0, 1, None, 0, 4, str(DEMO), 0.0)


@pytest.fixture(scope="module")
def figures():
    told = []
    found = bench(threads=(1, 2), count=5, source=str(DEMO), told=told.append)
    assert told == [
        "measuring with ai-edge-litert, threads: 1",
        "measuring with ai-edge-litert, threads: 2",
    ]
    return found


@pytest.fixture
def call(capsys):
    """Runs `picaption bench` in this process; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(each) for each in arguments], command, "picaption")
        return ended.value.code, *capsys.readouterr()

    return call


def test_the_figures_keep_to_the_schema(figures):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "bench.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema).validate
    check(json.loads(json.dumps(figures)))
    with pytest.raises(jsonschema.ValidationError):
        check(figures | {"version": 2})
    for reference in (ROOT / "docs" / "bench").glob("*.json"):
        check(json.loads(reference.read_text()))


def test_every_step_is_measured_with_each_number_of_threads(figures):
    assert [run["threads"] for run in figures["runs"]] == [1, 2] and figures["failed"] == []
    assert (
        figures["bundle"]["bytes"] == default_bundle().stat().st_size
        and figures["bundle"]["beam"] == 3
    )
    for run in figures["runs"]:
        steps = run["steps"]
        assert list(steps) == [
            "preprocess",
            "encode",
            "next_word",
            "caption",
            "classify",
            "frame",
            "live",
        ]
        for step in steps.values():
            assert 0 < step["p50"] <= step["p90"] <= step["p95"] <= step["p99"] <= step["max"]
        assert {
            name: step["count"] for name, step in steps.items() if name != "live"
        } == dict.fromkeys(list(steps)[:-1], 5)
        # A frame holds all that the encoder does, and a process starts Python before it captions.
        assert (
            steps["frame"]["mean"] > steps["encode"]["p50"] / 2
            and steps["next_word"]["p50"] < steps["caption"]["p50"]
        )
        assert run["first_caption_ms"] > run["load_ms"] + steps["frame"]["first"]
        assert steps["next_word"]["first"] is None and steps["encode"]["first"] > 0
        assert 40 < run["peak_megabytes"] < 400


def test_a_camera_fails_as_a_camera():
    with pytest.raises(CameraError, match="/dev/video63"):
        run_plan(replace(PLAN, source="/dev/video63"))


def test_a_source_of_one_picture_is_too_little():
    with pytest.raises(PicaptionError, match="one frame only: give a source with more"):
        run_plan(replace(PLAN, count=1, source=str(DEMO / "cat.jpg")))


def test_a_process_that_is_killed_is_told_of(monkeypatch):
    monkeypatch.setattr(
        "picaption.device.bench.bench.arguments_of",
        lambda plan: ["-c", "import os; os.kill(os.getpid(), 9)"],
    )
    with pytest.raises(PicaptionError, match="ended by signal 9: see whether memory is short"):
        run_plan(PLAN)


def test_a_runtime_that_does_not_load_is_told_of_beside_another(monkeypatch):
    monkeypatch.setattr(
        "picaption.device.bench.bench.installed",
        lambda: [(0, "ai-edge-litert"), (1, "tflite-runtime")],
    )

    def run(plan):
        if plan.runtime == 1:
            raise PicaptionError("tflite-runtime does not load: numpy is too new")
        return {"threads": plan.threads}

    monkeypatch.setattr("picaption.device.bench.bench.run_plan", run)
    found = bench(threads=(1, 2))
    assert found["runs"] == [{"threads": 1}, {"threads": 2}]
    assert found["failed"] == ["tflite-runtime: tflite-runtime does not load: numpy is too new"]
    monkeypatch.setattr("picaption.device.bench.bench.installed", lambda: [(1, "tflite-runtime")])
    with pytest.raises(PicaptionError, match="^tflite-runtime does not load: numpy is too new$"):
        bench()


def test_runtimes_are_found_without_loading_them(monkeypatch):
    assert (0, "ai-edge-litert") in installed()
    monkeypatch.setattr(
        "picaption.device.bench.bench.RUNTIMES", (("no_such_runtime.interpreter", "no-such"),)
    )
    assert installed() == [(0, "no-such")]


@pytest.mark.parametrize(
    "text, numbers", [("3", (3,)), ("2,1", (1, 2)), ("1..4", (1, 2, 3, 4)), ("1, 3..4", (1, 3, 4))]
)
def test_lists_of_threads(text, numbers):
    assert threads_of(text) == numbers


@pytest.mark.parametrize(
    "text", ["", "0", "65", "two", "1,", "1..", "-1", "1.5", "4..1", "1..65", "²"]
)
def test_what_is_no_list_of_threads(call, text):
    code, out, errors = call("--threads", text)
    assert (code, out) == (2, "") and errors.count("\n") == 1
    assert "such as" in errors


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("--bundle", "none.tflite"), "none.tflite: cannot read the bundle"),
        (
            ("--source", "nothing-there", "--count", "1"),
            "there is no source nothing-there; give auto",
        ),
        (
            ("--json", "no/folder/b.json"),
            "no/folder/b.json cannot be written: give a file's path, and make its folder first",
        ),
        (("--html", "."), ". cannot be written"),
        (("--count", "0"), "0 is not in the range"),
        (("--seconds", "nan"), "nan"),
        (
            ("--accuracy", "none.json"),
            "none.json cannot be read (No such file or directory); give what picaption evaluate",
        ),
        (
            ("--compare", "none.json", "none.json"),
            "none.json cannot be read (No such file or directory); give what picaption bench",
        ),
        (("--compare", "a", "b", "--json", "c"), "--compare measures nothing"),
    ],
)
def test_bad_options_are_one_line(call, arguments, said):
    code, out, errors = call(*arguments)
    assert code == 2 and out == ""
    assert said in errors.splitlines()[-1] and "Traceback" not in errors


def test_what_the_command_writes(call, tmp_path, monkeypatch, figures):
    monkeypatch.setattr("picaption.device.bench.bench.bench", lambda *arguments: figures)
    code, out, _ = call("--json", tmp_path / "b.json", "--html", tmp_path / "b.html")
    assert code == 0 and "a frame takes" in out
    assert json.loads((tmp_path / "b.json").read_text()) == figures
    assert "<svg" in (tmp_path / "b.html").read_text()
    assert json.loads(call("--json", "-")[1]) == figures
    code, out, _ = call("--compare", tmp_path / "b.json", tmp_path / "b.json")
    assert code == 0 and out.count("1.000  1.000") == 0 and out.count("within noise") == 14


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    (tmp_path / "b.json.partial").symlink_to("/dev/full")
    with pytest.raises(
        PicaptionError,
        match="cannot be written .No space left on device.; check the folder and its disk",
    ):
        write_whole(tmp_path / "b.json", "text")
    assert not (tmp_path / "b.json").exists()
    (tmp_path / "old.json").write_text("old")
    monkeypatch.setattr(
        os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(PicaptionError):
        write_whole(tmp_path / "old.json", "text")
    assert (tmp_path / "old.json").read_text() == "old" and not (
        tmp_path / "old.json.partial"
    ).exists()


def test_steps_that_vary_are_doubtful():
    calm, wild = {"steady": True, "varied_percent": 5.0}, {"steady": False, "varied_percent": 12.3}
    assert step_doubts({"encode": calm}) == []
    assert step_doubts({"encode": wild, "frame": calm}) == [
        "encode did not become steady before being measured",
        "from round to round varied encode by 12 %",
    ]


def test_the_process_is_this_packages_wherever_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "picaption").mkdir()
    (tmp_path / "picaption" / "__init__.py").write_text("raise SystemExit('another package')")
    monkeypatch.chdir(tmp_path)
    run = run_plan(PLAN)
    assert run["steps"]["live"]["count"] == 4 and run["source"] == str(DEMO)
    assert steps.arguments_of(PLAN)[:3] == [
        "-P",
        "-m",
        "picaption.device.bench.steps",
    ] and sys.version_info >= (3, 11)
