"""The live loop: which frames it takes, how it ends, and what it leaves behind."""

import os
import signal
import threading
import time

import pytest

from device.errors import PicaptionError
from device.live import Summary, run
from standins import Counter, Keeper, recognition


def recognizer(pause=0.0, seen=None):
    """Return a recognizer that takes `pause` seconds and fails where its frame changes meanwhile."""
    def recognize(image, frame, captured_at):
        before = image.copy()
        time.sleep(pause)
        assert (image == before).all() and (image == frame % 256).all()
        if seen is not None:
            seen.append(time.time() - captured_at)
        return recognition(frame=frame, captured_at=captured_at)
    return recognize


def test_a_source_that_waits_is_read_frame_by_frame():
    source, sink = Counter(20, live=False), Keeper()
    summary = run(source, recognizer(0.002), [sink])
    assert [value for value, _ in sink.got] == list(range(20))
    assert [result.frame for _, result in sink.got] == list(range(20))
    assert summary.frames == 20 and len(summary.latencies) == 20
    assert source.closed == sink.closed == 1


def test_a_live_source_gives_its_newest_frame_and_the_rest_are_skipped():
    source, sink, ages = Counter(400, pause=0.002), Keeper(), []
    summary = run(source, recognizer(0.05, ages), [sink])
    numbers = [result.frame for _, result in sink.got]
    assert numbers == sorted(set(numbers))
    assert 3 <= summary.frames < 100
    # Never a stale picture: after 50 ms of work it is hardly older than these (a queue would make it 400 ms).
    assert sorted(ages)[len(ages) // 2] < 0.2
    assert min(summary.latencies) >= 50


def test_three_pictures_go_round():
    source = Counter(300, pause=0.001)
    run(source, recognizer(0.004), [Keeper()])
    assert 1 <= len(source.buffers) <= 3


def test_every_sink_gets_the_same_recognition():
    sinks = [Keeper(), Keeper()]
    run(Counter(3, live=False), recognizer(), sinks)
    assert [a is b for (_, a), (_, b) in zip(sinks[0].got, sinks[1].got)] == [True] * 3


@pytest.mark.parametrize("live", [True, False])
def test_the_loop_stops_after_so_many_frames(live):
    source, sink = Counter(10**9, live=live, pause=0.001), Keeper()
    assert run(source, recognizer(), [sink], frames=5).frames == 5
    assert len(sink.got) == 5 and source.closed == sink.closed == 1


@pytest.mark.parametrize("live", [True, False])
def test_the_loop_stops_after_so_many_seconds(live):
    source = Counter(10**9, live=live, pause=0.001)
    summary = run(source, recognizer(), [], seconds=0.2)
    assert 0.2 <= summary.seconds < 2 and summary.frames > 0


@pytest.mark.parametrize("live", [True, False])
def test_no_more_frames_a_second_than_are_wanted(live):
    source, sink = Counter(10**9, live=live, pause=0.001), Keeper()
    summary = run(source, recognizer(), [sink], seconds=1.02, max_fps=10)
    assert 5 <= summary.frames <= 11
    # What is recognised after the wait is new.
    assert not live or max(summary.latencies) < 90


def test_a_pause_between_frames_ends_with_the_run():
    start = time.monotonic()
    assert run(Counter(10**9, live=False), recognizer(), [], seconds=0.3, max_fps=0.01).frames == 1
    assert time.monotonic() - start < 2


@pytest.mark.parametrize("live", [True, False])
def test_an_error_of_the_source_is_raised_after_what_came_before_and_all_is_closed(live):
    source, sink = Counter(3, live=live, pause=0.02, error="the camera is gone"), Keeper()
    with pytest.raises(PicaptionError, match="the camera is gone"):
        run(source, recognizer(), [sink])
    assert len(sink.got) >= 1
    assert source.closed == sink.closed == 1


def test_an_error_of_the_recognizer_or_a_sink_closes_all():
    class Full(Keeper):
        def write(self, frame, recognition):
            raise PicaptionError("the disk is full")

    def broken(*_):
        raise PicaptionError("no model")

    for recognize, sinks, message in ((broken, [Keeper()], "no model"), (recognizer(), [Full(), Keeper()], "full")):
        source = Counter(10**9, pause=0.001)
        with pytest.raises(PicaptionError, match=message):
            run(source, recognize, sinks)
        assert source.closed == 1 and [sink.closed for sink in sinks] == [1] * len(sinks)


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_loop_cleanly(number, live):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    source, sink = Counter(10**9, live=live, pause=0.001), Keeper()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), number))
    timer.start()
    summary = run(source, recognizer(), [sink], seconds=10)
    assert 0 < summary.frames == len(sink.got) and summary.seconds < 5
    assert source.closed == sink.closed == 1
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))


def test_a_source_that_hangs_does_not_hold_the_loop():
    class Hanging(Counter):
        def read(self, into=None):
            if self.number == 2:
                release.wait(20)
            return super().read(into)

    release, source, sink = threading.Event(), Hanging(10**9, pause=0.02), Keeper()
    start = time.monotonic()
    run(source, recognizer(), [sink], seconds=0.3)
    assert time.monotonic() - start < 5
    assert sink.closed == 1 and source.closed == 0  # what hangs in read() is not closed under its feet
    release.set()


def test_the_summary_is_one_line():
    summary = Summary(40, 4.0, tuple(range(1, 41)))
    assert str(summary) == "40 frames in 4.0 s: 10.0 fps, latency 20 ms (90th percentile 36 ms)"
    assert str(Summary(0, 1.0, ())) == "no frame was recognised"
