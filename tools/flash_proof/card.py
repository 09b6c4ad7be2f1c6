"""Images of cards: their boot partitions, and what a power cut leaves of what was written."""

import random
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

#: Where the boot partition begins in the images of this proof.
BOOT_OFFSET = "8M"
#: The log of QEMU's blklogwrites has the format of Linux' dm-log-writes: sectors, of which the
#: first is about the log itself. An entry is a sector with the sector written to, how many, flags
#: and the length of its data, and then the sectors that were written.
SECTOR_BYTES = 512
ENTRY = struct.Struct("<4Q")
FLUSH_FLAG = 1
DISCARD_FLAG = 4

Entry = tuple[int, bytes, int]


def copy(source: Path, target: Path) -> None:
    """Copy an image, holes left out."""
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


def put(card: Path, *files: Path) -> None:
    """Write files to a card's boot partition, over those of the same name."""
    subprocess.run(["mcopy", "-o", "-s", "-i", f"{card}@@{BOOT_OFFSET}", *files, "::"], check=True)


def get(card: Path, *names: str) -> Path:
    """Return a folder with files of a card's boot partition."""
    folder = Path(f"{card}.boot")
    folder.mkdir(exist_ok=True)
    sources = [f"::{name}" for name in names]
    subprocess.run(["mcopy", "-n", "-i", f"{card}@@{BOOT_OFFSET}", *sources, folder], check=True)
    return folder


def apply_power_cut(card: Path, log: Path, rng: random.Random) -> tuple[int, int]:
    """Write to a card what a power cut leaves of the writes in a log.

    It leaves all writes up to the last flush, and of the later ones a random half.

    Args:
        card: the path of the card's image as it was when it was switched on.
        log: the path of the log.
        rng: draws which of the later writes are lost.

    Returns:
        How many writes were lost, and out of how many.
    """
    with open(card, "rb+") as image, open(log, "rb") as file:
        last_flush = -1
        for index, (_, _, flags) in enumerate(entries(file)):
            if flags & FLUSH_FLAG:
                last_flush = index
        lost = 0
        unflushed = 0
        for index, (sector, data, _) in enumerate(entries(file)):
            if not data:
                continue
            if index > last_flush:
                unflushed += 1
                if rng.random() >= 0.5:
                    lost += 1
                    continue
            image.seek(sector * SECTOR_BYTES)
            image.write(data)
    return lost, unflushed


def entries(log: BinaryIO) -> Iterator[Entry]:
    """Yield (sector, bytes written, flags) of each entry of a log, until it ends or breaks off."""
    offset = SECTOR_BYTES
    while True:
        log.seek(offset)
        head = log.read(ENTRY.size)
        if len(head) < ENTRY.size or not any(head):
            return
        sector, count, flags, _ = ENTRY.unpack(head)
        length = 0 if flags & DISCARD_FLAG else count * SECTOR_BYTES
        log.seek(offset + SECTOR_BYTES)
        data = log.read(length)
        if len(data) < length:
            return
        yield sector, data, flags
        offset += SECTOR_BYTES + length
