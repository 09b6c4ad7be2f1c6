"""The program that counts instructions: what it tells, and that its steps run.

`.ci/run` runs it where there is valgrind.
"""

import json
import sys

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


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["frames"], "there is no step frames"),
        (["--write", "frame"], "--write is about all steps: name none"),
    ],
)
def test_steps_that_cannot_be_measured(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["instructions.py", *arguments])
    with pytest.raises(SystemExit) as stop:
        instructions.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.endswith(f"error: {message}\n")
