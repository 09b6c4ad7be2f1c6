"""Outputs of several cameras: lines, events, snapshots, videos and the history say which it is."""

import io
import json
import sqlite3
from dataclasses import replace

import pytest

from picaption.device.config.camera import Camera
from picaption.device.config.settings import Config, Event
from picaption.device.outputs import video
from picaption.device.outputs.events import output as events
from picaption.device.outputs.events.runner import EventRunner, arguments
from picaption.device.outputs.history import output as history
from picaption.device.outputs.jsonl import OnChange
from picaption.device.outputs.sink import ByCamera, OutputContext
from picaption.device.outputs.terminal import Terminal
from tests.device.fakes.metadata import METADATA
from tests.device.fakes.servers import wait_for
from tests.device.fakes.standins import Collector, recognition, recognized

CAT = Event(word="cat", run=("true",))
CAMERAS = (
    Camera("Front door", {"source": "demo", "event": (Event(word="cat", save=True),)}),
    Camera("yard", {"source": "demo"}),
)


def frame(name, *args, **changes):
    return recognized(*args, camera_name=name, **changes)


def test_lines_are_compared_with_those_of_the_same_camera():
    sink = Collector()
    lines = OnChange(sink, 10.0, lambda: 0.0)
    for name, text in (("a", "one"), ("b", "two"), ("a", "one"), ("b", "two"), ("b", "three")):
        lines.write(frame(name, text))
    texts = [(result.camera_name, result.text) for _, result in sink.got]
    assert texts == [("a", "one"), ("b", "two"), ("b", "three")]


def test_the_terminal_has_a_line_for_every_change_after_the_cameras_name():
    stream = io.StringIO()
    terminal = Terminal(stream)
    for name, text in (("a", "a cat"), ("b", "a dog"), ("a", "a cat"), ("a", "a cup")):
        terminal.write(frame(name, text))
    terminal.close()
    lines = stream.getvalue().splitlines()
    assert [line.partition(" |")[0] for line in lines] == ["a: a cat", "b: a dog", "a: a cup"]


def test_frames_go_to_their_own_cameras_output_and_all_are_closed():
    class Broken(Collector):
        def close(self):
            super().close()
            raise OSError("full")

    first, second = Broken(), Collector()
    both = ByCamera({"a": first, "b": second})
    for name in ("a", "b", "b", "c"):
        both.write(frame(name))
    assert [len(first.got), len(second.got)] == [1, 2]
    with pytest.raises(OSError, match="full"):
        both.close()
    assert first.closed == second.closed == 1


def test_what_is_there_before_one_camera_is_new_before_another():
    happened = []

    class Programs:
        def reap(self):
            pass

        def run(self, command, file=""):
            happened.append(command[1])

        def close(self):
            pass

    named = replace(CAT, run=("true", "{camera}"), every=0.0)
    runner = EventRunner(
        [named], 0.5, Programs(), lambda: 0.0, by_camera={"a": [named], "b": [named]}
    )
    for name in ("a", "a", "b", "a", "c"):
        runner.write(frame(name, "a cat"))
    runner.close()
    assert happened == ["a", "b"]
    # Of a single source the name is empty.
    assert arguments(named, recognition("a cat")) == ["true", ""]


def test_a_cameras_events_take_the_place_of_those_of_all(tmp_path):
    config = Config(camera=CAMERAS, event=(CAT,), snapshots=str(tmp_path / "snapshots"))
    context = OutputContext(None, METADATA)
    runner = events.open_output(config, context)
    runner.write(frame("Front door", "a cat", captured_at=1.7e9))
    runner.write(frame("yard", "a cat", captured_at=1.7e9))
    runner.close()
    (record,) = (tmp_path / "snapshots").glob("*.json")
    assert record.stem.endswith("_Front_door_cat")
    assert json.loads(record.read_text())["camera_name"] == "Front door"


def test_there_is_a_video_of_each_camera(tmp_path):
    config = Config(camera=CAMERAS, video=str(tmp_path / "said.avi"), video_megabytes=10.0)
    sink = video.open_output(config, OutputContext(None, METADATA))
    for name in ("Front door", "yard"):
        sink.write(frame(name))
    sink.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "said.front_door.avi",
        "said.yard.avi",
    ]


def test_the_history_has_the_scenes_of_each_camera_under_its_name(tmp_path):
    path = tmp_path / "history.db"
    context = OutputContext(None, METADATA)
    sink = history.open_output(Config(history=str(path)), context)
    # Scenes that overlap, one of which goes on for so long that it is written before it ends.
    for second in range(130):
        sink.write(frame("door", "a cat", scene=1, captured_at=1000.0 + second))
        sink.write(frame("yard", "a dog", scene=1 + second // 65, captured_at=1000.0 + second))
    assert wait_for(lambda: not sink._writer._queue.qsize())
    sink.close()
    with sqlite3.connect(path) as database:
        rows = database.execute("SELECT camera, id, end FROM scene ORDER BY camera, id").fetchall()
    assert [row[0] for row in rows] == ["door", "yard", "yard"]
    assert rows[0][2] == 1129_000 and rows[2][2] == 1129_000
    assert len({row[1] for row in rows}) == 3
