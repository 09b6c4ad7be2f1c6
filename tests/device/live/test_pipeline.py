"""The parts of a live run, opened and changed while it goes on, with the shipped bundle."""

import json
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from picaption.device import default_bundle
from picaption.device.config.settings import Config
from picaption.device.errors import CameraError, PicaptionError
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.recognition.recognizer import Recognizer
from picaption.device.recognition.scene import SceneTracker
from picaption.device.sources.capture import ReconnectingReader, SequentialReader
from picaption.device.sources.demo_frames import DEMO_IMAGES
from tests.device.fakes.standins import recognition

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "recognition.schema.json").read_text())
DEMO = Config(source="demo", size="64x48", quiet=True, threads=1)


@pytest.fixture
def opened():
    """Opens the parts that a Config asks for, and closes them in the end."""
    made = []

    def opened(config):
        made.append(Pipeline(config))
        return made[-1]

    yield opened
    for parts in made:
        parts.close()


def test_parts_of_a_camera_and_of_a_folder(opened, tmp_path):
    live = opened(
        replace(DEMO, json=str(tmp_path / "said.jsonl"), max_fps=5.0, power_save=True, rotate=90)
    )
    assert (
        isinstance(live.reader, ReconnectingReader)
        and isinstance(live.recognize, SceneTracker)
        and list(live.sinks) == ["json"]
    )
    assert (live.name, live.max_fps, live.power_save) == ("demo", 5.0, True)
    assert live.reader.next(2).image.shape == (64, 48, 3)
    folder = opened(replace(DEMO, source=str(DEMO_IMAGES), quiet=False))
    assert (
        isinstance(folder.reader, SequentialReader)
        and isinstance(folder.recognize, Recognizer)
        and list(folder.sinks) == ["terminal"]
    )


@pytest.mark.parametrize(
    "changes, kind, message",
    [
        ({"bundle": "absent.tflite"}, PicaptionError, "absent.tflite: cannot read the bundle"),
        ({"source": "/dev/video97"}, CameraError, "there is no camera at /dev/video97"),
        ({"video": "said.mov"}, PicaptionError, "said.mov has no ending"),
        ({"window": True}, PicaptionError, "window"),
    ],
)
def test_what_was_open_is_closed_where_a_part_cannot_be_had(
    tmp_path, monkeypatch, changes, kind, message
):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    before = threading.active_count()
    with pytest.raises(kind, match=message):
        Pipeline(replace(DEMO, json=str(tmp_path / "said.jsonl"), **changes))
    assert threading.active_count() == before


def test_only_what_has_changed_is_replaced(opened, tmp_path):
    parts = opened(replace(DEMO, json=str(tmp_path / "one.jsonl")))
    reader, recognize, sink = parts.reader, parts.recognize, parts.sinks["json"]
    parts.reload(replace(parts.config, max_fps=7.0))
    assert (parts.reader, parts.recognize, parts.sinks["json"]) == (
        reader,
        recognize,
        sink,
    ) and parts.max_fps == 7
    parts.reload(replace(parts.config, json=str(tmp_path / "two.jsonl")))
    assert (
        parts.sinks["json"] is not sink and parts.reader is reader and parts.recognize is recognize
    )
    parts.reload(replace(parts.config, json=""))
    assert parts.sinks == {}
    parts.reload(replace(parts.config, hflip=True))
    assert parts.reader is not reader and parts.recognize is recognize
    parts.reload(replace(parts.config, smoothing=3.0))
    assert parts.recognize is not recognize


def test_a_bundle_that_is_replaced_is_taken_and_garbage_is_not(opened, tmp_path, caplog):
    path = tmp_path / "bundle.tflite"
    shutil.copy(default_bundle(), path)
    parts = opened(replace(DEMO, bundle=str(path)))
    first = parts.recognize
    parts.reload(parts.config)
    assert parts.recognize is first
    path.write_bytes(b"garbage")
    parts.reload(parts.config)
    assert parts.recognize is first
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: not a bundle: it does not begin as a .tflite file does; the bundle stays as it was"
    ]
    frame = parts.reader.next(2)
    assert parts.recognize(frame.image).caption
    path.unlink()
    shutil.copy(default_bundle(), path)
    parts.reload(parts.config)
    assert parts.recognize is not first and parts.recognize(frame.image).caption


def test_a_sink_that_cannot_be_had_anew_stays_as_it_was(opened, tmp_path, caplog):
    parts = opened(replace(DEMO, json=str(tmp_path / "said.jsonl")))
    parts.reload(replace(parts.config, json=str(tmp_path / "absent" / "said.jsonl"), max_fps=3.0))
    assert (
        parts.config.json == str(tmp_path / "said.jsonl")
        and parts.max_fps == 3
        and list(parts.sinks) == ["json"]
    )
    assert (
        "absent/said.jsonl cannot be written" in caplog.text
        and "json stays as it was" in caplog.text
    )
    run(parts, frames=2)
    assert len((tmp_path / "said.jsonl").read_text().splitlines()) == 2


def test_a_source_that_cannot_be_had_anew_stays_as_it_was(opened, caplog):
    parts = opened(DEMO)
    parts.reload(replace(parts.config, source="/dev/video97"))
    assert parts.name == "demo" and parts.config.source == "demo" and parts.reader.next(2)
    assert "there is no camera at /dev/video97" in caplog.text


def test_frames_of_one_camera_go_through_all_of_it(opened, tmp_path):
    parts = opened(replace(DEMO, size="320x240", json=str(tmp_path / "said.jsonl"), event=()))
    summary = run(parts, frames=5)
    lines = [json.loads(line) for line in (tmp_path / "said.jsonl").read_text().splitlines()]
    assert summary.frames == len(lines) == 5 and all(line["scene"] == 1 for line in lines)
    assert len({line["caption"]["text"] for line in lines}) == 1
    assert list(lines[0]["timings_ms"]) == [
        "queue",
        "preprocess",
        "encode",
        "caption",
        "classify",
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
