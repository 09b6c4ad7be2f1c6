"""The boot partition of a card with Raspberry Pi OS: what it is, and how files get onto it."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from ..atomic import atomic_write
from ..errors import PicaptionError

#: Where the Pi has its boot partition.
BOOT = "/boot/firmware"
#: The folder on the boot partition that has what the first boot needs, and is gone afterwards.
FOLDER = "picaption"


@dataclass(frozen=True)
class System:
    """What a card holds: whether cloud-init sets it up (Trixie; Bookworm has a script of its own), and its Python, "3.13"."""

    cloud_init: bool
    python: str


class Folder:
    """A boot partition that is mounted at `path`."""

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.is_dir():
            raise PicaptionError(
                f"{path}: no such folder; give the one where the card's boot partition is mounted"
            )

    def names(self):
        """Return the names of what is on it, in lower case, as FAT takes them."""
        return {path.name.lower() for path in self.path.iterdir()}

    def read(self, name):
        """Return a file's bytes, or None where there is none of that name."""
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def free(self):
        """Return how many bytes are free."""
        return shutil.disk_usage(self.path).free

    def write(self, name, content):
        """Write a file, whole and for good: bytes, or a copy of the file at a Path."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as partial, open(partial, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with open(content, "rb") as source:
                    shutil.copyfileobj(source, file, 1 << 20)
            file.flush()
            os.fsync(file.fileno())

    def close(self):
        """See to it that all is on the card."""
        os.sync()


def identify(boot):
    """Return the System on a boot partition; raises PicaptionError where picaption cannot be on it."""
    names = boot.names()
    for name in ("config.txt", "cmdline.txt"):
        if name not in names:
            raise PicaptionError(
                f"{boot.path}: not the boot partition of Raspberry Pi OS: there is no {name}"
            )
    if b"Raspberry Pi" not in (boot.read("issue.txt") or b""):
        raise PicaptionError(
            f"{boot.path}: another system than Raspberry Pi OS: write Raspberry Pi OS Lite (64-bit) to the card"
        )
    if "kernel8.img" not in names or any(re.fullmatch(r"kernel7l?\.img", name) for name in names):
        raise PicaptionError(
            f"{boot.path}: a 32-bit Raspberry Pi OS, for which there is no TFLite runtime: write the 64-bit one"
        )
    trixie = "user-data" in names or "meta-data" in names
    return System(trixie, "3.13" if trixie else "3.11")
