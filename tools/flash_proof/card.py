"""Images of cards: copies, files on their boot partitions, and a card that forgets what was not flushed when its power goes."""

import random
import struct
import subprocess
from pathlib import Path

#: Where the boot partition begins in the images of this proof.
BOOT_AT = "8M"
#: The log of QEMU's blklogwrites has the format of Linux' dm-log-writes: sectors, of which the first is about the log itself; an
#: entry is one with sector, count, flags and length, and then what was written.
SECTOR, ENTRY, FLUSH, DISCARD = 512, struct.Struct("<4Q"), 1, 4


def copy(source, target):
    """Copy an image, holes left out."""
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


def put(card, *files):
    """Write files to a card's boot partition, over those of the same name."""
    subprocess.run(["mcopy", "-o", "-s", "-i", f"{card}@@{BOOT_AT}", *files, "::"], check=True)


def get(card, *names):
    """Return a folder with files of a card's boot partition."""
    folder = Path(f"{card}.boot")
    folder.mkdir(exist_ok=True)
    subprocess.run(
        ["mcopy", "-n", "-i", f"{card}@@{BOOT_AT}", *(f"::{name}" for name in names), folder],
        check=True,
    )
    return folder


def forget(card, log):
    """Write to a card what a power cut leaves of the writes in `log`: all up to the last flush, and of the later ones a random
    half. Return how many of the later ones were lost, and of how many."""
    later = []
    with open(card, "rb+") as file, open(log, "rb") as told:
        last = max(
            (number for number, (_, _, flags) in enumerate(entries(told)) if flags & FLUSH),
            default=-1,
        )
        for number, (sector, data, flags) in enumerate(entries(told)):
            if number > last and data:
                later.append(random.random() < 0.5)
            if data and (number <= last or later[-1]):
                file.seek(sector * SECTOR)
                file.write(data)
    return later.count(False), len(later)


def entries(log):
    """Give (sector, bytes written, flags) of each entry of an open log, until it ends or breaks off."""
    at = SECTOR
    while True:
        log.seek(at)
        head = log.read(ENTRY.size)
        if len(head) < ENTRY.size or not any(head):
            return
        sector, count, flags, _ = ENTRY.unpack(head)
        log.seek(at + SECTOR)
        length = 0 if flags & DISCARD else count * SECTOR
        data = log.read(length)
        if len(data) < length:
            return
        yield sector, data, flags
        at += SECTOR + length
