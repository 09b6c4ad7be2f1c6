"""The rough part: power fails at a random moment, and what comes up then is looked at.

The card forgets what was not flushed (see card.py).
"""

import itertools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from . import guest
from .machine import BOARDS, Machine

CURRENT = "readlink /opt/picaption/current"
#: An update makes this link right before it changes `current`, and removes it when the new version
#: is found to work; the unit takes the update back at a boot that finds it.
PREVIOUS = "/opt/picaption/previous"
ROLLBACK_UNIT = "picaption-rollback"
#: Seconds from then on within which every other cut of an update comes: the links change, the new
#: version is started.
SWAP_SECONDS = 6
#: Two updates that take turns, as the card's boot partition holds them.
UPDATES = ("update-a.tar", "update-b.tar")
_START_UPDATE = (
    "systemctl reset-failed update 2>/dev/null; "
    "systemd-run --quiet --unit=update picaption update /boot/firmware/{}"
)


@dataclass(frozen=True)
class PowerCut:
    """A power cut of a machine.

    Attributes:
        since: what the time is measured from, in words.
        after: seconds since then.
        ran: the version that ran; "" at a first boot.
        lost: how many writes the card has forgotten.
        unflushed: out of how many that were not flushed.
    """

    since: str
    after: float
    ran: str
    lost: int
    unflushed: int


@dataclass(frozen=True)
class Recovery:
    """The boot after a power cut.

    Attributes:
        seconds: from power on until it captioned.
        caption: the first caption.
        taken_back: whether the boot took an update back.
        runs: the version that runs.
    """

    seconds: float
    caption: str
    taken_back: bool
    runs: str


@dataclass(frozen=True)
class Trial:
    """A power cut and the boot after it."""

    cut: PowerCut
    recovery: Recovery

    def to_json(self) -> dict[str, Any]:
        """Return the trial as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Trial":
        """Return the trial that `to_json` has made plain."""
        return cls(PowerCut(**values["cut"]), Recovery(**values["recovery"]))

    def update_outcome(self) -> str:
        """Return what the cut of an update has left, in words."""
        if self.recovery.taken_back:
            return "the old version, taken back to at the next boot"
        if self.recovery.runs == self.cut.ran:
            return "the old version"
        return "the new version"


#: Disturbs a machine on which a version runs; returns since when, in words, and after how many
#: seconds the cut comes.
Disturbance = Callable[[Machine, str], tuple[str, float]]


def _rough_machine(work: Path, card: Path, log: Path) -> Machine:
    """Return a machine with a card that forgets."""
    return Machine(work, card, BOARDS["virt"], log, rough=True)


def _cut_power(machine: Machine, since: str, after: float, ran: str = "") -> PowerCut:
    time.sleep(after)
    lost, unflushed = machine.cut()
    return PowerCut(since, round(after, 1), ran, lost, unflushed)


def recover(machine: Machine, timeout: float) -> Recovery:
    """Wait until a machine captions, for `timeout` seconds at most."""
    seconds, line = guest.wait_for_caption(machine, timeout)
    condition = machine.run(f"systemctl show --property=ConditionResult --value {ROLLBACK_UNIT}")
    return Recovery(
        seconds=round(seconds, 1),
        caption=line["caption"]["text"],
        taken_back=condition == "yes",
        runs=machine.run(CURRENT).rpartition("/")[2],
    )


def cut_first_boots(
    work: Path, make_card: Callable[[], Path], log: Path, longest: float
) -> Iterator[Trial]:
    """Cut first boots, each of a new card, and yield the Trials, for ever.

    Args:
        work: the folder of the proof.
        make_card: returns the path of a new card.
        log: the file for the machines' serial lines.
        longest: seconds within which the cut comes.
    """
    while True:
        card = make_card()
        with _rough_machine(work, card, log) as machine:
            cut = _cut_power(machine, "power on", random.uniform(2, longest))
        with _rough_machine(work, card, log) as machine:
            yield Trial(cut, recover(machine, guest.FIRST_BOOT_SECONDS))


def cut_boots(work: Path, card: Path, log: Path, disturb: Disturbance) -> Iterator[Trial]:
    """Cut a card's machine again and again while it captions, and yield the Trials, for ever.

    Args:
        work: the folder of the proof.
        card: the path of the card's image.
        log: the file for the machine's serial line.
        disturb: what happens to the machine before the cut.
    """
    cut = None
    while True:
        with _rough_machine(work, card, log) as machine:
            recovery = recover(machine, guest.LATER_BOOT_SECONDS)
            if cut:
                yield Trial(cut, recovery)
            since, after = disturb(machine, recovery.runs)
            cut = _cut_power(machine, since, after, recovery.runs)


def let_caption(machine: Machine, runs: str) -> tuple[str, float]:
    """Let a machine caption, for a minute at most: a Disturbance."""
    return "a caption", random.uniform(0, 60)


def updating(
    names: Mapping[str, str],
    longest: float,
    done: int,
    uniform: Callable[[float, float], float] = random.uniform,
) -> Disturbance:
    """Return a Disturbance that starts an update.

    Every other cut comes within the time that an update takes, the others around the moment when
    the new version becomes the current one.

    Args:
        names: what the updates' versions are called, by file.
        longest: seconds that an update takes.
        done: how many cuts there were before.
        uniform: draws the seconds between two limits.
    """
    indexes = itertools.count(done)

    def disturb(machine: Machine, runs: str) -> tuple[str, float]:
        start_update(machine, runs, names)
        if next(indexes) % 2 == 0:
            return "the update's begin", uniform(0, longest)
        machine.wait(f"[ -L {PREVIOUS} ]", guest.FIRST_BOOT_SECONDS, every=0.1)
        return "the swap's begin", uniform(0, SWAP_SECONDS)

    return disturb


def start_update(machine: Machine, runs: str, names: Mapping[str, str]) -> None:
    """Start an update to another version than the one that runs."""
    file = next(file for file, name in names.items() if name != runs)
    machine.run(_START_UPDATE.format(file))
