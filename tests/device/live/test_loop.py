"""The live loop: which frames it takes, what it tells of them, and how it ends."""

import itertools
import os
import signal
import threading
import time

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.live.loop import Pace, Records, Summary, run
from tests.device.fakes.standins import Collector, Counter, parts, recognition


class Shapes(Collector):
    """A sink that keeps the shapes of the images as well."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def write(self, recognized):
        super().write(recognized)
        self.shapes.append(recognized.image.shape)


def recognizer(pause=0.0, ages=None):
    """Return a recognizer that takes `pause` seconds and fails if its frame changes meanwhile.

    The list `ages` gets the frames' ages in seconds.
    """

    def recognize(image, frame, captured_at, camera, stopwatch):
        before = image.copy()
        time.sleep(pause)
        assert (image == before).all() and (image == frame % 256).all()
        if ages is not None:
            ages.append(time.time() - captured_at)
        stopwatch.lap("encode")
        timings = stopwatch.timings()
        return recognition(frame=frame, captured_at=captured_at, camera=camera, timings=timings)

    return recognize


def test_a_source_that_waits_is_read_frame_by_frame():
    sink = Collector()
    summary = run(parts(Counter(20, live=False), recognizer(0.002), sink))
    assert [value for value, _ in sink.got] == list(range(20))
    assert [result.frame for _, result in sink.got] == list(range(20))
    assert summary.frames == 20 and len(summary.latencies) == 20


def test_a_live_source_gives_its_newest_frame_and_the_rest_are_skipped():
    sink, ages = Collector(), []
    summary = run(parts(Counter(400, pause=0.002), recognizer(0.05, ages), sink))
    numbers = [result.frame for _, result in sink.got]
    assert numbers == sorted(set(numbers))
    assert 3 <= summary.frames < 100
    # Never a stale frame: after 50 ms of work it is hardly older than these (a queue would make
    # it 400 ms).
    assert sorted(ages)[len(ages) // 2] < 0.2
    assert min(summary.latencies) >= 50


def test_every_sink_gets_the_same_recognition():
    sinks = [Collector(), Collector()]
    run(parts(Counter(3, live=False), recognizer(), *sinks))
    assert [a is b for (_, a), (_, b) in zip(sinks[0].got, sinks[1].got)] == [True] * 3


def test_the_timings_hold_what_adds_to_the_latency():
    class Slow(Collector):
        def write(self, recognized):
            time.sleep(0.02)
            super().write(recognized)

    sink = Slow()
    summary = run(parts(Counter(10**9, pause=0.001), recognizer(0.01), sink), frames=4)
    timings = [result.timings for _, result in sink.got]
    assert all(list(spent) == ["queue", "encode", "total", "output"] for spent in timings)
    assert timings[0]["output"] == 0 and min(spent["output"] for spent in timings[1:]) >= 20
    assert min(spent["queue"] for spent in timings) >= 0
    assert list(summary.stages) == ["queue", "encode", "output"]


def test_what_the_camera_says_of_a_frame_is_passed_on():
    source, sink = Counter(1, live=False), Collector()
    source.metadata = {"Lux": 12.5, "ColourGains": (1.5, 2.0), "SensorBlackLevels": object()}
    run(parts(source, recognizer(), sink))
    assert sink.got[0][1].camera == {"Lux": 12.5, "ColourGains": (1.5, 2.0)}


def test_the_prepared_image_is_recognised_and_the_frame_itself_written():
    shapes, sink = [], Shapes()

    def recognize(image, frame, captured_at, camera, stopwatch):
        shapes.append(image.shape)
        return recognition(frame=frame)

    running = parts(Counter(3, live=False), recognize, sink)
    running.reader.prepare = lambda image, buffers: image[:4, :6]
    run(running)
    assert shapes == [(4, 6, 3)] * 3 and sink.shapes == [(24, 32, 3)] * 3


@pytest.mark.parametrize("alive", [True, False])
def test_the_loop_stops_after_so_many_frames(alive):
    sink = Collector()
    assert (
        run(parts(Counter(10**9, live=alive, pause=0.001), recognizer(), sink), frames=5).frames
        == 5
    )
    assert len(sink.got) == 5


@pytest.mark.parametrize("alive", [True, False])
def test_the_loop_stops_after_so_many_seconds(alive):
    summary = run(parts(Counter(10**9, live=alive, pause=0.001), recognizer()), seconds=0.2)
    assert summary.seconds >= 0.2 and summary.frames > 0


@pytest.mark.parametrize("alive", [True, False])
def test_no_more_frames_a_second_than_are_wanted(alive):
    summary = run(
        parts(Counter(10**9, live=alive, pause=0.001), recognizer(), Collector(), max_fps=10),
        seconds=1.02,
    )
    assert 2 <= summary.frames <= 11
    # What is recognised after the wait is new.
    assert not alive or np.median(summary.latencies) < 90


def test_a_pause_between_frames_ends_with_the_run():
    start = time.monotonic()
    assert (
        run(parts(Counter(10**9, live=False), recognizer(), max_fps=0.01), seconds=0.3).frames == 1
    )
    assert time.monotonic() - start < 60  # Not 100.


def test_power_is_saved_while_nothing_changes():
    times = []
    #: How many frames there were before the scene changes, after three that came slowly.
    changed_at = []

    def recognize(image, frame, captured_at, camera, stopwatch):
        times.append(time.monotonic())
        if not changed_at and sum(np.diff(times) > 0.25) == 3:
            changed_at.append(len(times))
        return recognition(frame=frame, scene=1 + len(changed_at))

    run(
        parts(Counter(10**9, pause=0.005), recognize, power_save=True),
        seconds=2,
        pace=Pace(calm_seconds=0.25, idle_seconds=0.3),
    )
    gaps = np.diff(times)
    (change,) = changed_at
    # The calm before the change is the last of what came before it.
    assert (gaps[change - 4 : change - 1] > 0.25).all()
    assert np.median(gaps[: change - 4]) < 0.1
    assert gaps[change - 1] < 0.25


@pytest.mark.parametrize("alive", [True, False])
def test_an_error_of_the_source_is_raised_after_what_came_before(alive):
    sink = Collector()
    with pytest.raises(PicaptionError, match="the camera is gone"):
        run(
            parts(
                Counter(3, live=alive, pause=0.02, error="the camera is gone"), recognizer(), sink
            )
        )
    assert len(sink.got) >= 1


def test_an_error_of_the_recognizer_or_a_sink_is_raised():
    class Full(Collector):
        def write(self, recognized):
            raise PicaptionError("the disk is full")

    def broken(*_):
        raise PicaptionError("no model")

    for recognize, sinks, message in (
        (broken, [Collector()], "no model"),
        (recognizer(), [Full(), Collector()], "full"),
    ):
        with pytest.raises(PicaptionError, match=message):
            run(parts(Counter(10**9, pause=0.001), recognize, *sinks))


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_loop_cleanly(number, alive):
    numbers = signal.SIGINT, signal.SIGTERM, signal.SIGHUP
    before, sink = [signal.getsignal(number) for number in numbers], Collector()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
    timer.start()
    summary = run(parts(Counter(10**9, live=alive, pause=0.001), recognizer(), sink), seconds=10)
    assert 0 < summary.frames == len(sink.got) and summary.seconds < 5
    assert before == [signal.getsignal(number) for number in numbers]


def test_sighup_reloads_between_two_frames():
    class Hangup(Collector):
        """A sink that sends SIGHUP with the third frame."""

        def write(self, recognized):
            super().write(recognized)
            if len(self.got) == 3:
                os.kill(os.getpid(), signal.SIGHUP)

    old, new = Hangup(), Collector()
    running = parts(Counter(10**9, pause=0.001), recognizer(), old)
    run(running, frames=9, reload=lambda: running.sinks.update({0: new}))
    assert len(old.got) >= 3 and new.got and old.got[-1][1].frame < new.got[0][1].frame


def test_the_clock_may_be_set_back(monkeypatch):
    wall, sink = itertools.count(10**6, -1000), Collector()
    monkeypatch.setattr(
        "picaption.device.sources.capture.time",
        type(
            "Clock",
            (),
            {
                "time": staticmethod(lambda: next(wall)),
                "monotonic": time.monotonic,
                "sleep": time.sleep,
            },
        ),
    )
    summary = run(parts(Counter(20, live=False), recognizer(), sink))
    assert summary.frames == 20 and min(summary.latencies) >= 0
    assert min(result.timings["queue"] for _, result in sink.got) >= 0
    assert sink.got[0][1].captured_at > sink.got[-1][1].captured_at


def test_on_tick_is_called_even_while_no_frame_comes():
    ticks = []
    run(
        parts(Counter(10**9, pause=0.3), recognizer()),
        seconds=0.5,
        on_tick=lambda: ticks.append(time.monotonic()),
    )
    assert max(after - before for before, after in zip(ticks, ticks[1:])) < 0.25


def test_a_bundle_with_other_stages_begins_the_table_anew():
    records = Records()
    records.add(5.0, {"encode": 3.0, "name": 1.0, "total": 4.0})
    records.add(9.0, {"encode": 2.0, "total": 2.0})
    records.add(8.0, {"encode": 6.0, "total": 6.0})
    summary = records.summary(1.0)
    assert (summary.frames, summary.latencies) == (3, (9.0, 8.0))
    assert summary.stages == {"encode": (2.0, 6.0)}


def test_the_summary_is_one_line():
    summary = Summary(40, 4.0, tuple(range(1, 41)), {"queue": (1.0, 2.0, 9.0), "encode": (3.0,)})
    assert str(summary) == (
        "40 frames in 4.0 s: 10.0 fps, latency 20 ms (90th percentile 36 ms): queue 2.0, encode 3.0"
    )
    assert str(Summary(0, 1.0, (), {})) == "no frame was recognised"
