"""The flash proof's own parts: the card that forgets, when updates are cut, what a new line is."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from picaption.device.outputs.jsonl import JsonLines
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.recognition.result import Caption, Recognition
from tools.flash_proof import card, cuts, guest
from tools.flash_proof.cuts import PowerCut, Recovery, Trial
from tools.flash_proof.machine import MachineError
from tools.flash_proof.proof import Proof
from tools.flash_proof.stages import run_trials

FLUSH, DISCARD = 1, 4


def entry(sector, data, flags=0, count=None):
    """Return an entry of a log of dm-log-writes, written by hand.

    Little-endian sector, count, flags and length, padded to a sector, and data.
    """
    fields = (sector, count or len(data) // 512, flags, 0)
    head = b"".join(field.to_bytes(8, "little") for field in fields)
    return head.ljust(512, b"\0") + data


class Always(random.Random):
    """A source of random numbers that are all the same."""

    def __init__(self, value):
        super().__init__()
        self.value = value

    def random(self):
        return self.value


@pytest.mark.parametrize("value, expected", [(0.1, "abbcd..."), (0.9, "abb.....")])
def test_writes_stay_up_to_the_last_flush_and_by_chance_after_it(tmp_path, value, expected):
    image = tmp_path / "card.img"
    log = tmp_path / "log"
    image.write_bytes(b"." * 8 * 512)
    log.write_bytes(
        bytes(512)
        + entry(0, b"x" * 512)
        + entry(0, b"a" * 512)
        + entry(7, b"", DISCARD, count=1)
        + entry(1, b"b" * 1024)
        + entry(0, b"", FLUSH)
        + entry(3, b"c" * 512)
        + entry(4, b"d" * 512)
        + entry(5, b"broken off" * 52)[:900]
    )
    lost, unflushed = card.apply_power_cut(image, log, Always(value))
    assert "".join(map(chr, image.read_bytes()[::512])) == expected
    assert (lost, unflushed) == (0 if expected.count(".") == 3 else 2, 2)


class RecordingMachine:
    """A machine that only records its commands."""

    def __init__(self):
        self.commands = []

    def run(self, command):
        self.commands.append(command)

    def wait(self, command, timeout, every):
        self.commands.append(command)


def test_every_other_cut_of_an_update_waits_for_the_swap():
    names = {"a.tar": "version-a", "b.tar": "version-b"}
    disturb = cuts.updating(names, 200, done=4, uniform=lambda low, high: (low, high))
    machine = RecordingMachine()
    assert [disturb(machine, runs) for runs in ("version-a", "version-b", "version-a")] == [
        ("the update's begin", (0, 200)),
        ("the swap's begin", (0, cuts.SWAP_SECONDS)),
        ("the update's begin", (0, 200)),
    ]
    assert [command.rpartition("/")[2] for command in machine.commands] == [
        "b.tar",
        "a.tar",
        "previous ]",
        "b.tar",
    ]


def make_trial(ran="old", runs="old", taken_back=False, seconds=70.0):
    cut = PowerCut("power on", 3.5, ran, lost=2, unflushed=5)
    return Trial(cut, Recovery(seconds, "a cat", taken_back, runs))


@pytest.mark.parametrize(
    "taken_back, runs, expected",
    [
        (False, "old", "the old version"),
        (True, "old", "the old version, taken back to at the next boot"),
        (False, "new", "the new version"),
    ],
)
def test_the_next_boot_shows_what_a_cut_update_left(taken_back, runs, expected):
    assert make_trial(runs=runs, taken_back=taken_back).update_outcome() == expected


def test_trials_go_on_until_there_are_enough_and_a_failure_is_stored(tmp_path):
    def trials():
        yield make_trial(seconds=80.0)
        raise MachineError("no answer")

    proof = Proof(tmp_path, cuts=3, port=0)
    with pytest.raises(MachineError, match="no answer"):
        run_trials(proof, "rough", "power cut", trials())
    assert proof.read_trials("rough") == [make_trial(seconds=80.0), None]
    row = run_trials(proof, "rough", "power cut", iter([make_trial()]))
    assert row == (
        "power cut",
        "2 of 3 times it came up captioning, 70 to 80 s after power on; 4 of 10 unflushed writes "
        "were lost",
    )


class LocalMachine:
    """This computer as a machine, on which a service writes a line while it is waited for."""

    def __init__(self, path):
        self.path = path
        self.met = []
        self.seconds = 7.0

    def shell(self, timeout):
        pass

    def run(self, command):
        return subprocess.run(
            ["sh", "-c", command], check=True, capture_output=True, text=True
        ).stdout.strip()

    def wait(self, condition, timeout):
        def look():
            self.met.append(subprocess.run(["sh", "-c", condition]).returncode == 0)

        look()
        lines = JsonLines(self.path)
        look()
        recognition = Recognition(Caption("a cat", ("a", "cat"), -1.0), (), (), {})
        lines.write(RecognizedFrame(None, recognition))
        look()
        lines.close()
        return self.seconds


@pytest.mark.parametrize(
    "left",
    [
        None,
        "",
        "{}\n",
        '{}\n{"a": {}',
        '{}\n{"a"',
        '{}\n{"a"\0\0',
        '{}\n{"a": {}\0',
        "{}\n\0\0",
        "\0",
    ],
)
def test_a_machine_captions_from_the_first_new_and_complete_line_on(tmp_path, left):
    path = tmp_path / "said.jsonl"
    if left is not None:
        path.write_text(left)
    machine = LocalMachine(path)
    seconds, line = guest.wait_for_caption(machine, 1, str(path))
    assert machine.met == [False, False, True]
    assert (seconds, line["caption"]["text"]) == (7.0, "a cat")


def test_the_program_lists_its_stages():
    root = Path(__file__).parents[2]
    result = subprocess.run(
        [sys.executable, "-m", "tools.flash_proof.prove", "work", "no-such-stage"],
        capture_output=True,
        text=True,
        cwd=root,
    )
    assert result.returncode == 2 and "rough_running" in result.stderr
    assert not (root / "work").exists()
