"""The card of tools/flash_proof that forgets what was not flushed, against a log that is written by hand; when updates are cut; and what a new line is."""

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools/flash_proof"))

import card  # noqa: E402
import cuts  # noqa: E402
import guest  # noqa: E402

from picaption.device.outputs.jsonl import JsonLines  # noqa: E402
from picaption.device.outputs.sink import RecognizedFrame  # noqa: E402
from picaption.device.recognition.result import Caption, Recognition  # noqa: E402

FLUSH, DISCARD = 1, 4


def entry(sector, data, flags=0, count=None):
    """Return an entry of a log of dm-log-writes: little-endian sector, count, flags and length, padded to a sector, and data."""
    head = b"".join(
        number.to_bytes(8, "little") for number in (sector, count or len(data) // 512, flags, 0)
    )
    return head.ljust(512, b"\0") + data


@pytest.mark.parametrize("kept, expected", [(0.1, "abbcd..."), (0.9, "abb.....")])
def test_all_is_kept_up_to_the_last_flush_and_by_chance_what_came_later(
    tmp_path, monkeypatch, kept, expected
):
    monkeypatch.setattr(card.random, "random", lambda: kept)
    image, log = tmp_path / "card.img", tmp_path / "log"
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
    lost, unflushed = card.forget(image, log)
    assert "".join(map(chr, image.read_bytes()[::512])) == expected
    assert (lost, unflushed) == (0 if expected.count(".") == 3 else 2, 2)


class Told:
    """A machine that only notes what it is told."""

    def __init__(self):
        self.commands = []

    def run(self, command):
        self.commands.append(command)

    def wait(self, command, timeout, every):
        self.commands.append(command)


def test_every_other_cut_of_an_update_waits_for_the_swap(monkeypatch):
    monkeypatch.setattr(cuts.random, "uniform", lambda low, high: (low, high))
    disturb = cuts.updating({"a.tar": "version-a", "b.tar": "version-b"}, 200, done=4)
    machine = Told()
    assert [disturb(machine, runs) for runs in ("version-a", "version-b", "version-a")] == [
        ("the update's begin", (0, 200)),
        ("the swap's begin", (0, cuts.SWAP)),
        ("the update's begin", (0, 200)),
    ]
    assert [command.rpartition("/")[2] for command in machine.commands] == [
        "b.tar",
        "a.tar",
        "previous ]",
        "b.tar",
    ]


@pytest.mark.parametrize(
    "back, runs, expected",
    [
        (False, "old", "the old version"),
        (True, "old", "the old version, taken back to at the next boot"),
        (False, "new", "the new version"),
    ],
)
def test_what_a_cut_update_left_is_told_by_the_next_boot(back, runs, expected):
    assert cuts.left({"back": back, "ran": "old", "runs": runs}) == expected


class Here:
    """This computer as a machine, on which a service starts, and then writes a line, while a condition is waited for."""

    def __init__(self, path):
        self.path, self.met, self.seconds = path, [], 7.0

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
def test_a_machine_captions_from_the_first_line_on_that_is_new_and_whole(
    tmp_path, monkeypatch, left
):
    path = tmp_path / "said.jsonl"
    if left is not None:
        path.write_text(left)
    monkeypatch.setattr(guest, "SAID", str(path))
    here = Here(path)
    seconds, line = guest.captioning(here, 1)
    assert here.met == [False, False, True]
    assert (seconds, line["caption"]["text"]) == (7.0, "a cat")
