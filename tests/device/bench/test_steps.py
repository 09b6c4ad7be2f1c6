"""How a step is measured: its rounds, its warm-up, and the figures of times that are known."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from picaption.device import Recognizer
from picaption.device.bench.steps import (
    Plan,
    doubts_about_steps,
    frame_steps,
    round_budgets,
    spread_indices,
    summarize_step,
    time_calls,
    warm_up,
)
from picaption.device.bundle.bundle import default_bundle
from picaption.device.sources.demo_frames import Demo


def plan(seconds=0.0, count=0):
    return Plan("", "ai-edge-litert", 1, None, seconds, count, "demo", 0.0)


class Clock:
    """A clock that only steps move."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    def step(self, *seconds):
        """Return a step whose calls take these seconds, and from then on the last of them."""
        left = list(seconds)

        def call():
            self.now += left.pop(0) if len(left) > 1 else left[0]

        return call


@pytest.fixture
def clock():
    return Clock()


def test_calls_are_timed_one_after_the_other(clock):
    assert list(time_calls(clock.step(0.25, 0.5, 1.0), 0, 3, clock)) == [250, 500, 1000]
    # Half a second is over with the second call, and every call counts.
    assert list(time_calls(clock.step(0.25, 0.25), 0.5, 0, clock)) == [250, 250]
    assert list(time_calls(clock.step(8.0), 0.5, 0, clock)) == [8000]


def test_a_step_warms_up_until_two_windows_are_alike(clock):
    # Windows of 1/8 s: the medians 1/8, 1/16 and 1/16 s; the last two are alike.
    assert warm_up(clock.step(0.125, 0.0625), 0.125, clock) == (5, True)
    restless = clock.step(*(0.125 * 2**index for index in range(40)))
    assert warm_up(restless, 0.125, clock) == (30, False)


def test_rounds_share_time_or_calls():
    assert round_budgets(plan(seconds=5)) == [(0.25, 0)] * 20
    assert round_budgets(plan(count=3)) == [(0, 1)] * 3
    assert [calls for _, calls in round_budgets(plan(count=45))] == [3] * 5 + [2] * 15


def test_figures_are_of_every_call():
    # 1 to 100 ms in two rounds: medians 25.5 and 75.5, whose percentiles 10 and 90 lie at 30.5
    # and 70.5.
    step = summarize_step([range(1, 51), range(51, 101)], 200.0, 7)
    assert step.first == 200.0
    assert step.mean == 50.5
    assert (step.p50, step.p90, step.p95, step.p99) == (50.5, 90.1, 95.05, 99.01)
    assert step.max == 100.0
    assert (step.count, step.warm_up, step.steady) == (100, 7, True)
    assert step.per_second == 19.8
    assert step.varied_percent == 79.21
    assert [len(calls) for calls in step.rounds] == [25, 25]
    assert step.rounds[0][0] == 1
    assert step.rounds[1][-1] == 100


def test_frames_of_a_camera_have_its_rate():
    step = summarize_step([[5.0]], None, 10, rate=24.987)
    assert (step.per_second, step.first, step.varied_percent) == (24.99, None, 0)


def test_single_calls_are_evenly_spaced():
    assert spread_indices(3) == [0, 1, 2]
    assert spread_indices(49) == list(range(0, 49, 2))


def test_steps_that_vary_are_doubtful():
    calm = replace(summarize_step([[5.0]], None, 1), varied_percent=5.0)
    wild = replace(calm, steady=False, varied_percent=12.3)
    assert doubts_about_steps({"encode": calm}) == []
    assert doubts_about_steps({"encode": wild, "frame": calm}) == [
        "encode did not become steady before being measured",
        "from round to round varied encode by 12 %",
    ]


class Recorder(Recognizer):
    """A recognizer that notes the images it is called with."""

    images = ()

    def __call__(self, image, *arguments, **options):
        self.images = (*self.images, image)
        return super().__call__(image, *arguments, **options)


def test_the_steps_are_what_a_frame_goes_through():
    recognizer = Recorder(default_bundle(), 1)
    images = [Demo().frame(0), Demo().frame(100)]
    steps = frame_steps(recognizer, images)
    assert list(steps) == ["preprocess", "encode", "next_word", "caption", "classify", "frame"]
    assert steps["preprocess"]().shape == (288, 288, 3)
    first, second = (recognizer(image) for image in images)
    assert first.caption != second.caption
    assert steps["caption"]() == first.caption
    assert steps["caption"]() == second.caption
    assert steps["next_word"]().shape == (3, len(recognizer.model.vocabulary))
    classes = steps["classify"]()
    assert recognizer.model.labels[int(np.argmax(classes))] == first.classes[0].name
    recognizer.images = ()
    for _ in range(3):
        steps["frame"]()
    shown = [images[0], images[1], images[0]]
    assert [actual is image for actual, image in zip(recognizer.images, shown)] == [True] * 3


def test_a_bundle_that_only_encodes_has_fewer_steps():
    model = SimpleNamespace(encode=lambda image: "encoded", vocabulary=None, labels=())
    recognizer = SimpleNamespace(
        model=model, prepare=lambda image, buffers=None: image, word_evidence=lambda encoded: None
    )
    assert list(frame_steps(recognizer, ["image"])) == ["preprocess", "encode", "frame"]
