"""Which disks may be written to, by files like a kernel's and this kernel's own; reading back."""

import os
import shutil
import subprocess

import pytest

from picaption.device import cli
from picaption.device.errors import PicaptionError
from picaption.device.flash import disk
from picaption.device.flash.commands import flash
from picaption.device.flash.disk import Disk, check_disk, compare, find_disk, write_image

IMAGE = 3 * disk.CHUNK_BYTES + 512


@pytest.fixture
def image(tmp_path):
    """An image of random bytes behind a table of partitions."""
    path = tmp_path / "card.img"
    entry = (
        bytes((0, 0, 0, 0, 0x0C, 0, 0, 0)) + (1).to_bytes(4, "little") + (64).to_bytes(4, "little")
    )
    path.write_bytes(bytes(446) + entry + bytes(48) + b"\x55\xaa" + os.urandom(IMAGE - 512))
    return path


@pytest.fixture
def system(tmp_path):
    """A function that makes a disk of files like a kernel's."""
    root = tmp_path / "system"

    def write(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def make(name="sdx", removable="1", size=IMAGE, parts=("sdx1", "sdx2"), **files):
        about = root / "sys/class/block" / name
        for number, part in enumerate(parts, 1):
            write(about / part / "partition", f"{number}\n")
            write(about / part / "dev", f"8:{112 + number}\n")
            write(root / "sys/class/block" / part / "partition", f"{number}\n")
        for path, text in (
            {"removable": removable, "size": str(size // 512), "ro": "0", "dev": "8:112"} | files
        ).items():
            write(about / path, text + "\n")
        write(
            root / "proc/self/mountinfo",
            "22 1 259:2 / / rw,noatime shared:1 - ext4 /dev/nvme0n1p2 rw\n"
            "23 22 0:21 / /proc rw - proc proc rw\n",
        )
        write(
            root / "proc/swaps",
            "Filename Type Size Used Priority\n/dev/nvme0n1p3 partition 1 0 -2\n",
        )
        (root / name).touch()
        return root / name

    make.root = root
    return make


def test_a_card_may_be_written_to(system, image):
    device = system()
    assert check_disk(image, device, root=system.root) == Disk(device, IMAGE, True, ())
    built_in = system("mmcblk0", "0", parts=("mmcblk0p1",), **{"device/type": "SD"})
    assert find_disk(built_in, system.root).removable
    (system.root / "link").symlink_to(device)
    assert find_disk(system.root / "link", system.root).path == device


@pytest.mark.parametrize(
    "attributes, message",
    [
        (
            {"removable": "0"},
            "is not a removable card or stick; to erase it all the same, add --even-so",
        ),
        (
            {"name": "mmcblk0", "removable": "0", "device/type": "MMC"},
            "is not a removable card or stick",
        ),
        ({"size": IMAGE - 512}, "has 13 MB, and .*card.img 13: take a larger card"),
        ({"size": 0}, "has 0 MB"),
        ({"ro": "1"}, "is write-protected: see to the card's switch"),
        ({"holders/dm-0": ""}, "is in use as a part of dm-0"),
        ({"partition": "1"}, "is a part of a disk: give the disk itself"),
    ],
)
def test_what_may_not_be_written_to(system, image, attributes, message):
    device = system(**attributes)
    with pytest.raises(PicaptionError, match=message):
        check_disk(image, device, root=system.root)


@pytest.mark.parametrize(
    "line, where",
    [
        ("30 22 8:113 / /media/boot rw - vfat /dev/sdx1 rw", "/media/boot"),  # by its number
        ("30 22 0:40 /@ /data rw - btrfs /dev/sdx2 rw", "/data"),  # by its name
        ("30 22 8:112 / /media/all rw shared:4 - ext4 /dev/root rw", "/media/all"),
    ],
)
def test_a_disk_in_use_is_refused_in_any_case(system, image, line, where):
    device = system()
    with open(system.root / "proc/self/mountinfo", "a") as file:
        file.write(line + "\n")
    for even_so in (None, device):
        with pytest.raises(PicaptionError, match=f"is in use as {where}: sudo umount that first"):
            check_disk(image, device, even_so, system.root)


def test_a_disk_that_is_swapped_to_is_in_use(system, image):
    device = system()
    with open(system.root / "proc/swaps", "a") as file:
        file.write("/dev/sdx2 partition 1 0 -3\n")
    with pytest.raises(PicaptionError, match="is in use as swap"):
        check_disk(image, device, root=system.root)


def test_a_fixed_disk_has_to_be_named_twice(system, image):
    device = system(removable="0")
    second = system("sdy", "0", parts=())
    assert check_disk(image, device, device, system.root).path == device
    with pytest.raises(PicaptionError, match="not a removable card or stick"):
        check_disk(image, device, second, system.root)


def test_no_disk_and_no_image(system, image, tmp_path):
    for device, message in (
        (tmp_path / "none", "there is no device"),
        (image, "is not a disk; lsblk lists them"),
        ("/dev/null", "/dev/null is not a disk"),
    ):
        with pytest.raises(PicaptionError, match=message):
            check_disk(image, device)
    (tmp_path / "text").write_text("no image")
    with pytest.raises(PicaptionError, match="text: not an image of a card"):
        check_disk(tmp_path / "text", system(), root=system.root)
    with pytest.raises(PicaptionError, match="none.img: cannot be read"):
        check_disk(tmp_path / "none.img", system(), root=system.root)


def test_written_flushed_and_read_back(image, tmp_path, monkeypatch):
    card = tmp_path / "card"
    synced = []
    progress = []
    card.write_bytes(bytes(IMAGE + 4096))
    fsync = os.fsync
    monkeypatch.setattr(disk, "FLUSH_BYTES", disk.CHUNK_BYTES)
    monkeypatch.setattr(
        disk.os, "fsync", lambda number: (synced.append(os.fstat(number).st_ino), fsync(number))
    )
    write_image(image, card, lambda *done: progress.append(done))
    assert card.read_bytes() == image.read_bytes() + bytes(4096)
    assert (
        synced == [card.stat().st_ino] * 4
        and progress[0] == (disk.CHUNK_BYTES, IMAGE)
        and progress[-1] == (IMAGE, IMAGE)
    )
    progress.clear()
    compare(image, card, lambda *done: progress.append(done))
    assert progress[-1] == (IMAGE, IMAGE)


@pytest.mark.parametrize("at, megabytes", [(0, 0), (disk.CHUNK_BYTES * 2 + 7, 8), (IMAGE - 1, 13)])
def test_a_card_that_does_not_keep_what_was_written_is_found(image, tmp_path, at, megabytes):
    card = tmp_path / "card"
    card.touch()
    write_image(image, card)
    with open(card, "r+b") as file:
        file.seek(at)
        bit = file.read(1)[0] ^ 1
        file.seek(at)
        file.write(bytes((bit,)))
    with pytest.raises(
        PicaptionError, match=f"is not there any more, from {megabytes} MB on: .* take another"
    ):
        compare(image, card)
    os.truncate(card, at)
    with pytest.raises(PicaptionError, match=f"from {megabytes} MB on"):
        compare(image, card)


def test_a_device_that_takes_no_more_is_one_line(image):
    with pytest.raises(
        PicaptionError,
        match="/dev/full: writing failed after 0 MB .No space left on device.: put the card in",
    ):
        write_image(image, "/dev/full")


@pytest.fixture
def loop(tmp_path):
    """A loop device with room for the image, where one can be had."""
    if not shutil.which("losetup") or os.geteuid():
        pytest.skip("loop devices are root's, and need losetup: apt install mount")
    (tmp_path / "disk").write_bytes(bytes(IMAGE + 4096))
    setup = subprocess.run(
        ["losetup", "--find", "--show", tmp_path / "disk"], capture_output=True, text=True
    )
    if setup.returncode:
        pytest.skip(f"no loop device can be had here: {setup.stderr.strip()}")
    yield setup.stdout.strip()
    subprocess.run(["losetup", "--detach", setup.stdout.strip()], check=True)


def test_a_real_device(image, loop, tmp_path, capsys):
    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main(["write", str(image), loop, *arguments], flash, "picaption flash")
        return (exit.value.code, *capsys.readouterr())

    code, _, err = call()
    assert code == 2 and err == (
        f"picaption: {loop} is not a removable card or stick; to erase it all the same, "
        f"add --even-so {loop}\n"
    )
    assert not any((tmp_path / "disk").read_bytes())
    code, out, _ = call("--even-so", loop)
    assert code == 0 and out == f"{loop}: written and read back, 13 MB; take the card out\n"
    assert (tmp_path / "disk").read_bytes() == image.read_bytes() + bytes(4096)
