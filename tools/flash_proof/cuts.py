"""The rough part: power that fails at a random moment, on a card that forgets what was not flushed, and what comes up then."""

import itertools
import random
import time
from dataclasses import dataclass

import guest
from machine import BOARDS, Machine

CURRENT = "readlink /opt/picaption/current"
#: An update makes this link right before it changes `current`, and removes it when the new version is found to work; the unit takes
#: the update back at a boot that finds it.
PREVIOUS, TAKE_BACK = "/opt/picaption/previous", "picaption-rollback"
#: Seconds from then on within which every other cut of an update comes: the links change, the new version is started.
SWAP = 6
#: Two updates that take turns, as the card's boot partition holds them.
UPDATES = "update-a.tar", "update-b.tar"
BEGIN = "systemctl reset-failed update 2>/dev/null; systemd-run --quiet --unit=update picaption update /boot/firmware/{}"


@dataclass(frozen=True)
class Cut:
    """A power cut `after` so many seconds, `since` what, of a machine on which a version `ran`, or none; how many writes were
    `lost`, out of so many `unflushed` ones; in how many `seconds` from power on the next boot captioned, what it `said`, whether
    it took an update `back`, and which version `runs` then."""

    since: str
    after: float
    ran: str
    lost: int
    unflushed: int
    seconds: float
    said: str
    back: bool
    runs: str


def power(work, card, log):
    """Return a Machine with a card that forgets."""
    return Machine(work, card, BOARDS["virt"], log, rough=True)


def cut(machine, since, after, ran=""):
    """Cut a machine's power after so many seconds; return what a Cut tells of it."""
    time.sleep(after)
    lost, unflushed = machine.cut()
    return {
        "since": since,
        "after": round(after, 1),
        "ran": ran,
        "lost": lost,
        "unflushed": unflushed,
    }


def up(machine, timeout):
    """Wait until a machine captions; return what a Cut tells of it."""
    seconds, line = guest.captioning(machine, timeout)
    back = machine.run(f"systemctl show --property=ConditionResult --value {TAKE_BACK}") == "yes"
    return {
        "seconds": round(seconds, 1),
        "said": line["caption"]["text"],
        "back": back,
        "runs": machine.run(CURRENT).rpartition("/")[2],
    }


def first_boots(work, fresh, log, longest):
    """Cut first boots within their `longest` seconds, each of a new card that `fresh` makes; give the Cuts, for ever."""
    while True:
        card = fresh()
        with power(work, card, log) as machine:
            done = cut(machine, "power on", random.uniform(2, longest))
        with power(work, card, log) as machine:
            yield Cut(**done, **up(machine, guest.FIRST))


def boots(work, card, log, disturb):
    """Cut a card's machine again and again while it captions and is disturbed; give the Cuts, for ever.

    disturb: called with the machine and the version that runs, and returns since when, in words, and after how many seconds the
    cut is to come.
    """
    done = None
    while True:
        with power(work, card, log) as machine:
            found = up(machine, guest.LATER)
            if done:
                yield Cut(**done, **found)
            done = cut(machine, *disturb(machine, found["runs"]), found["runs"])


def running(machine, runs):
    """Let a machine caption, for a minute at most."""
    return "a caption", random.uniform(0, 60)


def updating(names, longest, done):
    """Return what begins an update, for boots: every other cut comes within the `longest` that one takes, the others around the
    moment when the new version takes the old one's place. `done`: how many cuts there were before."""
    numbers = itertools.count(done)

    def disturb(machine, runs):
        update(machine, runs, names)
        if next(numbers) % 2:
            machine.wait(f"[ -L {PREVIOUS} ]", guest.FIRST, every=0.1)
            return "the swap's begin", random.uniform(0, SWAP)
        return "the update's begin", random.uniform(0, longest)

    return disturb


def update(machine, runs, names):
    """Begin an update to another version than the one that runs."""
    machine.run(BEGIN.format(next(file for file, name in names.items() if name != runs)))


def left(found):
    """Return what the Cut of an update, as a dict, has left, in words."""
    if found["back"]:
        return "the old version, taken back to at the next boot"
    return "the old version" if found["runs"] == found["ran"] else "the new version"
