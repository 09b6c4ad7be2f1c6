"""A card's image file, whose boot partition mtools changes in place: without root or a mount."""

import lzma
import os
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import PicaptionError

#: Called with (bytes done, bytes in total).
Progress = Callable[[int, int], object]

SECTOR_BYTES = 512
CHUNK_BYTES = 1 << 20
#: Types of FAT partitions in a master boot record.
FAT_TYPES = (0x04, 0x06, 0x0B, 0x0C, 0x0E)
#: Where the four entries of a master boot record stand.
_ENTRY_OFFSETS = range(446, 510, 16)
_BOOT_SIGNATURE = b"\x55\xaa"
_XZ_SIGNATURE = b"\xfd7zXZ\0"


@dataclass(frozen=True)
class Partition:
    """Where a partition of an image begins, and how long it is, in bytes."""

    start: int
    size: int


class ImageBoot:
    """The boot partition of the image at `image`, which errors call `path`."""

    def __init__(self, image: Path, path: Path) -> None:
        self.path = path
        self._image = image
        self._drive = f"{image}@@{boot_partition(image, path).start}"

    def names(self, folder: str = "") -> set[str]:
        """Return the names in its root, or in `folder`, in lower case, as FAT compares them."""
        listing = self._mtools("mdir", "-b", f"::{folder}").decode().splitlines()
        return {line.rstrip("/").rpartition("/")[2].lower() for line in listing}

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or None if there is no such file."""
        folder, _, base = name.lower().rpartition("/")
        if folder and folder not in self.names():
            return None
        if base not in self.names(folder):
            return None
        return self._mtools("mcopy", f"::{name}", "-")

    def free(self) -> int:
        """Return how many bytes are free."""
        last_line = self._mtools("mdir", "::").decode().rstrip().splitlines()[-1]
        return int("".join(character for character in last_line if character.isdigit()))

    def write(self, name: str, content: bytes | Path) -> None:
        """Write a file: bytes, or a copy of the file at a path."""
        folder = name.rpartition("/")[0]
        if folder and folder.lower() not in self.names():
            self._mtools("mmd", f"::{folder}")
        if isinstance(content, bytes):
            self._mtools("mcopy", "-o", "-", f"::{name}", content=content)
            return
        # From standard input: mtools might take a path with a colon for a drive.
        with open(content, "rb") as file:
            self._mtools("mcopy", "-o", "-", f"::{name}", stdin=file)

    def close(self) -> None:
        """Return once everything is stored."""
        with open(self._image, "rb+") as file:
            os.fsync(file.fileno())

    def _mtools(
        self,
        program: str,
        *arguments: str,
        content: bytes | None = None,
        stdin: BinaryIO | None = None,
    ) -> bytes:
        """Run one of mtools on the partition and return what it prints."""
        result = subprocess.run(
            [program, "-i", self._drive, *arguments],
            input=content,
            stdin=stdin,
            capture_output=True,
            env=os.environ | {"MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"},
        )
        if result.returncode:
            reason = result.stderr.decode(errors="replace").strip()
            raise PicaptionError(f"{self.path}: {program} failed: {reason}")
        return result.stdout


def need_mtools() -> None:
    """Raise PicaptionError if mtools is not installed."""
    if not shutil.which("mcopy"):
        raise PicaptionError(
            "there is no mtools here, which changes images: sudo apt install mtools"
        )


def boot_partition(image: Path, path: str | Path) -> Partition:
    """Return the first FAT Partition of an image.

    Args:
        image: the path of the image.
        path: what errors call it.

    Raises:
        PicaptionError: the file is not the image of a card with a boot partition.
    """
    with _open(image) as file:
        record = file.read(SECTOR_BYTES)
    if len(record) < SECTOR_BYTES or record[510:] != _BOOT_SIGNATURE:
        raise PicaptionError(f"{path}: not an image of a card: it has no table of partitions")
    image_size = os.stat(image).st_size
    for entry in _ENTRY_OFFSETS:
        start, sectors = struct.unpack_from("<II", record, entry + 8)
        fits = (start + sectors) * SECTOR_BYTES <= image_size
        if record[entry + 4] in FAT_TYPES and start and fits:
            return Partition(start * SECTOR_BYTES, sectors * SECTOR_BYTES)
    raise PicaptionError(f"{path}: no image of Raspberry Pi OS: it has no boot partition")


def copy_image(source: Path, target: Path, on_progress: Progress | None = None) -> None:
    """Copy an image, decompressing one of .xz; only this user may read the copy.

    Args:
        source: the path of the image, plain or .xz.
        target: the path to write to.
        on_progress: called with (bytes of the source read, its size).

    Raises:
        PicaptionError: the source cannot be read or is damaged.
    """
    with _open(source) as file:
        total = os.fstat(file.fileno()).st_size
        is_compressed = file.read(len(_XZ_SIGNATURE)) == _XZ_SIGNATURE
        file.seek(0)
        with (
            lzma.open(file) if is_compressed else file as plain,
            open(target, "wb", opener=_open_private) as output,
        ):
            try:
                while chunk := plain.read(CHUNK_BYTES):
                    output.write(chunk)
                    if on_progress:
                        on_progress(file.tell(), total)
            except (lzma.LZMAError, EOFError):
                raise PicaptionError(
                    f"{source}: damaged: it cannot be decompressed; fetch it again"
                ) from None


def _open_private(path: str, flags: int) -> int:
    # The image will hold the keys of a network and of a page.
    return os.open(path, flags, 0o600)


def _open(path: Path) -> BinaryIO:
    """Open an image; a pipe might never begin, and a device never end."""
    if path.exists() and not path.is_file():
        raise PicaptionError(f"{path}: it is not a file; give the image of a card")
    try:
        return open(path, "rb")
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}") from None
