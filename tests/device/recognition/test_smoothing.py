"""Averages over time and two thresholds, by hand."""

import math

import numpy as np
import pytest

from picaption.device.recognition.smoothing import Smoother


def scores(*values):
    return np.array(values, np.float32)


def test_averages_by_hand():
    smoother = Smoother(0.5, seconds=2.0)
    smoother.add(scores(1.0, 0.0), 10.0)
    assert smoother.scores.tolist() == [1, 0]
    smoother.add(scores(0.0, 1.0), 12.0)
    assert smoother.scores.tolist() == pytest.approx([math.exp(-1), 1 - math.exp(-1)])
    smoother.add(scores(0.0, 1.0), 12.0)  # no time has passed
    assert smoother.scores.tolist() == pytest.approx([math.exp(-1), 1 - math.exp(-1)])
    smoother.add(scores(0.0, 1.0), 3.0)  # nor backwards
    assert smoother.scores.tolist() == pytest.approx([math.exp(-1), 1 - math.exp(-1)])


def test_a_name_that_is_on_stays_so_down_to_the_lower_threshold():
    smoother, states = Smoother(0.5, seconds=0.0), []
    for now, score in enumerate((0.49, 0.51, 0.49, 0.36, 0.34, 0.49, 0.5)):
        smoother.add(scores(score), float(now))
        states.append(bool(smoother.on[0]))
    assert states == [False, True, True, True, False, False, True]


def test_noise_about_the_threshold_does_not_flicker():
    random, smoother, states = np.random.default_rng(0), Smoother(0.5, seconds=0.5), []
    for frame in range(300):
        smoother.add(scores(random.normal(0.5, 0.15)), frame / 30)
        states.append(bool(smoother.on[0]))
    assert sum(a != b for a, b in zip(states, states[1:])) <= 1


def test_the_best_gives_way_only_to_one_that_is_clearly_better():
    smoother, best = Smoother(0.5, seconds=0.0), []
    for now, other in enumerate((0.6, 0.75, 0.84, 0.86)):
        smoother.add(scores(0.7, other), float(now))
        best.append(smoother.ranked(2)[0])
    assert best == [0, 0, 0, 1]


def test_names_that_are_on_come_first():
    smoother = Smoother(0.5, seconds=0.0)
    smoother.add(scores(0.6, 0.1, 0.2), 0.0)
    smoother.add(scores(0.4, 0.1, 0.45), 1.0)
    assert (
        smoother.ranked(2) == [0, 2]
        and smoother.ranked_on(2) == [0]
        and smoother.on.tolist() == [True, False, False]
    )


def test_another_scene_begins_from_nothing():
    smoother = Smoother(0.5, seconds=60.0)
    smoother.add(scores(0.9, 0.0), 0.0)
    smoother.add(scores(0.4, 0.6), 0.1, restart=True)
    assert smoother.scores.tolist() == pytest.approx([0.4, 0.6]) and smoother.on.tolist() == [
        False,
        True,
    ]
    assert smoother.ranked(1) == [1]


def test_no_scores_at_all():
    smoother = Smoother(0.5, seconds=1.0)
    smoother.add(scores(), 0.0)
    assert smoother.ranked(3) == smoother.ranked_on(3) == []
