"""The rough part: power that fails at a random moment, on a card that forgets what was not flushed, and what comes up then."""

import random
import time
from dataclasses import dataclass

import guest
from machine import BOARDS, Machine

CURRENT = "readlink /opt/picaption/current"
#: Two updates that take turns, as the card's boot partition holds them.
UPDATES = "update-a.tar", "update-b.tar"
BEGIN = "systemctl reset-failed update 2>/dev/null; systemd-run --quiet --unit=update picaption update /boot/firmware/{}"


@dataclass(frozen=True)
class Cut:
    """A power cut `after` so many seconds of what it disturbed; how many writes were `lost`, out of so many `unflushed` ones;
    in how many `seconds` from power on the next boot captioned, what it `said`, and which version `runs` then."""

    after: float
    lost: int
    unflushed: int
    seconds: float
    said: str
    runs: str


def power(work, card, log):
    """Return a Machine with a card that forgets."""
    return Machine(work, card, BOARDS["virt"], log, rough=True)


def cut(machine, after):
    """Cut a machine's power after so many seconds; return what a Cut tells of it."""
    time.sleep(after)
    lost, unflushed = machine.cut()
    return {"after": round(after, 1), "lost": lost, "unflushed": unflushed}


def up(machine, timeout):
    """Wait until a machine captions; return what a Cut tells of it."""
    seconds, line = guest.captioning(machine, timeout)
    return {"seconds": round(seconds, 1), "said": line["caption"]["text"], "runs": machine.run(CURRENT).rpartition("/")[2]}


def first_boots(work, fresh, log, longest):
    """Cut first boots within their `longest` seconds, each of a new card that `fresh` makes; give the Cuts, for ever."""
    while True:
        card = fresh()
        with power(work, card, log) as machine:
            done = cut(machine, random.uniform(2, longest))
        with power(work, card, log) as machine:
            yield Cut(**done, **up(machine, guest.FIRST))


def boots(work, card, log, disturb):
    """Cut a card's machine again and again while it captions and is disturbed; give the Cuts, for ever.

    disturb: called with the machine and the version that runs, and returns within how many seconds the cut is to come.
    """
    done = None
    while True:
        with power(work, card, log) as machine:
            found = up(machine, guest.LATER)
            if done:
                yield Cut(**done, **found)
            done = cut(machine, random.uniform(0, disturb(machine, found["runs"])))


def update(machine, runs, names, longest):
    """Begin an update to another version than the one that runs; return the seconds that an update takes at most."""
    machine.run(BEGIN.format(next(file for file, name in names.items() if name != runs)))
    return longest
