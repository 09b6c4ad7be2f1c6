"""What two measurements say of one another: known ratios, noise, and files that are none."""

import json

import numpy as np
import pytest

from picaption.device.bench.compare import (
    compare,
    compare_files,
    ratio_of_medians,
    read_figures,
    verdict,
)
from picaption.device.errors import PicaptionError


def figures(rounds, **changed):
    run = {
        "runtime": "ai-edge-litert 2.3.0",
        "threads": 1,
        "source": "demo",
        "doubts": [],
        "steps": {"encode": {"rounds": rounds}},
    } | changed
    machine = {"board": None, "cores": 2, "cpu": "AMD EPYC", "system": "Debian", "kernel": "6.1"}
    return {
        "version": 1,
        "picaption": "0.1.0",
        "bundle": {"sha256": "a" * 64, "beam": 3},
        "machine": machine,
        "runs": [run],
    }


def test_a_ratio_of_steady_rounds_is_certain():
    assert ratio_of_medians([np.full(3, 2.0)] * 4, [np.full(5, 3.0)] * 4) == (1.5, 1.5, 1.5)


def test_rounds_are_drawn_not_calls():
    # Half of the rounds take 1 ms, half 2: drawn anew, nearly all may be of one kind, however many calls each has.
    rounds = [np.full(1000, 1.0)] * 5 + [np.full(1000, 2.0)] * 5
    ratio, low, high = ratio_of_medians(rounds, rounds)
    assert (ratio, low, high) == (1, 0.5, 2)


def test_a_drawn_median_is_that_of_the_calls():
    # Of rounds of unequal size: any draw of (1, 4) and (2, 2, 9) has one of these medians; the ratio is by a constant 1.
    _, low, high = ratio_of_medians([np.ones(1)], [np.array([4.0, 1.0]), np.array([9.0, 2.0, 2.0])])
    assert (low, high) == (2.0, 2.5)  # (1, 1, 4, 4): 2.5; (1, 2, 2, 4, 9) and (2, 2, 2, 2, 9, 9): 2


def test_the_interval_covers_a_true_ratio():
    random = np.random.default_rng(3)

    def measured(scale):
        drift = random.lognormal(0, 0.05, 20)
        return [scale * each * random.lognormal(0, 0.02, 25) for each in drift]

    inside = [
        low <= 1.1 <= high
        for _, low, high in (ratio_of_medians(measured(1), measured(1.1)) for _ in range(60))
    ]
    assert sum(inside) >= 55


@pytest.mark.parametrize(
    "ends, said",
    [
        ((0.9, 0.97), "faster"),
        ((0.9, 0.99), "within noise"),
        ((1.01, 1.5), "within noise"),
        ((1.03, 1.04), "slower"),
    ],
)
def test_a_verdict_keeps_a_margin(ends, said):
    assert verdict(*ends) == said
    assert verdict(*ends, doubtful=True) == said + ", doubtful" * (said != "within noise")


def test_lines_tell_the_change_and_what_else_is_different():
    before, after = (
        figures([[2.0, 2.0]] * 3),
        figures([[3.0]] * 3, runtime="ai-edge-litert 2.4.0", doubts=["hot"]),
    )
    assert compare(before, after) == [
        "runtimes differs: ai-edge-litert 2.3.0, then ai-edge-litert 2.4.0",
        "median, milliseconds                     before    after  ratio  99 % of ratios",
        "ai-edge-litert, threads 1, encode         2.000    3.000  1.500  1.500 to 1.500  slower, doubtful",
        "doubtful after, threads 1: hot",
    ]
    assert compare(before, before)[1].endswith("1.000  1.000 to 1.000  within noise")


def test_nothing_in_common():
    with pytest.raises(
        PicaptionError,
        match="no step with the same runtime and threads: measure both with the same --threads",
    ):
        compare(figures([[1.0]]), figures([[1.0]], threads=2))


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "holds no JSON"),
        ("[]", "is not what picaption bench --json writes"),
        ("{}", "is not what"),
        (
            json.dumps(figures([[1.0]]) | {"version": 2}),
            "has version 2, this picaption reads version 1: measure both",
        ),
        (json.dumps({"version": 1}), "is not what"),
        (json.dumps(figures([[1.0]]) | {"runs": 3}), "is not what"),
        (json.dumps(figures([])), "is not what"),
        (json.dumps(figures([[]])), "is not what"),
        (json.dumps(figures([[0.0]])), "is not what"),
        (json.dumps(figures([["a"]])), "is not what"),
        (json.dumps(figures([[1.0]], doubts=3)), "is not what"),
        (json.dumps(figures([[1.0]], steps=[1])), "is not what"),
        (json.dumps(figures([[1.0]]) | {"machine": None}), "is not what"),
        (json.dumps(figures([[1.0]]) | {"bundle": {"sha256": 3, "beam": 3}}), "is not what"),
    ],
)
def test_files_that_are_no_measurement(tmp_path, text, said):
    path = tmp_path / "b.json"
    path.write_text(text)
    with pytest.raises(PicaptionError, match=said) as raised:
        read_figures(path)
    assert "\n" not in str(raised.value) and str(path) in str(raised.value)


def test_files_are_read_in_their_order(tmp_path):
    for name, spent in (("a", 2.0), ("b", 1.0)):
        (tmp_path / name).write_text(json.dumps(figures([[spent]])))
    assert compare_files(tmp_path / "a", tmp_path / "b")[-1].endswith(
        "0.500  0.500 to 0.500  faster"
    )
