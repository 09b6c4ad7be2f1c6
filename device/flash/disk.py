"""A card in its reader: whether a device is one that may be written to, writing an image to it, and reading it back."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from ..errors import PicaptionError
from .image import boot_partition

CHUNK = 4 << 20
#: Every so many bytes what was written goes to the disk: progress is then that of the disk, and memory is not filled.
FLUSH = 64 << 20
SECTOR = 512


@dataclass(frozen=True)
class Disk:
    """A disk: its path, its size in bytes, whether it can be taken out, and where it, or a part of it, is in use."""

    path: Path
    size: int
    removable: bool
    used: tuple[str, ...]


def check_disk(image, device, even_so=None, system=Path("/")):
    """Return the Disk at the path `device`, to which the image may be written.

    even_so: the same path once more, for a disk that cannot be taken out; system: the folder that stands for /, with the kernel's
    proc and sys. Raises PicaptionError where it may not be: no disk, in use, too small, write-protected, or not removable.
    """
    size = need_image(image)
    disk = find_disk(device, system)
    if disk.used:
        raise PicaptionError(
            f"{device} is in use as {', '.join(disk.used)}: sudo umount that first, if it is the card at all"
        )
    if disk.size < size:
        raise PicaptionError(
            f"{device} has {disk.size / 1e6:.0f} MB, and {image} {size / 1e6:.0f}: take a larger card"
        )
    if not disk.removable and (even_so is None or Path(even_so) != Path(device)):
        raise PicaptionError(
            f"{device} is no card and no stick that can be taken out: if it is what is to be lost, "
            f"--even-so {device}"
        )
    return disk


def need_image(path):
    """Return the size of an image in bytes; raises PicaptionError where there is none, or it is none of a card."""
    try:
        size = os.stat(path).st_size
        boot_partition(path, path)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}") from None
    return size


def find_disk(device, system=Path("/")):
    """Return the Disk at the path `device`; raises PicaptionError where there is none, or only a part of one."""
    try:
        path = Path(device).resolve(strict=True)
    except OSError:
        raise PicaptionError(f"there is no device {device}; lsblk lists them") from None
    about = system / "sys/class/block" / path.name
    if not about.is_dir() or system == Path("/") and not stat.S_ISBLK(path.stat().st_mode):
        raise PicaptionError(f"{device} is no disk; lsblk lists them")
    if (about / "partition").exists():
        raise PicaptionError(
            f"{device} is a part of a disk: give the disk itself; lsblk lists them"
        )
    if _text(about / "ro") == "1":
        raise PicaptionError(f"{device} is write-protected: see to the card's switch")
    # Readers that are built in call themselves fixed; what is in them tells whether it is a card.
    removable = _text(about / "removable") == "1" or _text(about / "device/type") == "SD"
    return Disk(
        path, int(_text(about / "size") or 0) * SECTOR, removable, _used(about, path, system)
    )


def _used(about, path, system):
    """Return the places where a disk and its parts are mounted, swapped to, or parts of something else."""
    parts = {path.name, *(part.parent.name for part in about.glob("*/partition"))}
    numbers = {
        _text(about / "dev"),
        *(_text(part.parent / "dev") for part in about.glob("*/partition")),
    }
    used = []
    for line in _text(system / "proc/self/mountinfo").splitlines():
        fields, _, more = line.partition(" - ")
        source = more.split(" ")[1]
        if (
            fields.split(" ")[2] in numbers
            or source.startswith("/dev/")
            and Path(source).name in parts
        ):
            used.append(fields.split(" ")[4])
    for line in _text(system / "proc/swaps").splitlines()[1:]:
        if Path(line.split()[0]).name in parts:
            used.append("swap")
    for folder in (about, *(part.parent for part in about.glob("*/partition"))):
        used += [f"a part of {holder.name}" for holder in sorted(folder.glob("holders/*"))]
    return tuple(dict.fromkeys(used))


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def write_image(image, device, progress=lambda done, total: None):
    """Write an image to a device and have it there for good, calling progress(done, total), of bytes.

    Raises PicaptionError where that fails, as it does when the card is pulled out.
    """
    total, done = os.stat(image).st_size, 0
    with open(image, "rb") as source, _opened(device, os.O_WRONLY) as target:
        try:
            while chunk := source.read(CHUNK):
                target.write(chunk)
                done += len(chunk)
                if done % FLUSH == 0 or done == total:
                    target.flush()
                    os.fsync(target.fileno())
                progress(done, total)
        except OSError as error:
            raise PicaptionError(
                f"{device}: writing failed after {done / 1e6:.0f} MB ({error.strerror}): put the card in again, "
                "or take another, and begin anew"
            ) from None


def compare(image, device, progress=lambda done, total: None):
    """Read back what was written to a device; raises PicaptionError where it is not the image."""
    total, done = os.stat(image).st_size, 0
    with open(image, "rb") as source, _opened(device, os.O_RDONLY) as target:
        os.posix_fadvise(
            target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED
        )  # from the card, not from memory
        while chunk := source.read(CHUNK):
            try:
                there = target.read(len(chunk))
            except OSError as error:
                raise PicaptionError(
                    f"{device}: cannot be read at {done / 1e6:.0f} MB ({error.strerror}): take another "
                    "card"
                ) from None
            if there != chunk:
                raise PicaptionError(
                    f"{device}: what was written is not there any more, from {done / 1e6:.0f} MB on: the card is "
                    "worn out or not as large as it says; take another one"
                )
            done += len(chunk)
            progress(done, total)


def _opened(device, mode):
    try:
        # O_EXCL: the kernel refuses a disk that is in use.
        return open(os.open(device, mode | os.O_EXCL), "rb" if mode == os.O_RDONLY else "wb")
    except PermissionError:
        raise PicaptionError(
            f"{device} may be written to by root only: call this with sudo"
        ) from None
    except OSError as error:
        raise PicaptionError(f"{device}: cannot be opened: {error.strerror}") from None
