"""The device's commands, as a user runs them."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from picaption.device import Recognizer
from picaption.device.commands import describe
from picaption.device.images import read_image, write_image
from picaption.device.live.pipeline import Pipeline
from picaption.device.outputs.overlay import annotate
from tests.device.fakes.model import StandInModel
from tests.device.fakes.standins import Counter, recognition
from tests.processes import default_sigint
from tests.tiny import DEMO

CAT = DEMO / "cat.jpg"
PICAPTION = [sys.executable, "-c", "from picaption.device.cli import main; main()"]


def picaption(*arguments):
    """Run `picaption` with the shipped bundle in a process of its own."""
    command = [*PICAPTION, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.fixture
def recognizer(monkeypatch):
    """`image` recognises with this stand-in."""

    def recognize(image):
        return recognition(frame=0, captured_at=1700000000.5)

    monkeypatch.setattr(
        "picaption.device.recognition.recognizer.open_recognizer", lambda *_: recognize
    )
    return recognize


@pytest.fixture
def live(call, monkeypatch):
    """Runs `picaption live` with a stand-in for the bundle, and for the source, if given."""

    def live(*arguments, source=None):
        parts = {"open_recognizer": lambda config: Recognizer(StandInModel())}
        if source is not None:
            parts["open_source"] = lambda spec, config: source
        monkeypatch.setattr("picaption.device.live.pipeline.Pipeline", partial(Pipeline, **parts))
        return call("live", *arguments)

    return live


# --- image


def test_image_escapes_what_a_terminal_would_obey(call, recognizer, tmp_path):
    path = tmp_path / "a\x1b[2J\nb.png"
    shutil.copyfile(CAT, path)
    code, out, err = call("image", path, tmp_path / "no\x9b.png")
    assert code == 2 and out.splitlines()[0] == f"{tmp_path}/a\\x1b[2J\\nb.png"
    assert err.startswith("picaption: ") and err.count("\n") == 1 and "\\x9b.png" in err
    assert out.replace("\n", "").isprintable() and err.strip().isprintable()


def test_image_prints_what_was_recognised(call, recognizer):
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
    assert (
        "  classes  unsure: cat 0.97, dog 0.04"
        in describe("cat.jpg", recognition(unsure=True)).splitlines()
    )


def test_a_caption_comes_with_its_confidence_and_its_doubt():
    lines = describe("cat.jpg", recognition(confidence=0.456, doubted=True)).splitlines()
    assert lines[1] == "  caption  perhaps a cat with green eyes (0.46)"
    lines = describe("cat.jpg", recognition(confidence=0.987)).splitlines()
    assert lines[1] == "  caption  a cat with green eyes (0.99)"


def test_image_prints_json_lines(call, recognizer):
    code, out, err = call("image", "--json", CAT, CAT)
    assert (code, err) == (0, "")
    lines = [json.loads(line) for line in out.splitlines()]
    assert lines == [{"file": str(CAT)} | recognition(frame=0).to_json()] * 2


def test_a_bad_picture_among_good_ones_is_named_and_the_rest_done(call, recognizer, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(CAT.read_bytes()[:5000])
    code, out, err = call("image", "--json", CAT, tmp_path / "bad.jpg", tmp_path / "none.jpg", CAT)
    assert code == 2
    assert [json.loads(line)["file"] for line in out.splitlines()] == [str(CAT)] * 2
    assert [line.split(";")[0] for line in err.splitlines()] == [
        f"picaption: {tmp_path}/bad.jpg is cut short or damaged",
        f"picaption: there is no picture at {tmp_path}/none.jpg",
    ]


def test_save_writes_the_annotated_picture(call, recognizer, tmp_path):
    assert call("image", CAT, "--save", tmp_path / "cat.png")[0] == 0
    np.testing.assert_array_equal(
        read_image(tmp_path / "cat.png"), annotate(read_image(CAT), recognition())
    )


def test_save_writes_several_pictures_into_a_folder_that_it_makes(call, recognizer, tmp_path):
    dog = CAT.with_name("dog.jpg")
    assert call("image", CAT, dog, "--save", tmp_path / "new" / "folder")[0] == 0
    assert sorted(os.listdir(tmp_path / "new" / "folder")) == [
        "cat.captioned.jpg",
        "dog.captioned.jpg",
    ]
    assert call("image", CAT, "--save", tmp_path)[0] == 0
    assert (tmp_path / "cat.captioned.jpg").exists()


def test_save_never_overwrites_what_it_was_given(call, recognizer, tmp_path):
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


def test_save_to_a_place_that_cannot_be_written(call, recognizer, tmp_path):
    (tmp_path / "file").write_text("")
    for target in (tmp_path / "absent" / "cat.jpg", tmp_path / "cat.txt"):
        code, _, err = call("image", CAT, "--save", target)
        assert code == 2 and err.startswith(f"picaption: {target}") and err.count("\n") == 1
    code, _, err = call("image", CAT, CAT.with_name("dog.jpg"), "--save", tmp_path / "file")
    assert code == 2 and "cannot be made a folder" in err
    assert os.listdir(tmp_path) == ["file"]


# --- live


def test_live_writes_to_every_sink_and_sums_up(live, tmp_path):
    source = Counter(12, live=False, shape=(96, 480))
    source.rate = 6
    code, out, err = live(
        *("--json", tmp_path / "said.jsonl", "--json-every", 0),
        *("--video", tmp_path / "said.avi"),
        source=source,
    )
    assert code == 0
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(12))
    assert out.startswith("a cat with green eyes | cat 0.97") and out.count("\n") == 1
    source, summary = err.splitlines()
    assert source == "source: counter; stop with ctrl-C" and summary.startswith("12 frames in ")
    video = cv2.VideoCapture(str(tmp_path / "said.avi"))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 12 and video.get(cv2.CAP_PROP_FPS) == 6


def test_live_with_json_on_standard_output_prints_nothing_else_there(live):
    arguments = ("--source", "demo", "--size", "160x120", "--json-every", 0, "--frames", 3)
    code, out, err = live(*arguments, "--json", "-")
    assert code == 0
    assert [json.loads(line)["version"] for line in out.splitlines()] == [1] * 3
    assert len(err.splitlines()) == 2


def test_live_can_be_quiet(live):
    assert live("--source", "demo", "--size", "64x48", "--quiet", "--frames", 2) == (
        0,
        "",
        "",
    )


def test_live_auto_says_that_it_took_the_demo(live, monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr("picaption.device.sources.usb.v4l2_cameras", list)
    code, _, err = live("--frames", 1)
    assert code == 0 and err.startswith("source: demo (no camera found); stop with ctrl-C\n")


def test_teach_takes_no_pictures_of_the_demo(call, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    monkeypatch.setattr("picaption.device.sources.usb.v4l2_cameras", list)
    code, out, err = call("teach", tmp_path / "mug", "--capture", "my mug")
    assert (code, out) == (75, "") and err.startswith("picaption: there is no camera to take")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments, code, message",
    [
        (["--source", "/dev/video97", "--retries", "1"], 75, "there is no camera at /dev/video97"),
        (["--source", "nothing"], 2, "there is no source nothing"),
        (["--source", "demo", "--video", "said.mov"], 2, "said.mov has no ending of a video"),
        (
            ["--source", "demo", "--json", "/absent/said.jsonl"],
            2,
            "/absent/said.jsonl cannot be written",
        ),
    ],
)
def test_live_fails_in_one_line(live, arguments, code, message):
    exit_code, out, err = live(*arguments)
    assert (exit_code, out) == (code, "")
    assert err.startswith(f"picaption: {message}") and err.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_is_one_line_and_the_loop_goes_on(live):
    code, out, err = live("--source", "demo", "--json", "/dev/full", "--quiet", "--frames", 5)
    assert (code, out) == (0, "") and "No space left on device" in err and err.count("\n") == 1


def test_a_camera_that_vanishes_ends_live_in_one_line_and_the_video_is_whole(live, tmp_path):
    source = Counter(
        30, pause=0.01, error="the camera /dev/video0 is gone; plug it in again", shape=(96, 480)
    )
    code, _, err = live("--video", tmp_path / "said.mp4", "--quiet", "--retries", 0, source=source)
    assert code == 75
    assert err == (
        "picaption: the camera /dev/video0 is gone; plug it in again; given up after 1 failure\n"
    )
    assert source.closed == 1
    assert cv2.VideoCapture(str(tmp_path / "said.mp4")).grab()


def test_live_reads_its_settings_from_a_file(live, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("picaption.toml").write_text(
        'source = "demo"\nsize = "64x48"\nframes = 2\njson = "said.jsonl"\njson_every = 0\n'
        "quiet = true\n"
    )
    assert live() == (0, "", "") and Path("said.jsonl").read_text().count("\n") == 2
    Path("picaption.toml").write_text("frmes = 2\n")
    assert live()[2] == (
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


def test_the_shipped_bundle_recognises_the_cat(tmp_path):
    result = picaption("image", "--json", CAT, "--save", tmp_path / "cat.jpg")
    assert (result.returncode, result.stderr) == (0, "")
    values = json.loads(result.stdout)
    assert values["classes"][0]["name"] == "cat" and len(values["classes"]) == 3
    assert (
        len(values["caption"]["words"]) >= 4
        and " ".join(values["caption"]["words"]) == values["caption"]["text"]
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
        "--json-every",
        0,
        "--video",
        tmp_path / "said.mp4",
    ]
    process = subprocess.Popen(
        [*PICAPTION, *map(str, arguments)],
        text=True,
        preexec_fn=default_sigint,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    deadline = time.monotonic() + 120
    while not (
        (tmp_path / "said.jsonl").exists()
        and (tmp_path / "said.jsonl").read_text().count("\n") >= 3
    ):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert all(line["caption"]["text"] for line in lines)
    assert out.strip() and err.splitlines()[-1].startswith(f"{len(lines)} frames in ")
    assert cv2.VideoCapture(str(tmp_path / "said.mp4")).grab()
    assert sorted(os.listdir(tmp_path)) == ["said.jsonl", "said.mp4"]


def test_live_goes_through_a_folder_in_turn(tmp_path):
    result = picaption("live", "--source", CAT.parent, "--json", "-", "--quiet")
    assert (result.returncode, result.stderr) == (0, "")
    frames = [json.loads(line)["frame"] for line in io.StringIO(result.stdout)]
    assert frames == list(range(len(list(CAT.parent.glob("*.jpg"))))) and len(frames) > 4


def test_image_takes_folders_and_refuses_what_is_no_file(call, recognizer, tmp_path):
    shutil.copy(CAT, tmp_path / "a.jpg")
    shutil.copy(CAT, tmp_path / "b.jpg")
    code, out, _ = call("image", tmp_path, "--json")
    files = [json.loads(line)["file"] for line in out.splitlines()]
    assert code == 0 and files == [f"{tmp_path}/a.jpg", f"{tmp_path}/b.jpg"]
    for path in ("-", "http://cam/picture.jpg", "rtsp://cam/x"):
        code, _, err = call("image", path)
        assert code == 2 and "is not a file" in err and "picaption live --source" in err
    code, _, err = call("image", tmp_path, "--save", tmp_path / "x.jpg")
    assert code == 2 and "x.jpg is the name of one picture" in err
    assert not (tmp_path / "x.jpg").exists()
