"""Fuzzing: a short run of every kind of input, and what it tells of a program that is wrong."""

import json
import mmap
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from picaption.device.errors import PicaptionError
from tools.fuzz import run as fuzz
from tools.fuzz.kind import Kind
from tools.fuzz.mutation import mutate_bytes, mutate_text

ROOT = Path(__file__).parents[2]
#: Inputs of each kind in a short run; the slow ones wait for sockets, or write files.
RUNS = {"requests": 60, "mqtt": 20, "videos": 60, "teach": 50}
MANY = 200


@pytest.mark.parametrize("name", [name for name in fuzz.KINDS if name != "bundles"])
def test_nothing_is_wrong_in_a_short_run(name):
    runs = RUNS.get(name, MANY)
    report = fuzz.run_kind(fuzz.KINDS[name], runs)
    assert {fault.name: fault.content for fault in report.faults.values()} == {}
    assert report.runs == runs == report.accepted + report.refused


def test_bundles_are_a_kind():  # A longer run of them is in test_fuzz_bundles.py.
    pytest.importorskip("ai_edge_litert.schema_py_generated")
    report = fuzz.run_kind(fuzz.KINDS["bundles"], 10)
    assert report.faults == {} and report.accepted >= 1 and report.runs == 10


def test_an_input_depends_on_seed_and_number_alone():
    for mutate in (mutate_bytes, mutate_text):
        kind = Kind(
            "any", lambda folder: [b"seed = 1\n" * 20], lambda content, folder: None, mutate
        )
        seeds = kind.seeds(Path())
        inputs = [fuzz.make_input(kind, seeds, 7, number) for number in range(100)]
        assert inputs == [fuzz.make_input(kind, seeds, 7, number) for number in range(100)]
        assert inputs[0] == seeds[0] and len(set(inputs)) > 80
        assert fuzz.make_input(kind, seeds, 8, 5) != inputs[5]


def use_badly(content, folder):
    """Do what the input says."""
    if b"refuse" in content:
        raise PicaptionError("no")
    if b"raise" in content:
        raise KeyError("yes")
    if b"kill" in content:
        os.kill(os.getpid(), signal.SIGKILL)
    if b"exit" in content:
        os._exit(3)
    if b"hang" in content:
        time.sleep(60)


def test_faults_are_counted_by_place_and_minimized(monkeypatch):
    monkeypatch.setattr(fuzz, "HANG_SECONDS", 1.0)
    inputs = [
        b"fine",
        b"refuse",
        b"..raise..",
        b".raise",
        b"kill",
        b"fine",
        b"exit",
        b"hang",
        b"fine",
    ]
    kind = Kind("bad", lambda folder: inputs, use_badly, mutate_bytes)
    report = fuzz.run_kind(kind, len(inputs))
    assert (report.runs, report.accepted, report.refused) == (9, 3, 1)
    faults = {name: (fault.count, fault.number) for name, fault in report.faults.items()}
    assert faults == {
        "KeyError in test_fuzz.py:use_badly": (2, 3),
        "SIGKILL": (1, 4),
        "exit code 3": (1, 6),
        "hang": (1, 7),
    }
    assert fuzz.minimize(kind, report.faults["KeyError in test_fuzz.py:use_badly"]) == b"raise"
    assert fuzz.minimize(kind, report.faults["SIGKILL"]) == b"kill"


def test_an_input_that_hangs_once_is_no_fault(monkeypatch, tmp_path):
    monkeypatch.setattr(fuzz, "HANG_SECONDS", 1.0)

    def hang_once(content, folder):
        if content == b"b" and not (tmp_path / "hung").exists():
            (tmp_path / "hung").touch()
            time.sleep(60)

    kind = Kind("busy", lambda folder: [b"a", b"b", b"c"], hang_once, mutate_bytes)
    report = fuzz.run_kind(kind, 3)
    assert (report.runs, report.accepted, report.faults) == (3, 3, {})


def test_memory_counts(monkeypatch):
    monkeypatch.setattr(fuzz, "MAX_MEGABYTES", 1)

    def take_memory(content, folder):
        # A fork may find 20 MB that its parent freed: pages of a new mapping are always new.
        with mmap.mmap(-1, 40 << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as pages:
            pages.write(b"x" * len(pages))

    kind = Kind("large", lambda folder: [b"a", b"b"], take_memory, mutate_bytes)
    assert {name: fault.count for name, fault in fuzz.run_kind(kind, 2).faults.items()} == {
        "memory": 2
    }


def test_mutations_of_nothing_are_possible():
    for number in range(200):
        for mutate in (mutate_bytes, mutate_text):
            assert isinstance(mutate(b"", random.Random(number)), bytes)


def test_the_command_prints_a_line_a_kind():
    command = [sys.executable, ROOT / "tools/fuzz/run.py", "--runs", "20", "arpa", "payloads"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["kind"], line["runs"], line["faults"]) for line in lines] == [
        ("arpa", 20, {}),
        ("payloads", 20, {}),
    ]
