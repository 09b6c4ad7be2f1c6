"""The program that counts instructions: what it tells, and that its steps run."""

import json
import shutil

import pytest

from tools import instructions


@pytest.mark.parametrize("name", instructions.STEPS)
def test_every_step_runs(name):
    instructions.run_step(name, 1)


def test_a_step_takes_the_difference_of_many_and_few(monkeypatch):
    totals = {instructions.FEW: 1_000_200, instructions.STEPS["encode"]: 1_001_200}
    monkeypatch.setattr(instructions, "count", lambda name, repetitions: totals[repetitions])
    assert instructions.measure("encode") == 100


def test_more_than_a_hundredth_is_told():
    before = {"encode": 1000, "caption": 1000, "classify": 1000}
    after = {"encode": 1010, "caption": 989, "classify": 1011, "frame": 5}
    assert instructions.compare(before, after) == [
        "caption: 1000 instructions before, 989 now (-1.1%)",
        "classify: 1000 instructions before, 1011 now (+1.1%)",
    ]


def test_the_figures_that_are_checked_in_are_of_every_step():
    saved = json.loads(instructions.FIGURES.read_text())
    assert set(saved["figures"]) == set(instructions.STEPS)
    assert min(saved["figures"].values()) > 1000 and set(saved["versions"]) == set(
        instructions.versions()
    )


@pytest.mark.skipif(not shutil.which("valgrind"), reason="valgrind is not installed")
def test_a_step_is_counted_with_valgrind(monkeypatch):
    monkeypatch.setitem(instructions.STEPS, "classify", 52)
    figure = instructions.measure("classify")
    # A matrix of 2 x 32 and a softmax, and what Python and the runtime do around them.
    assert 10_000 < figure < 1_000_000
