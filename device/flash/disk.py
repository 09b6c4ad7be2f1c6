"""A card in its reader: whether it may be written to, writing an image to it, reading it back."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..board import read_text
from ..errors import PicaptionError
from .image import SECTOR_BYTES, Progress, boot_partition

CHUNK_BYTES = 4 << 20
#: After every so many bytes the system stores what was written: progress is then that of the
#: disk, and memory does not fill up.
FLUSH_BYTES = 64 << 20


@dataclass(frozen=True)
class Disk:
    """A disk: its size in bytes, whether it is removable, and where it, or a part, is in use."""

    path: Path
    size: int
    removable: bool
    usages: tuple[str, ...]


def check_disk(
    image: Path,
    device: str | Path,
    confirmed_device: str | Path | None = None,
    root: Path = Path("/"),
) -> Disk:
    """Return the Disk at the path `device`, to which the image may be written.

    Args:
        image: the path of the image.
        device: the path of the disk.
        confirmed_device: the same path once more; a disk that is not removable needs it.
        root: the folder that stands for /, with the kernel's proc and sys.

    Raises:
        PicaptionError: it is no disk, in use, too small, write-protected or not removable.
    """
    size = _image_size(image)
    disk = find_disk(device, root)
    if disk.usages:
        raise PicaptionError(
            f"{device} is in use as {', '.join(disk.usages)}: sudo umount that first, if it is the "
            "card at all"
        )
    if disk.size < size:
        raise PicaptionError(
            f"{device} has {disk.size / 1e6:.0f} MB, and {image} {size / 1e6:.0f}: take a larger "
            "card"
        )
    is_confirmed = confirmed_device is not None and Path(confirmed_device) == Path(device)
    if not disk.removable and not is_confirmed:
        raise PicaptionError(
            f"{device} is not a removable card or stick; to erase it all the same, add "
            f"--even-so {device}"
        )
    return disk


def _image_size(path: Path) -> int:
    """Return the size of an image in bytes; raises PicaptionError if it is not that of a card."""
    try:
        size = os.stat(path).st_size
        boot_partition(path, path)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}") from None
    return size


def find_disk(device: str | Path, root: Path = Path("/")) -> Disk:
    """Return the Disk at the path `device`; raises PicaptionError if it is not a complete disk."""
    try:
        path = Path(device).resolve(strict=True)
    except OSError:
        raise PicaptionError(f"there is no device {device}; lsblk lists them") from None
    attributes = root / "sys/class/block" / path.name
    is_block_device = root != Path("/") or stat.S_ISBLK(path.stat().st_mode)
    if not attributes.is_dir() or not is_block_device:
        raise PicaptionError(f"{device} is not a disk; lsblk lists them")
    if (attributes / "partition").exists():
        raise PicaptionError(
            f"{device} is a part of a disk: give the disk itself; lsblk lists them"
        )
    if _attribute(attributes / "ro") == "1":
        raise PicaptionError(f"{device} is write-protected: see to the card's switch")
    # Built-in readers call themselves fixed; the type of what is in them says that it is a card.
    is_card = _attribute(attributes / "device/type") == "SD"
    return Disk(
        path=path,
        size=int(_attribute(attributes / "size") or 0) * SECTOR_BYTES,
        removable=is_card or _attribute(attributes / "removable") == "1",
        usages=_usages(attributes, path, root),
    )


def _usages(attributes: Path, disk: Path, root: Path) -> tuple[str, ...]:
    """Return where a disk and its parts are mounted, swapped to, or parts of something else."""
    parts = [path.parent for path in attributes.glob("*/partition")]
    names = {disk.name, *(part.name for part in parts)}
    device_numbers = {_attribute(folder / "dev") for folder in (attributes, *parts)}
    usages = []
    for line in _attribute(root / "proc/self/mountinfo").splitlines():
        # "id parent major:minor root mount-point options... - type source options", proc(5).
        mount, _, file_system = line.partition(" - ")
        fields = mount.split(" ")
        source = file_system.split(" ")[1]
        is_named = source.startswith("/dev/") and Path(source).name in names
        if fields[2] in device_numbers or is_named:
            usages.append(fields[4])
    for line in _attribute(root / "proc/swaps").splitlines()[1:]:
        if Path(line.split()[0]).name in names:
            usages.append("swap")
    for folder in (attributes, *parts):
        # What is made of a disk or its parts, such as a RAID.
        usages += [f"a part of {holder.name}" for holder in sorted(folder.glob("holders/*"))]
    return tuple(dict.fromkeys(usages))


def _attribute(path: Path) -> str:
    return read_text(path).strip()


def write_image(image: Path, device: str | Path, on_progress: Progress | None = None) -> None:
    """Write an image to a device durably.

    Args:
        image: the path of the image.
        device: the path of the disk.
        on_progress: called with (bytes written, bytes in total).

    Raises:
        PicaptionError: writing fails, as it does when the card is pulled out.
    """
    total = os.stat(image).st_size
    done = 0
    with open(image, "rb") as source, _open_exclusively(device, os.O_WRONLY) as target:
        try:
            while chunk := source.read(CHUNK_BYTES):
                target.write(chunk)
                done += len(chunk)
                if done % FLUSH_BYTES == 0 or done == total:
                    target.flush()
                    os.fsync(target.fileno())
                if on_progress:
                    on_progress(done, total)
        except OSError as error:
            raise PicaptionError(
                f"{device}: writing failed after {done / 1e6:.0f} MB ({error.strerror}): put the "
                "card in again, or take another, and start again"
            ) from None


def compare(image: Path, device: str | Path, on_progress: Progress | None = None) -> None:
    """Read back what was written to a device.

    Args:
        image: the path of the image.
        device: the path of the disk.
        on_progress: called with (bytes read, bytes in total).

    Raises:
        PicaptionError: the device does not hold the image.
    """
    total = os.stat(image).st_size
    done = 0
    with open(image, "rb") as source, _open_exclusively(device, os.O_RDONLY) as target:
        # From the card, not from memory.
        os.posix_fadvise(target.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while chunk := source.read(CHUNK_BYTES):
            try:
                stored = target.read(len(chunk))
            except OSError as error:
                raise PicaptionError(
                    f"{device}: cannot be read at {done / 1e6:.0f} MB ({error.strerror}): take "
                    "another card"
                ) from None
            if stored != chunk:
                raise PicaptionError(
                    f"{device}: what was written is not there any more, from {done / 1e6:.0f} MB "
                    "on: the card is worn out or not as large as it says; take another one"
                )
            done += len(chunk)
            if on_progress:
                on_progress(done, total)


def _open_exclusively(device: str | Path, mode: int) -> BinaryIO:
    try:
        # O_EXCL: the kernel refuses a disk that is in use.
        descriptor = os.open(device, mode | os.O_EXCL)
    except PermissionError:
        raise PicaptionError(
            f"{device} may be written to by root only: call this with sudo"
        ) from None
    except OSError as error:
        raise PicaptionError(f"{device}: cannot be opened: {error.strerror}") from None
    return open(descriptor, "rb" if mode == os.O_RDONLY else "wb")
