"""What `picaption bench` measures with the shipped bundle, writes, and refuses."""

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from picaption.device import cli
from picaption.device.bench.bench import (
    bench,
    installed_runtimes,
    parse_threads,
    run_plan,
    run_plan_with_bar,
    write_output,
    write_report,
)
from picaption.device.bench.figures import Report
from picaption.device.bench.steps import Plan, measure_arguments, round_count
from picaption.device.bundle.bundle import default_bundle
from picaption.device.commands import bench_command
from picaption.device.errors import CameraError, PicaptionError
from picaption.device.sources.demo_frames import DEMO_IMAGES
from tests.device.fakes.bench_reports import make_run

ROOT = Path(__file__).parents[3]
PLAN = Plan(str(default_bundle()), "ai-edge-litert", 1, None, 0, 4, str(DEMO_IMAGES), 0.0)


@pytest.fixture(scope="module")
def report():
    return bench(threads=(1, 2), count=5, source=str(DEMO_IMAGES))


@pytest.fixture
def call(capsys):
    """Runs `picaption bench` in this process; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments], bench_command, "picaption")
        return ended.value.code, *capsys.readouterr()

    return call


def test_the_figures_keep_to_the_schema(report):
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs/reference/bench.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    check = jsonschema.Draft202012Validator(schema).validate
    check(json.loads(json.dumps(report.to_json())))
    with pytest.raises(jsonschema.ValidationError):
        check(report.to_json() | {"version": 2})
    for reference in (ROOT / "docs/reports/bench").glob("*.json"):
        check(json.loads(reference.read_text()))


def test_every_step_is_measured_with_each_number_of_threads(report):
    assert [run.threads for run in report.runs] == [1, 2]
    assert report.failed == ()
    assert report.bundle.bytes == default_bundle().stat().st_size
    assert report.bundle.beam == 3
    for run in report.runs:
        steps = run.steps
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
            assert 0 < step.p50 <= step.p90 <= step.p95 <= step.p99 <= step.max
        counts = {name: step.count for name, step in steps.items() if name != "live"}
        assert counts == dict.fromkeys(list(steps)[:-1], 5)
        # A process starts Python and loads the bundle before it captions.
        assert run.first_caption_ms > run.load_ms + steps["frame"].first
        assert steps["next_word"].first is None
        assert steps["encode"].first > 0
        assert 40 < run.peak_megabytes < 400


def test_the_rounds_are_told_and_the_live_loop_last():
    ended = []
    run_plan(PLAN, on_round=lambda: ended.append(time.monotonic()))
    # Four calls are four rounds.
    assert len(ended) == 5 == round_count(PLAN) and ended == sorted(set(ended))


def test_without_a_terminal_a_measurement_is_one_line_of_progress(capsys):
    run_plan_with_bar(PLAN)
    assert capsys.readouterr() == ("", "measuring with ai-edge-litert, threads: 1\n")


def test_a_camera_fails_as_a_camera():
    with pytest.raises(CameraError, match="/dev/video63"):
        run_plan(replace(PLAN, source="/dev/video63"))


def test_a_source_of_one_picture_is_too_little():
    with pytest.raises(PicaptionError, match="one frame only: give a source with more"):
        run_plan(replace(PLAN, count=1, source=str(DEMO_IMAGES / "cat.jpg")))


def test_a_process_that_is_killed_is_told_of():
    command = [sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"]
    with pytest.raises(PicaptionError, match="ended by signal 9: see whether memory is short"):
        run_plan(PLAN, command)


def test_a_runtime_that_does_not_load_is_told_of_beside_another():
    def measure(plan):
        if plan.runtime == "tflite-runtime":
            raise PicaptionError("tflite-runtime does not load: numpy is too new")
        return make_run({"encode": [[1.0]]}, threads=plan.threads)

    both = ["ai-edge-litert", "tflite-runtime"]
    report = bench(threads=(1, 2), runtimes=both, measure=measure)
    assert [run.threads for run in report.runs] == [1, 2]
    assert report.failed == ("tflite-runtime: tflite-runtime does not load: numpy is too new",)
    with pytest.raises(PicaptionError, match="^tflite-runtime does not load: numpy is too new$"):
        bench(runtimes=["tflite-runtime"], measure=measure)


def test_a_runtime_that_is_not_there_is_missed():
    with pytest.raises(PicaptionError, match="no TFLite runtime is installed"):
        run_plan(replace(PLAN, runtime="no-such"))


def test_runtimes_are_found_without_loading_them():
    assert "ai-edge-litert" in installed_runtimes()
    assert installed_runtimes([("no_such_runtime.interpreter", "no-such")]) == ["no-such"]


@pytest.mark.parametrize(
    "text, numbers", [("3", (3,)), ("2,1", (1, 2)), ("1..4", (1, 2, 3, 4)), ("1, 3..4", (1, 3, 4))]
)
def test_lists_of_threads(text, numbers):
    assert parse_threads(text) == numbers


@pytest.mark.parametrize(
    "text", ["", "0", "65", "two", "1,", "1..", "-1", "1.5", "4..1", "1..65", "²"]
)
def test_what_is_no_list_of_threads(call, text):
    code, out, errors = call("--threads", text)
    assert (code, out) == (2, "")
    assert errors.count("\n") == 1
    assert "such as" in errors


@pytest.mark.parametrize(
    "arguments, message",
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
        (("--compare", "a", "b", "--share"), "--compare measures nothing"),
        (("--share", "--json", "-"), "--share prints a row, so --json takes a file"),
    ],
)
def test_bad_options_are_one_line(call, arguments, message):
    code, out, errors = call(*arguments)
    assert code == 2
    assert out == ""
    assert message in errors.splitlines()[-1]
    assert "Traceback" not in errors


def test_what_the_command_writes(call, tmp_path):
    arguments = ("--threads", 1, "--count", 1, "--source", DEMO_IMAGES)
    files = ("--json", tmp_path / "b.json", "--html", tmp_path / "b.html")
    code, out, _ = call(*arguments, *files, "--share")
    assert code == 0
    assert "a frame takes" in out
    row = out.splitlines()[-1]
    assert row.startswith("| ") and " everyday " in row
    assert len(Report.from_json(json.loads((tmp_path / "b.json").read_text())).runs) == 1
    assert "<svg" in (tmp_path / "b.html").read_text()


def test_what_is_written_compares(call, tmp_path, report, capsys):
    write_report(report, str(tmp_path / "b.json"), None)
    assert json.loads((tmp_path / "b.json").read_text()) == report.to_json()
    capsys.readouterr()
    write_report(report, "-", None)
    assert json.loads(capsys.readouterr().out) == report.to_json()
    code, out, _ = call("--compare", tmp_path / "b.json", tmp_path / "b.json")
    assert code == 0
    assert out.count("1.000  1.000") == 0
    assert out.count("within noise") == 14


def test_a_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch):
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    (tmp_path / ".partial.b.json").symlink_to("/dev/full")
    with pytest.raises(
        PicaptionError,
        match="cannot be written .No space left on device.; check the folder and its disk",
    ):
        write_output(tmp_path / "b.json", "text")
    assert not (tmp_path / "b.json").exists()
    (tmp_path / "old.json").write_text("old")
    monkeypatch.setattr(
        os, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(PicaptionError):
        write_output(tmp_path / "old.json", "text")
    assert (tmp_path / "old.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["old.json"]


def test_the_process_is_this_packages_wherever_it_is_called(tmp_path, monkeypatch):
    (tmp_path / "picaption").mkdir()
    (tmp_path / "picaption" / "__init__.py").write_text("raise SystemExit('another package')")
    monkeypatch.chdir(tmp_path)
    run = run_plan(PLAN)
    assert run.steps["live"].count == 4
    assert run.source == str(DEMO_IMAGES)
    arguments = measure_arguments(PLAN)
    assert arguments[:3] == ["-P", "-m", "picaption.device.bench.steps"]
