"""The parts of a live run, opened and changed while it goes on, with the shipped bundle."""

import json
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest

from picaption.device import default_bundle
from picaption.device.config.settings import Config
from picaption.device.errors import CameraError, PicaptionError
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.outputs.video import Video
from picaption.device.recognition.recognizer import Recognizer
from picaption.device.recognition.scene import SceneTracker
from picaption.device.sources.capture import ReconnectingReader, SequentialReader
from picaption.device.sources.demo_frames import DEMO_IMAGES
from picaption.device.sources.source import NoFrameYet, SourceStatus
from tests.device.fakes.standins import Counter, recognition, recognized

REFERENCE = Path(__file__).parents[3] / "docs/reference"
SCHEMA = json.loads((REFERENCE / "recognition.schema.json").read_text())
DEMO = Config(source="demo", size="64x48", quiet=True, threads=1, json_every=0.0)


@pytest.fixture
def opened():
    """Opens the pipeline that a Config asks for, and closes it in the end."""
    made = []

    def opened(config, **parts):
        made.append(Pipeline(config, **parts))
        return made[-1]

    yield opened
    for pipeline in made:
        pipeline.close()


def test_parts_of_a_camera_and_of_a_folder(opened, tmp_path):
    lines = str(tmp_path / "said.jsonl")
    live = opened(replace(DEMO, json=lines, max_fps=5.0, power_save=True, rotate=90))
    assert isinstance(live.reader, ReconnectingReader)
    assert isinstance(live.recognize, SceneTracker)
    assert list(live.sinks) == ["json"]
    assert (live.name, live.max_fps, live.power_save) == ("demo", 5.0, True)
    assert live.reader.next(2).image.shape == (64, 48, 3)
    folder = opened(replace(DEMO, source=str(DEMO_IMAGES), quiet=False))
    assert isinstance(folder.reader, SequentialReader)
    assert isinstance(folder.recognize, Recognizer)
    assert list(folder.sinks) == ["terminal"]


def test_every_image_of_a_folder_is_a_scene_of_its_own_rotated_or_not(opened):
    folder = opened(replace(DEMO, source=str(DEMO_IMAGES), hflip=True))
    assert isinstance(folder.recognize, Recognizer)
    folder.reload(replace(folder.config, source="demo"))
    assert isinstance(folder.recognize, SceneTracker)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"bundle": "absent.tflite"}, PicaptionError, "absent.tflite: cannot read the bundle"),
        (
            {"source": "/dev/video97", "retries": 1},
            CameraError,
            "there is no camera at /dev/video97",
        ),
        ({"video": "said.mov"}, PicaptionError, "said.mov has no ending"),
        ({"window": True}, PicaptionError, "window"),
    ],
)
def test_what_was_open_is_closed_if_a_part_cannot_be_opened(
    tmp_path, monkeypatch, changes, error, message
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    before = threading.active_count()
    with pytest.raises(error, match=message):
        Pipeline(replace(DEMO, json=str(tmp_path / "said.jsonl"), **changes))
    assert threading.active_count() == before


def test_source_and_recognizer_can_be_passed(opened, tmp_path):
    source = Counter(3, live=False, shape=(48, 64))
    recognizer = Recognizer(default_bundle(), 1)
    pipeline = opened(
        replace(DEMO, json=str(tmp_path / "said.jsonl")),
        open_source=lambda spec, config: source,
        open_recognizer=lambda config: recognizer,
    )
    assert pipeline.name == "counter" and pipeline.recognizer is recognizer
    assert run(pipeline).frames == 3
    assert len((tmp_path / "said.jsonl").read_text().splitlines()) == 3


def test_only_what_has_changed_is_replaced(opened, tmp_path):
    pipeline = opened(replace(DEMO, json=str(tmp_path / "one.jsonl")))
    reader = pipeline.reader
    recognize = pipeline.recognize
    sink = pipeline.sinks["json"]
    pipeline.reload(replace(pipeline.config, max_fps=7.0))
    assert pipeline.reader is reader and pipeline.recognize is recognize
    assert pipeline.sinks["json"] is sink and pipeline.max_fps == 7
    pipeline.reload(replace(pipeline.config, json=str(tmp_path / "two.jsonl")))
    assert pipeline.sinks["json"] is not sink
    assert pipeline.reader is reader and pipeline.recognize is recognize
    pipeline.reload(replace(pipeline.config, json=""))
    assert pipeline.sinks == {}
    pipeline.reload(replace(pipeline.config, hflip=True))
    assert pipeline.reader is not reader and pipeline.recognize is recognize
    pipeline.reload(replace(pipeline.config, smoothing=3.0))
    assert pipeline.recognize is not recognize


def test_a_bundle_that_is_replaced_is_taken_and_garbage_is_not(opened, tmp_path, caplog):
    path = tmp_path / "bundle.tflite"
    shutil.copy(default_bundle(), path)
    pipeline = opened(replace(DEMO, bundle=str(path)))
    first = pipeline.recognize
    pipeline.reload(pipeline.config)
    assert pipeline.recognize is first
    path.write_bytes(b"garbage")
    pipeline.reload(pipeline.config)
    assert pipeline.recognize is first
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: not a bundle: it does not begin as a .tflite file does; "
        "the bundle stays as it was"
    ]
    frame = pipeline.reader.next(2)
    assert pipeline.recognize(frame.image).caption
    path.unlink()
    shutil.copy(default_bundle(), path)
    pipeline.reload(pipeline.config)
    assert pipeline.recognize is not first and pipeline.recognize(frame.image).caption


def test_a_sink_that_cannot_be_replaced_stays_as_it_was(opened, tmp_path, caplog):
    path = tmp_path / "said.jsonl"
    pipeline = opened(replace(DEMO, json=str(path)))
    absent = str(tmp_path / "absent" / "said.jsonl")
    pipeline.reload(replace(pipeline.config, json=absent, max_fps=3.0))
    assert pipeline.config.json == str(path) and pipeline.max_fps == 3
    assert list(pipeline.sinks) == ["json"]
    assert "absent/said.jsonl cannot be written" in caplog.text
    assert "json stays as it was" in caplog.text
    run(pipeline, frames=2)
    assert len(path.read_text().splitlines()) == 2


def test_a_source_that_cannot_be_replaced_stays_as_it_was(opened, caplog):
    pipeline = opened(DEMO)
    pipeline.reload(replace(pipeline.config, source="/dev/video97"))
    assert pipeline.name == "demo" and pipeline.config.source == "demo" and pipeline.reader.next(2)
    assert "there is no camera at /dev/video97" in caplog.text


def test_what_is_known_of_the_source_is_told_while_it_is_away_and_once_it_is_there(opened):
    arrived = []

    class Named(Counter):
        name = "/dev/video7"
        model = "HD\nWebcam"

    def open_source(spec, config):
        if not arrived:
            raise CameraError("there is no camera")
        return Named(10**9, pause=0.005)

    config = replace(DEMO, source="http://me:secret@cam/video?key=1", retries=9)
    pipeline = opened(config, open_source=open_source)
    status = SourceStatus("http://cam/video", "", "there is no camera", failures=1)
    assert pipeline.source_status() == status
    arrived.append(True)
    read = 0
    while not read:
        with suppress(NoFrameYet):
            read += pipeline.reader.next(1) is not None
    status = SourceStatus("/dev/video7", "HD Webcam", None, failures=1)
    assert pipeline.source_status() == status
    pipeline.report(paused=True)
    assert pipeline.source_status() == replace(status, is_paused=True)


def test_frames_of_one_camera_go_through_all_of_it(opened, tmp_path):
    path = tmp_path / "said.jsonl"
    pipeline = opened(replace(DEMO, size="320x240", json=str(path), event=()))
    summary = run(pipeline, frames=5)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert summary.frames == len(lines) == 5 and all(line["scene"] == 1 for line in lines)
    assert len({line["caption"]["text"] for line in lines}) == 1
    assert list(lines[0]["timings_ms"]) == [
        "queue",
        "preprocess",
        "encode",
        "names",
        "classify",
        "caption",
        "total",
        "output",
    ]
    for line in lines:
        jsonschema.validate(line, SCHEMA)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"caption": "a cat"},
        {"classes": [{"name": "cat", "score": 1.5}]},
        {"frame": -1},
        {"unsure": "no"},
    ],
)
def test_the_schema_refuses_what_is_not_a_recognition(change):
    jsonschema.validate(recognition().to_json(), SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(recognition().to_json() | change, SCHEMA)


@pytest.mark.parametrize("output", ["json", "video"])
def test_no_output_is_the_source_or_the_bundle(tmp_path, monkeypatch, output):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "film.mp4").write_bytes(b"a film")
    for name in ("source", "bundle"):
        config = Config(**{name: f"{tmp_path}/film.mp4", output: "~/film.mp4"})
        with pytest.raises(PicaptionError, match=f"--{output} .* would overwrite .*[(]{name}[)]"):
            Pipeline(config)


def test_pictures_are_scenes_and_videos_have_their_own_time(opened, tmp_path):
    for name in "ab":
        shutil.copy(DEMO_IMAGES / "cat.jpg", tmp_path / f"{name}.jpg")
    lines = tmp_path / "said.jsonl"
    run(opened(replace(DEMO, source=str(tmp_path), json=str(lines))))
    recognitions = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["file"] for line in recognitions] == [f"{tmp_path}/a.jpg", f"{tmp_path}/b.jpg"]
    assert [line["scene"] for line in recognitions] == [1, 2] and "seconds" not in recognitions[0]

    film = tmp_path / "film.avi"
    sink = Video(film, rate=10)
    for level in range(20):
        sink.write(recognized(image=np.full((48, 64, 3), 5 * level, np.uint8)))
    sink.close()
    lines.unlink()
    run(opened(replace(DEMO, source=str(film), json=str(lines), max_fps=5)))
    recognitions = [json.loads(line) for line in lines.read_text().splitlines()]
    assert [line["seconds"] for line in recognitions] == [
        round(0.2 * index, 3) for index in range(10)
    ]
    assert [line["frame"] for line in recognitions] == list(range(0, 20, 2))
    assert recognitions[0]["file"] == str(film)


class Slowed:
    """A recognizer that takes its time, and the more the later the frame."""

    def __init__(self, recognizer, seconds):
        self._recognizer = recognizer
        self._seconds = seconds

    def __getattr__(self, name):
        return getattr(self._recognizer, name)

    def encode_prepared(self, prepared, stopwatch):
        time.sleep(self._seconds)
        self._seconds *= 1.1
        return self._recognizer.encode_prepared(prepared, stopwatch)


def test_a_film_gives_the_same_lines_on_a_slow_computer(opened, tmp_path, photos):
    film = tmp_path / "film.avi"
    sink = Video(film, rate=5)
    rows = [cv2.resize(photos[name], (160, 120)) for name in ("cat", "coffee")]
    for index in range(24):
        share = max(0.0, min(1.0, (index - 8) / 6))  # One photograph becomes the other.
        image = (share * rows[1] + (1 - share) * rows[0]).astype(np.uint8)
        sink.write(recognized(image=image))
    sink.close()
    results = []
    for name, pause in (("fast", 0.0), ("slow", 0.01)):
        lines = tmp_path / f"{name}.jsonl"
        config = replace(
            DEMO, source=str(film), json=str(lines), json_every=1.0, smoothing=1.0, max_fps=4.0
        )
        config = replace(config, caption_every=1.0)
        recognizer = Slowed(Recognizer(default_bundle(), 1), pause)
        run(opened(config, open_recognizer=lambda config, recognizer=recognizer: recognizer))
        results.append([json.loads(line) for line in lines.read_text().splitlines()])
        for line in results[-1]:
            jsonschema.validate(line, SCHEMA)
            del line["captured_at"], line["timings_ms"]
    assert results[0] == results[1]
    seconds = [line["seconds"] for line in results[0]]
    # 4.8 s at one a second at least, and at most the 20 frames that max_fps leaves.
    assert seconds == sorted(set(seconds)) and 5 <= len(seconds) <= 20
    assert max(late - early for early, late in zip(seconds, seconds[1:])) <= 1.2 + 1e-9
    assert all("certain" in score for line in results[0] for score in line["classes"])
    assert {line["threshold"] for line in results[0]} == {results[0][0]["threshold"]}
