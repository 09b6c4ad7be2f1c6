"""What two measurements say of one another: known ratios, noise, and files that are none."""

import json

import numpy as np
import pytest

from picaption.device.bench.compare import (
    compare,
    compare_files,
    ratio_of_medians,
    read_report,
    verdict,
)
from picaption.device.errors import PicaptionError
from tests.device.fakes.bench_reports import make_report, make_run


def report(rounds, **changes):
    """Return a report of one run, whose step `encode` took these rounds."""
    return make_report(make_run({"encode": rounds}, **changes))


def text(rounds=((1.0,),), run=None, **changes):
    """Return the JSON of a report of one run; the changes are to its dicts."""
    figures = report([[1.0]]).to_json() | changes
    if "runs" not in changes:
        figures["runs"][0]["steps"]["encode"]["rounds"] = rounds
        figures["runs"][0] |= run or {}
    return json.dumps(figures)


def test_a_ratio_of_steady_rounds_is_certain():
    assert ratio_of_medians([np.full(3, 2.0)] * 4, [np.full(5, 3.0)] * 4) == (1.5, 1.5, 1.5)


def test_rounds_are_drawn_not_calls():
    # Half of the rounds take 1 ms, half 2: resampled, nearly all may be alike, however many calls
    # a round has.
    rounds = [np.full(1000, 1.0)] * 5 + [np.full(1000, 2.0)] * 5
    ratio, low, high = ratio_of_medians(rounds, rounds)
    assert (ratio, low, high) == (1, 0.5, 2)


def test_a_drawn_median_is_that_of_the_calls():
    # Of rounds of unequal size: any draw of (1, 4) and (2, 2, 9) has one of these medians; the
    # ratio is by a constant 1.
    _, low, high = ratio_of_medians([np.ones(1)], [np.array([4.0, 1.0]), np.array([9.0, 2.0, 2.0])])
    assert (low, high) == (2.0, 2.5)  # (1, 1, 4, 4): 2.5; (1, 2, 2, 4, 9) and (2, 2, 2, 2, 9, 9): 2


def test_the_interval_covers_a_true_ratio():
    random = np.random.default_rng(3)

    def measured(scale):
        drift = random.lognormal(0, 0.05, 20)
        return [scale * level * random.lognormal(0, 0.02, 25) for level in drift]

    inside = [
        low <= 1.1 <= high
        for _, low, high in (ratio_of_medians(measured(1), measured(1.1)) for _ in range(60))
    ]
    assert sum(inside) >= 55


@pytest.mark.parametrize(
    "limits, change",
    [
        ((0.9, 0.97), "faster"),
        ((0.9, 0.99), "within noise"),
        ((1.01, 1.5), "within noise"),
        ((1.03, 1.04), "slower"),
    ],
)
def test_a_verdict_keeps_a_margin(limits, change):
    assert verdict(*limits) == change
    doubtful = change if change == "within noise" else f"{change}, doubtful"
    assert verdict(*limits, doubtful=True) == doubtful


def test_lines_tell_the_change_and_what_else_is_different():
    before = report([[2.0, 2.0]] * 3)
    after = report([[3.0]] * 3, runtime="ai-edge-litert 2.4.0", doubts=("hot",))
    assert compare(before, after) == [
        "runtimes differs: ai-edge-litert 2.3.0, then ai-edge-litert 2.4.0",
        "median, milliseconds                     before    after  ratio  99 % of ratios",
        "ai-edge-litert, threads 1, encode         2.000    3.000  1.500  1.500 to 1.500  slower, "
        "doubtful",
        "doubtful after, threads 1: hot",
    ]
    assert compare(before, before)[1].endswith("1.000  1.000 to 1.000  within noise")


def test_nothing_in_common():
    with pytest.raises(
        PicaptionError,
        match="no step with the same runtime and threads: measure both with the same --threads",
    ):
        compare(report([[1.0]]), report([[1.0]], threads=2))


@pytest.mark.parametrize(
    "content, message",
    [
        ("{", "holds no JSON"),
        ("[]", "is not what picaption bench --json writes"),
        ("{}", "is not what"),
        (text(version=2), "has version 2, this picaption reads version 1: measure both"),
        (json.dumps({"version": 1}), "is not what"),
        (text(runs=3), "is not what"),
        (text([]), "is not what"),
        (text([[]]), "is not what"),
        (text([[0.0]]), "is not what"),
        (text([["a"]]), "is not what"),
        (text(run={"doubts": 3}), "is not what"),
        (text(run={"steps": [1]}), "is not what"),
        (text(machine=None), "is not what"),
        (text(bundle={"sha256": 3, "beam": 3}), "is not what"),
        (text(bundle=report([[1.0]]).to_json()["bundle"] | {"sha256": 3}), "is not what"),
    ],
)
def test_files_that_are_no_measurement(tmp_path, content, message):
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(PicaptionError, match=message) as raised:
        read_report(path)
    assert "\n" not in str(raised.value)
    assert str(path) in str(raised.value)


def test_files_are_read_in_their_order(tmp_path):
    (tmp_path / "a").write_text(text([[2.0]]))
    (tmp_path / "b").write_text(text([[1.0]]))
    lines = compare_files(tmp_path / "a", tmp_path / "b")
    assert lines[-1].endswith("0.500  0.500 to 0.500  faster")
