"""The command line: how commands are found, what they print, and how they fail."""

import configparser
import io
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import click
import cv2
import numpy as np
import pytest

from picaption.device import cli, commands
from picaption.device.bundle.metadata import Metadata
from picaption.device.errors import PicaptionError
from picaption.device.images import read_image, write_image
from picaption.device.outputs.overlay import annotate
from picaption.device.sources.demo_frames import DEMO_IMAGES
from tests.device.fakes.standins import Counter, recognition

ROOT = Path(__file__).parents[2]
CAT = DEMO_IMAGES / "cat.jpg"
#: A fresh process that has the device's commands, whether picaption is installed or not.
PROGRAM = """
from types import SimpleNamespace
from picaption.device import cli
def entry(name):
    def load():
        from picaption.device import commands
        return getattr(commands, f"{name}_command")
    return SimpleNamespace(load=load)
cli.find_commands = lambda: {name: entry(name) for name in ("image", "live")}
cli.main()
"""


def picaption(*arguments, **options):
    """Run `picaption` with the shipped bundle in a process of its own; returns the CompletedProcess."""
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        **options,
    )


@pytest.fixture
def call(monkeypatch, capfd):
    """Runs `picaption` in this process with a stand-in for the recognizer; returns (exit code, output, errors)."""

    class StandIn:
        model = SimpleNamespace(metadata=Metadata("stand-in"))

        def __call__(self, image, frame=0, captured_at=1700000000.5):
            return recognition(frame=frame, captured_at=captured_at)

        def recognize(self, image, frame, captured_at, judge):
            return self(image, frame, captured_at), None

    def entry(command):
        return SimpleNamespace(load=lambda: command)

    monkeypatch.setattr(
        "picaption.device.recognition.recognizer.open_recognizer", lambda *_: StandIn()
    )
    monkeypatch.setattr("picaption.device.live.pipeline.open_recognizer", lambda *_: StandIn())
    monkeypatch.setattr(
        cli,
        "find_commands",
        lambda: {
            "image": entry(commands.image_command),
            "live": entry(commands.live_command),
            "config": entry(commands.config_command),
        },
    )

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main([str(argument) for argument in arguments])
        return (exit.value.code, *capfd.readouterr())

    logger = logging.getLogger("picaption")
    level, handlers = logger.level, logger.handlers[:]
    yield call
    logger.handlers[:] = handlers
    logger.setLevel(level)


def raising(error):
    @click.command()
    def command():
        raise error

    return command


def loading(monkeypatch, **entries):
    """Make `entries`, functions that load a command, the only ones there are."""
    found = {name: SimpleNamespace(load=load) for name, load in entries.items()}
    monkeypatch.setattr(cli, "find_commands", lambda: found)


# --- finding commands


def test_setup_cfg_offers_the_devices_commands():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"][cli.GROUP].split("\n")
    offered = dict(line.replace(" ", "").split("=") for line in lines if line)
    assert {"image", "live"} <= set(offered)
    for target in ("image", "live", "teach"):
        module, name = offered[target].split(":")
        assert module == "picaption.device.commands" and isinstance(
            getattr(commands, name), click.Command
        )


def test_help_lists_the_commands_and_only_the_called_one_is_loaded(call, monkeypatch):
    code, out, err = call("--help")
    assert code == 0 and err == ""
    assert re.search("image +Caption pictures", out) and re.search(
        "live +Caption what a camera sees", out
    )
    loaded = []
    loading(
        monkeypatch,
        one=lambda: loaded.append("one") or click.Command("one", callback=lambda: None),
        other=lambda: loaded.append("other") or click.Command("other"),
    )
    assert call("one")[0] == 0
    assert loaded == ["one"]


def test_a_command_whose_packages_are_missing_says_what_to_install(call, monkeypatch):
    def load():
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    loading(monkeypatch, train=load, image=lambda: commands.image_command)
    code, out, err = call("train", "--epochs", 3, "somewhere")
    assert (code, out) == (2, "")
    assert err == "picaption: this command needs tensorflow; pip install 'picaption[convert]'\n"
    code, out, err = call("--help")
    assert code == 0 and "needs tensorflow" in out and "Caption pictures" in out


def test_the_extras_are_known_whole():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for extra in ("convert", "web"):
        listed = {
            re.match(r"[\w-]+", line)[0]
            for line in setup["options.extras_require"][extra].split("\n")
            if line
        }
        known = {package for package, brings in cli.EXTRA.items() if brings == extra}
        assert known == listed - {"flatbuffers"}  # It comes with the runtime too.


@pytest.mark.parametrize("package, extra", sorted(cli.EXTRA.items()))
def test_packages_that_turn_out_missing_while_a_command_runs(call, monkeypatch, package, extra):
    error = ModuleNotFoundError(f"No module named '{package}.parts'", name=f"{package}.parts")
    loading(monkeypatch, train=lambda: raising(error))
    code, _, err = call("train")
    assert (
        code == 2
        and err == f"picaption: this command needs {package}; pip install 'picaption[{extra}]'\n"
    )


@pytest.mark.parametrize(
    "error, expected, line",
    [
        (PicaptionError("the disk\nis full"), 2, "picaption: the disk is full\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (
            ImportError("cannot import name 'x'", name="cv2"),
            2,
            "picaption: this command cannot load (cannot import name 'x'); reinstall picaption\n",
        ),
    ],
)
def test_errors_are_one_line(call, monkeypatch, error, expected, line):
    loading(monkeypatch, fail=lambda: raising(error))
    assert call("fail") == (expected, "", line)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["picture"], "No such command 'picture'. (see picaption --help)"),
        (["image"], "Missing argument 'FILE...'. (see picaption image --help)"),
        (["image", "x.jpg", "--threads", "0"], "Invalid value for '--threads'"),
        (["live", "--size", "640"], "640 is not WIDTHxHEIGHT"),
        (["live", "--size", "9999x9999"], "9999x9999 is not WIDTHxHEIGHT"),
        (["live", "--colour"], "No such option"),
        (["live", "--frames", "-1"], "Invalid value for '--frames'"),
        (["live", "--max-fps", "-1"], "Invalid value for '--max-fps'"),
        (["live", "--rotate", "45"], "Invalid value for '--rotate'"),
        (["live", "--source", "demo", "--web", "--host", "0.0.0.0"], "set a token"),
        (["live", "--caption-every", "-1"], "Invalid value for '--caption-every'"),
    ],
)
def test_wrong_usage_is_one_line_too(call, arguments, message):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("picaption: ") and message in err and err.count("\n") == 1


def test_a_reader_that_goes_away_is_no_error():
    program = PROGRAM.replace(
        "cli.main()",
        """
import sys, click
@click.command()
def talk():
    for _ in range(100000):
        print("something to say")
cli.find_commands = lambda: {"talk": SimpleNamespace(load=lambda: talk)}
cli.main(["talk"])""",
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(timeout=30)


# --- image


def test_image_prints_what_was_recognised(call):
    code, out, err = call("image", CAT)
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        str(CAT),
        "  caption  a cat with green eyes",
        "  classes  cat 0.97, dog 0.04",
        "  tags     cat 0.80, eyes 0.80",
        "  time     12.2 ms: encode 9.0",
    ]


def test_what_a_bundle_is_unsure_of_is_told():
    from picaption.device.commands import describe

    assert (
        "  classes  unsure: cat 0.97, dog 0.04"
        in describe("cat.jpg", recognition(unsure=True)).splitlines()
    )


def test_image_prints_json_lines(call):
    code, out, err = call("image", "--json", CAT, CAT)
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines == [{"file": str(CAT)} | recognition(frame=0).to_json()] * 2


def test_a_bad_picture_among_good_ones_is_named_and_the_rest_done(call, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(CAT.read_bytes()[:5000])
    code, out, err = call("image", "--json", CAT, tmp_path / "bad.jpg", tmp_path / "none.jpg", CAT)
    assert code == 2
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(CAT)] * 2
    assert [line.split(";")[0] for line in err.splitlines()] == [
        f"picaption: {tmp_path}/bad.jpg is cut short or damaged",
        f"picaption: there is no picture at {tmp_path}/none.jpg",
    ]


def test_save_writes_the_annotated_picture(call, tmp_path):
    assert call("image", CAT, "--save", tmp_path / "cat.png")[0] == 0
    np.testing.assert_array_equal(
        read_image(tmp_path / "cat.png"), annotate(read_image(CAT), recognition())
    )


def test_save_writes_several_pictures_into_a_folder_that_it_makes(call, tmp_path):
    rocket = CAT.with_name("rocket.jpg")
    assert call("image", CAT, rocket, "--save", tmp_path / "new" / "folder")[0] == 0
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == [
        "cat.captioned.jpg",
        "rocket.captioned.jpg",
    ]
    assert call("image", CAT, "--save", tmp_path)[0] == 0
    assert (tmp_path / "cat.captioned.jpg").exists()


def test_save_never_overwrites_what_it_was_given(call, tmp_path):
    write_image(tmp_path / "one.png", np.zeros((8, 8, 3), np.uint8))
    before = (tmp_path / "one.png").read_bytes()
    code, _, err = call("image", tmp_path / "one.png", "--save", tmp_path / "one.png")
    assert code == 2 and "would overwrite the picture itself" in err
    assert call("image", tmp_path / "one.png", "--save", tmp_path)[0] == 0
    assert (tmp_path / "one.png").read_bytes() == before
    write_image(tmp_path / "one.jpg", np.zeros((8, 8, 3), np.uint8))
    code, out, err = call(
        "image", tmp_path / "one.png", tmp_path / "one.jpg", "--save", tmp_path / "out"
    )
    assert (code, out) == (2, "") and "two pictures would be saved as one.captioned.jpg" in err
    assert not (tmp_path / "out").exists()


def test_save_to_a_place_that_cannot_be_written(call, tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "absent" / "cat.jpg", tmp_path / "cat.txt"):
        code, _, err = call("image", CAT, "--save", target)
        assert code == 2 and err.startswith(f"picaption: {target}") and err.count("\n") == 1
    code, _, err = call("image", CAT, CAT.with_name("rocket.jpg"), "--save", tmp_path / "file")
    assert code == 2 and "cannot be made a folder" in err
    assert os.listdir(tmp_path) == ["file"]


# --- live


def test_live_tells_every_sink_and_says_so(call, tmp_path, monkeypatch):
    source = Counter(12, live=False, shape=(96, 480))
    source.rate = 6
    monkeypatch.setattr("picaption.device.live.pipeline.open_source", lambda spec, controls: source)
    code, out, err = call(
        "live", "--json", tmp_path / "said.jsonl", "--video", tmp_path / "said.avi"
    )
    assert code == 0
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(12))
    assert out.startswith("a cat with green eyes | cat 0.97") and out.count("\n") == 1
    source, summary = err.splitlines()
    assert source == "source: counter; stop with ctrl-C" and summary.startswith("12 frames in ")
    video = cv2.VideoCapture(str(tmp_path / "said.avi"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 12 and video.get(cv2.CAP_PROP_FPS) == 6


def test_live_with_json_on_standard_output_prints_nothing_else_there(call):
    code, out, err = call(
        "live", "--source", "demo", "--size", "160x120", "--json", "-", "--frames", 3
    )
    assert code == 0
    assert [json.loads(line)["version"] for line in out.splitlines()] == [1] * 3
    assert len(err.splitlines()) == 2


def test_live_can_be_quiet(call):
    assert call("live", "--source", "demo", "--size", "64x48", "--quiet", "--frames", 2) == (
        0,
        "",
        "",
    )


def test_live_auto_says_that_it_took_the_demo(call, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr("picaption.device.sources.usb.v4l2_cameras", lambda: [])
    code, _, err = call("live", "--frames", 1)
    assert code == 0 and err.startswith("source: demo (no camera found); stop with ctrl-C\n")


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["--source", "/dev/video97"], 75, "there is no camera at /dev/video97"),
        (["--source", "nothing"], 2, "there is no source nothing"),
        (["--source", "demo", "--video", "said.mov"], 2, "said.mov has no ending of a video"),
        (
            ["--source", "demo", "--json", "/absent/said.jsonl"],
            2,
            "/absent/said.jsonl cannot be written",
        ),
    ],
)
def test_live_fails_in_one_line(call, arguments, code, message):
    found, out, err = call("live", *arguments)
    assert (found, out) == (code, "")
    assert err.startswith(f"picaption: {message}") and err.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_is_one_line_and_the_loop_goes_on(call):
    code, out, err = call(
        "live", "--source", "demo", "--json", "/dev/full", "--quiet", "--frames", 5
    )
    assert (code, out) == (0, "") and "No space left on device" in err and err.count("\n") == 1


def test_a_camera_that_vanishes_ends_live_in_one_line_and_the_video_is_whole(
    call, tmp_path, monkeypatch
):
    source = Counter(
        30, pause=0.01, error="the camera /dev/video0 is gone; plug it in again", shape=(96, 480)
    )
    monkeypatch.setattr("picaption.device.live.pipeline.open_source", lambda spec, controls: source)
    code, _, err = call("live", "--video", tmp_path / "said.mp4", "--quiet", "--retries", 0)
    assert code == 75
    assert (
        err
        == "picaption: the camera /dev/video0 is gone; plug it in again; given up after 1 failures in a row\n"
    )
    assert source.closed == 1
    assert cv2.VideoCapture(str(tmp_path / "said.mp4")).grab()


def test_live_reads_its_settings_from_a_file(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("picaption.toml").write_text(
        'source = "demo"\nsize = "64x48"\nframes = 2\njson = "said.jsonl"\nquiet = true\n'
    )
    assert call("live") == (0, "", "") and Path("said.jsonl").read_text().count("\n") == 2
    Path("picaption.toml").write_text("frmes = 2\n")
    assert call("live")[2] == (
        "picaption: picaption.toml:1: no setting is called 'frmes'; did you mean frames?; "
        "picaption live --help lists all\n"
    )


def test_config_prints_the_settings_that_hold(call, tmp_path):
    (tmp_path / "mine.toml").write_text("port = 99\n")
    code, out, err = call("config", "--config", tmp_path / "mine.toml", "--max-fps", 2)
    assert (code, err) == (0, "")
    lines = {line.split(" = ")[0]: line.split("# ")[-1] for line in out.splitlines()}
    assert (
        lines["port"] == f"{tmp_path}/mine.toml:1"
        and lines["max_fps"] == "--max-fps"
        and lines["host"] == "default"
    )


# --- with the shipped bundle, as a user runs it


def test_the_shipped_bundle_sees_the_cat(tmp_path):
    result = picaption("image", "--json", CAT, "--save", tmp_path / "cat.jpg")
    assert (result.returncode, result.stderr) == (0, "")
    said = json.loads(result.stdout)
    assert said["classes"][0]["name"] == "cat" and len(said["classes"]) == 3
    assert (
        len(said["caption"]["words"]) >= 4
        and " ".join(said["caption"]["words"]) == said["caption"]["text"]
    )
    assert read_image(tmp_path / "cat.jpg").shape[1] >= 451


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_live_demo_ends_cleanly_at_a_signal(tmp_path, number):
    arguments = [
        "live",
        "--source",
        "demo",
        "--json",
        tmp_path / "said.jsonl",
        "--video",
        tmp_path / "said.mp4",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 30
    while not (
        (tmp_path / "said.jsonl").exists()
        and (tmp_path / "said.jsonl").read_text().count("\n") >= 3
    ):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert all(line["caption"]["text"] for line in lines)
    assert out.strip() and err.splitlines()[-1].startswith(f"{len(lines)} frames in ")
    assert cv2.VideoCapture(str(tmp_path / "said.mp4")).grab()
    assert sorted(os.listdir(tmp_path)) == ["said.jsonl", "said.mp4"]


def test_live_goes_through_a_folder_in_turn(tmp_path):
    result = picaption("live", "--source", CAT.parent, "--json", "-", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    assert [json.loads(line)["frame"] for line in io.StringIO(result.stdout)] == [0, 1, 2, 3, 4]
