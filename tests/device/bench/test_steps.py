"""How a step is measured: its rounds, its warm-up, and the figures of times that are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from picaption.device import Recognizer
from picaption.device.bench import steps
from picaption.device.bench.steps import Plan, Step, shares, spread, steps_of, timed, warm_up
from picaption.device.bundle.bundle import default_bundle
from picaption.device.sources.sources import Demo


def plan(seconds=0.0, count=0):
    return Plan("", 0, 1, None, seconds, count, "demo", 0.0)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only a step moves, by as many seconds as it says."""
    now = [0.0]
    monkeypatch.setattr(steps.time, "perf_counter", lambda: now[0])

    def step(*seconds):
        left = list(seconds)

        def call():
            now[0] += left.pop(0) if len(left) > 1 else left[0]

        return call

    return step


def test_calls_are_timed_one_after_the_other(clock):
    assert list(timed(clock(0.25, 0.5, 1.0), 0, 3)) == [250, 500, 1000]
    # Half a second is over with the second call, and every call counts.
    assert list(timed(clock(0.25, 0.25), 0.5, 0)) == [250, 250]
    assert list(timed(clock(8.0), 0.5, 0)) == [8000]


def test_a_step_warms_up_until_two_windows_are_alike(clock, monkeypatch):
    # Windows of 1/8 s: the medians 1/8, 1/16 and 1/16 s; the last two are alike.
    monkeypatch.setattr(steps, "WINDOW", 0.125)
    assert warm_up(clock(0.125, 0.0625)) == (5, True)
    assert warm_up(clock(*(0.125 * 2**number for number in range(40)))) == (30, False)


def test_rounds_share_time_or_calls():
    assert shares(plan(seconds=5)) == [(0.25, 0)] * 20
    assert shares(plan(count=3)) == [(0, 1)] * 3
    assert [calls for _, calls in shares(plan(count=45))] == [3] * 5 + [2] * 15


def test_figures_are_of_every_call():
    # 1 to 100 ms in two rounds: medians 25.5 and 75.5, whose percentiles 10 and 90 lie at 30.5 and 70.5.
    figures = Step((list(range(1, 51)), list(range(51, 101))), 200.0, 7).figures()
    assert {
        name: figures[name] for name in ("first", "mean", "p50", "p90", "p95", "p99", "max")
    } == {
        "first": 200.0,
        "mean": 50.5,
        "p50": 50.5,
        "p90": 90.1,
        "p95": 95.05,
        "p99": 99.01,
        "max": 100.0,
    }
    assert (figures["count"], figures["warm_up"], figures["steady"]) == (100, 7, True)
    assert figures["per_second"] == 19.8 and figures["varied_percent"] == 79.21
    assert [len(each) for each in figures["rounds"]] == [25, 25]
    assert figures["rounds"][0][0] == 1 and figures["rounds"][1][-1] == 100


def test_frames_of_a_camera_have_its_rate():
    figures = Step(([5.0],), None, 10, rate=24.987).figures()
    assert (figures["per_second"], figures["first"], figures["varied_percent"]) == (24.99, None, 0)


def test_kept_calls_are_evenly_spaced():
    assert list(spread(3)) == [0, 1, 2]
    assert spread(49) == list(range(0, 49, 2))


def test_the_steps_are_what_a_frame_goes_through(monkeypatch):
    recognizer = Recognizer(default_bundle(), 1)
    images = [Demo().frame(0), Demo().frame(100)]
    steps, seen = steps_of(recognizer, images), []
    assert list(steps) == ["preprocess", "encode", "next_word", "caption", "classify", "frame"]
    assert steps["preprocess"]().shape == (224, 224, 3)
    whole = recognizer(images[0])
    assert steps["caption"]()[0] == whole.caption
    assert steps["caption"]()[0] == recognizer(images[1]).caption != whole.caption
    assert steps["next_word"]().shape == (3, len(recognizer.model.vocabulary))
    classes = steps["classify"]()
    assert recognizer.model.labels[int(np.argmax(classes))] == whole.classes[0].name
    monkeypatch.setattr(Recognizer, "__call__", lambda self, image: seen.append(image))
    steps["frame"](), steps["frame"](), steps["frame"]()
    assert [each is image for each, image in zip(seen, [*images, images[0]])] == [True] * 3


def test_a_bundle_that_only_encodes_has_fewer_steps():
    model = SimpleNamespace(encode=lambda picture: "encoded", vocabulary=None, labels=())
    recognizer = SimpleNamespace(
        model=model, prepare=lambda image, kept=None: image, evidence=lambda encoded: None
    )
    assert list(steps_of(recognizer, ["image"])) == ["preprocess", "encode", "frame"]
