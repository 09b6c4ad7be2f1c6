"""What outputs ask of a running loop: a pause, a rate, a caption, another bundle."""

import contextlib
import shutil
import threading
import time
from dataclasses import replace

import pytest

from picaption.device.config.settings import Config, Event
from picaption.device.errors import PicaptionError
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline, find_bundles
from picaption.device.live.requests import RequestHandler
from picaption.device.outputs.control import LoopControl
from tests.device.fakes.servers import wait_for
from tests.device.fakes.standins import Collector


class Seconds(Collector):
    """A sink that notes when it got its frames, and keeps their Recognitions."""

    def __init__(self):
        super().__init__()
        self.at = []

    def write(self, recognized):
        super().write(recognized)
        self.at.append(time.monotonic())


@pytest.fixture
def running(bundle, tmp_path):
    """A pipeline of the demo whose loop runs in a thread, with a sink that collects."""
    shutil.copy(bundle, tmp_path / "one.tflite")
    shutil.copy(bundle, tmp_path / "two.tflite")
    (tmp_path / "three.tflite").write_bytes(b"garbage")
    pipeline = Pipeline(
        Config(
            source="demo",
            size="64x48",
            quiet=True,
            threads=1,
            bundle=str(tmp_path / "one.tflite"),
            bundles=str(tmp_path),
            max_fps=100.0,
        )
    )
    pipeline.sinks["collector"] = Seconds()
    stopped = []

    def tick():
        if stopped:
            raise SystemExit

    def loop():
        with contextlib.suppress(SystemExit):
            run(pipeline, on_tick=tick, requests=RequestHandler(pipeline))

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    yield pipeline
    stopped.append(True)
    thread.join(5)
    pipeline.close()


def test_a_paused_loop_recognises_nothing_but_what_is_asked_for(running):
    sink = running.sinks["collector"]
    assert wait_for(lambda: sink.got)
    running.control.pause(True)
    assert wait_for(lambda: running.control.state.paused)
    time.sleep(0.3)  # A frame that was under way may still come.
    count = len(sink.got)
    assert not wait_for(lambda: len(sink.got) > count, 0.5)
    running.control.caption_now()
    assert wait_for(lambda: running.control.state.captions == 1)
    assert not wait_for(lambda: len(sink.got) > count + 1, 0.3) and len(sink.got) == count + 1
    running.control.pause(False)
    assert wait_for(lambda: len(sink.got) > count + 3)


def test_a_rate_holds_at_once_and_is_bounded(running):
    sink = running.sinks["collector"]
    running.control.limit_rate(0.05)
    assert wait_for(lambda: running.max_fps == 0.05)
    time.sleep(0.2)
    count = len(sink.got)
    assert not wait_for(lambda: len(sink.got) > count + 1, 0.4)
    running.control.limit_rate(50.0)  # The next frame was due in 20 s.
    assert wait_for(lambda: len(sink.got) > count + 5, 5)
    assert running.control.state.max_fps == running.config.max_fps == 50
    for rate in (-1.0, 241.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not from 0 to 240"):
            running.control.limit_rate(rate)


def test_a_bundle_is_one_of_the_folder_and_garbage_is_not_taken(running, tmp_path, caplog):
    state = running.control.state
    assert (state.bundle, state.bundles) == ("one", ("one", "three", "two"))
    running.control.choose_bundle("two")
    assert wait_for(lambda: running.control.state.bundle == "two")
    assert running.config.bundle == str(tmp_path / "two.tflite")
    running.control.choose_bundle("three")
    assert wait_for(lambda: "the bundle stays as it was" in caplog.text)
    assert running.control.state.bundle == "two"
    for name in ("../two", "/etc/passwd", str(tmp_path / "one.tflite"), "", "two.tflite"):
        with pytest.raises(ValueError, match="there is no such bundle"):
            running.control.choose_bundle(name)
    (tmp_path / "one.tflite").unlink()
    running.control.choose_bundle("one")
    assert wait_for(lambda: "'one' is gone" in caplog.text or "one.tflite" in caplog.text)
    assert running.control.state.bundle == "two"


def test_the_settings_hold_again_once_they_are_read_again(running, tmp_path):
    settings = running.config
    running.control.choose_bundle("two")
    assert wait_for(lambda: running.control.state.bundle == "two")
    running.control.pause(True)
    assert wait_for(lambda: running.control.state.paused)
    running.reload(settings)
    assert running.control.state.bundle == "one" and running.control.state.paused


def test_the_bundle_of_the_settings_can_be_chosen_again(tmp_path):
    for name in ("b", "a", "x\nb", "n" * 65):
        (tmp_path / f"{name}.tflite").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("")
    assert find_bundles(str(tmp_path), "/home/me/mine.tflite") == {
        "a": str(tmp_path / "a.tflite"),
        "b": str(tmp_path / "b.tflite"),
        "mine": "/home/me/mine.tflite",
    }
    assert list(find_bundles(str(tmp_path), str(tmp_path / "a.tflite"))) == ["a", "b"]
    assert find_bundles("", "/home/me/mine.tflite") == {}


def test_a_folder_of_bundles_that_is_not_there(tmp_path):
    config = Config(source="demo", bundles=str(tmp_path / "absent"))
    with pytest.raises(PicaptionError, match="bundles: there is no folder .*absent"):
        Pipeline(config)


def test_of_several_requests_of_one_sort_the_last_holds():
    control = LoopControl()
    assert control.take() is None
    control.pause(True)
    control.limit_rate(5)
    control.pause(False)
    control.caption_now()
    requests = control.take()
    assert (requests.paused, requests.max_fps, requests.caption) == (False, 5, True)
    assert requests == replace(requests, bundle=None, reload_bundle=False)
    assert control.take() is None


def test_events_of_another_bundle_are_warned_of_and_end_no_run(bundle, caplog):
    known = Event(class_="dog", run=("true",))
    config = Config(source="demo", size="64x48", quiet=True, threads=1, event=(known,))
    pipeline = Pipeline(config)
    try:
        pipeline.change(replace(config, bundle=str(bundle)))
        warning = f"it never happens: the bundle {bundle.stem} has no class 'dog'"
        assert warning in caplog.text and "events" in pipeline.sinks
        unknown = replace(known, class_="dgo")
        pipeline.reload(replace(config, bundle=str(bundle), event=(unknown,)))
        assert "there is no output events until its settings change" in caplog.text
        pipeline.reload(config)  # The shipped bundle has dogs; the settings are those of before.
        pipeline.reload(replace(config, event=(replace(known, every=1.0),)))
        assert "events" in pipeline.sinks
    finally:
        pipeline.close()
