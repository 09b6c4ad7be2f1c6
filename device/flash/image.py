"""A card's image file, the boot partition of which is changed in place: by mtools, without root and without mounting it."""

import lzma
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass

from ..errors import PicaptionError

SECTOR, CHUNK = 512, 1 << 20
#: Types of FAT partitions in a master boot record.
FAT = (0x04, 0x06, 0x0B, 0x0C, 0x0E)
XZ = b"\xfd7zXZ\0"


@dataclass(frozen=True)
class Partition:
    """Where a partition of an image begins, and how long it is, in bytes."""

    start: int
    size: int


class Fat:
    """The boot partition of the image at `image`, which errors call `path`."""

    def __init__(self, image, path):
        self.path, self._image = path, image
        self._drive = f"{image}@@{boot_partition(image, path).start}"

    def names(self, folder=""):
        """Return the names of what is on it, or in a folder there, in lower case, as FAT takes them."""
        listed = self._mtools("mdir", "-b", f"::{folder}").decode().splitlines()
        return {line.rstrip("/").rpartition("/")[2].lower() for line in listed}

    def read(self, name):
        """Return a file's bytes, or None where there is none of that name."""
        folder, _, last = name.lower().rpartition("/")
        if folder and folder not in self.names() or last not in self.names(folder):
            return None
        return self._mtools("mcopy", f"::{name}", "-")

    def free(self):
        """Return how many bytes are free."""
        last = self._mtools("mdir", "::").decode().rstrip().splitlines()[-1]
        return int("".join(letter for letter in last if letter.isdigit()))

    def write(self, name, content):
        """Write a file: bytes, or a copy of the file at a Path."""
        folder = name.rpartition("/")[0]
        if folder and folder.lower() not in self.names():
            self._mtools("mmd", f"::{folder}")
        if isinstance(content, bytes):
            self._mtools("mcopy", "-o", "-", f"::{name}", input=content)
            return
        with open(
            content, "rb"
        ) as file:  # by itself, mtools might take a path with a colon for a drive
            self._mtools("mcopy", "-o", "-", f"::{name}", stdin=file)

    def close(self):
        """See to it that all is in the file."""
        with open(self._image, "rb+") as file:
            os.fsync(file.fileno())

    def _mtools(self, program, *arguments, **given):
        done = subprocess.run(
            [program, "-i", self._drive, *arguments],
            **given,
            capture_output=True,
            env=os.environ | {"MTOOLS_SKIP_CHECK": "1", "LC_ALL": "C.UTF-8"},
        )
        if done.returncode:
            raise PicaptionError(
                f"{self.path}: {program} failed: {done.stderr.decode(errors='replace').strip()}"
            )
        return done.stdout


def need_mtools():
    """Raise PicaptionError where there is no mtools here."""
    if not shutil.which("mcopy"):
        raise PicaptionError(
            "there is no mtools here, which changes images: sudo apt install mtools"
        )


def boot_partition(image, path):
    """Return the first FAT Partition of an image; raises PicaptionError, which calls it `path`, where it is none of a card."""
    with open(image, "rb") as file:
        record = file.read(SECTOR)
    if len(record) < SECTOR or record[510:] != b"\x55\xaa":
        raise PicaptionError(f"{path}: not an image of a card: it has no table of partitions")
    for entry in range(446, 510, 16):
        kind, start, sectors = record[entry + 4], *struct.unpack_from("<II", record, entry + 8)
        if kind in FAT and start and (start + sectors) * SECTOR <= os.stat(image).st_size:
            return Partition(start * SECTOR, sectors * SECTOR)
    raise PicaptionError(f"{path}: no image of Raspberry Pi OS: it has no boot partition")


def copy_image(source, target, progress=lambda done, total: None):
    """Write the image at `source`, which may be compressed as .xz, to `target`, calling progress(bytes read, of all).

    Raises PicaptionError where it cannot be read or is damaged.
    """
    with _opened(source) as file:
        total = os.fstat(file.fileno()).st_size
        packed = file.read(len(XZ)) == XZ
        file.seek(0)
        with (
            lzma.open(file) if packed else file as plain,
            open(target, "wb", opener=_private) as out,
        ):
            try:
                while chunk := plain.read(CHUNK):
                    out.write(chunk)
                    progress(file.tell(), total)
            except (lzma.LZMAError, EOFError):
                raise PicaptionError(
                    f"{source}: damaged: it cannot be decompressed; fetch it anew"
                ) from None


def _private(path, flags):
    return os.open(path, flags, 0o600)  # the image is to hold the keys of a network and of a page


def _opened(path):
    try:
        return open(path, "rb")
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}") from None
