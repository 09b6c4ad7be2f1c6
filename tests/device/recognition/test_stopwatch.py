"""The stopwatch: stages in their order, which add up to the total."""

import time

import pytest

from picaption.device.recognition.stopwatch import Stopwatch


def test_stages_follow_each_other_and_add_up():
    stopwatch = Stopwatch()
    time.sleep(0.002)
    stopwatch.lap("encode")
    stopwatch.lap("caption")
    timings = stopwatch.timings()
    assert list(timings) == ["encode", "caption", "total"]
    assert timings["encode"] >= 2 and timings["caption"] >= 0
    assert timings["total"] == pytest.approx(timings["encode"] + timings["caption"])


def test_the_loops_times_surround_the_stages_and_are_not_in_the_total():
    stopwatch = Stopwatch(queue=5.0, output=0.25)
    stopwatch.lap("encode")
    timings = stopwatch.timings()
    assert list(timings) == ["queue", "encode", "total", "output"]
    assert (timings["queue"], timings["output"]) == (5.0, 0.25)
    assert timings["total"] == pytest.approx(timings["encode"])
