"""The boot partition of a card with Raspberry Pi OS: which system it holds, and writing to it."""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ..atomic import atomic_write
from ..errors import PicaptionError

#: Where the Pi mounts its boot partition.
BOOT = "/boot/firmware"
#: The folder on the boot partition with what the first boot needs; the first boot removes it.
FOLDER = "picaption"

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class System:
    """What a card holds: whether cloud-init sets it up, and its Python, such as "3.13".

    Trixie has cloud-init; Bookworm has a script of its own.
    """

    cloud_init: bool
    python: str


class BootPartition(Protocol):
    """A boot partition: `path` is what errors call it; names are relative to its root."""

    path: Path

    def names(self) -> set[str]:
        """Return the names of its files and folders, in lower case, as FAT compares them."""

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if there is no such file."""

    def free(self) -> int:
        """Return how many bytes are free."""

    def write(self, name: str, content: bytes | Path) -> None:
        """Write a file: bytes, or a copy of the file at a path."""

    def close(self) -> None:
        """Return once everything is stored."""


class MountedBoot:
    """A boot partition that is mounted at `path`."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise PicaptionError(
                f"{path}: no such folder; give the one where the card's boot partition is mounted"
            )

    def names(self) -> set[str]:
        """Return the names of its files and folders, in lower case, as FAT compares them."""
        return {path.name.lower() for path in self.path.iterdir()}

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if there is no such file."""
        path = self.path / name
        return path.read_bytes() if path.is_file() else None

    def free(self) -> int:
        """Return how many bytes are free."""
        return shutil.disk_usage(self.path).free

    def write(self, name: str, content: bytes | Path) -> None:
        """Write a file atomically and durably: bytes, or a copy of the file at a path."""
        path = self.path / name
        path.parent.mkdir(exist_ok=True)
        with atomic_write(path) as partial, open(partial, "wb") as file:
            if isinstance(content, bytes):
                file.write(content)
            else:
                with open(content, "rb") as source:
                    shutil.copyfileobj(source, file, _CHUNK_BYTES)
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Return once everything is stored."""
        os.sync()


def identify(boot: BootPartition) -> System:
    """Return the System on a boot partition.

    Raises:
        PicaptionError: picaption does not run on the system that the card holds.
    """
    names = boot.names()
    for name in ("config.txt", "cmdline.txt"):
        if name not in names:
            raise PicaptionError(
                f"{boot.path}: not the boot partition of Raspberry Pi OS: there is no {name}"
            )
    if b"Raspberry Pi" not in (boot.read("issue.txt") or b""):
        raise PicaptionError(
            f"{boot.path}: another system than Raspberry Pi OS: write Raspberry Pi OS Lite "
            "(64-bit) to the card"
        )
    if "kernel8.img" not in names or any(re.fullmatch(r"kernel7l?\.img", name) for name in names):
        raise PicaptionError(
            f"{boot.path}: a 32-bit Raspberry Pi OS, for which there is no TFLite runtime: write "
            "the 64-bit one"
        )
    if "user-data" in names or "meta-data" in names:
        return System(cloud_init=True, python="3.13")
    return System(cloud_init=False, python="3.11")
