"""An image's boot partition, changed in place by mtools: on a small image that is made here."""

import hashlib
import lzma
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from picaption.device import cli
from picaption.device.errors import PicaptionError
from picaption.device.flash.commands import flash
from picaption.device.flash.image import ImageBoot, Partition, boot_partition, copy_image
from picaption.device.flash.payload import write
from tests.device.flash.cards import BOOKWORM, TRIXIE

START, SIZE = 1 << 20, 16 << 20
needs_tools = pytest.mark.skipif(
    not all(map(shutil.which, ("mcopy", "mkfs.vfat"))),
    reason="mtools and dosfstools are not installed: apt install mtools dosfstools",
)


def entry(partition_type, start, size):
    """Return a partition's 16 bytes in a master boot record, of sizes in bytes."""
    return (
        bytes((0, 0, 0, 0, partition_type, 0, 0, 0))
        + (start // 512).to_bytes(4, "little")
        + (size // 512).to_bytes(4, "little")
    )


def make_image(path, files, tmp_path):
    """Write the image of a card: a FAT partition with `files`, text by name, and one behind it."""
    part = tmp_path / "part"
    with open(part, "wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.vfat", "-n", "BOOTFS", part], check=True, capture_output=True)
    for name, text in files.items():
        subprocess.run(["mcopy", "-i", part, "-", f"::{name}"], input=text.encode(), check=True)
    record = (
        bytes(446)
        + entry(0x0C, START, SIZE)
        + entry(0x83, START + SIZE, 1 << 20)
        + bytes(32)
        + b"\x55\xaa"
    )
    path.write_bytes(record.ljust(START, b"\0") + part.read_bytes() + os.urandom(1 << 20))
    return path


@pytest.fixture
def image(tmp_path):
    """The path of Trixie's image."""
    return make_image(tmp_path / "trixie.img", TRIXIE, tmp_path)


def call(capsys, *arguments):
    """Run `picaption flash`; returns (exit code, output, errors)."""
    with pytest.raises(SystemExit) as exit:
        cli.main([str(argument) for argument in arguments], flash, "picaption flash")
    out, err = capsys.readouterr()
    return exit.value.code, out, err.replace("copying\n", "")


def test_the_first_fat_partition_is_that_of_the_boot(tmp_path):
    path = tmp_path / "card.img"
    path.write_bytes(
        (
            bytes(446) + entry(0x83, 512, 512) + entry(0x0C, 1024, 2048) + bytes(32) + b"\x55\xaa"
        ).ljust(3072, b"\0")
    )
    assert boot_partition(path, path) == Partition(1024, 2048)
    path.write_bytes(path.read_bytes()[:3071])
    with pytest.raises(
        PicaptionError, match="mine.img: no image of Raspberry Pi OS: it has no boot partition"
    ):
        boot_partition(path, "mine.img")
    for content in (b"", b"text", bytes(512)):
        path.write_bytes(content)
        with pytest.raises(
            PicaptionError, match="not an image of a card: it has no table of partitions"
        ):
            boot_partition(path, path)


@needs_tools
def test_files_go_into_the_image_and_nothing_else_changes(image, tmp_path):
    before = image.read_bytes()
    boot = ImageBoot(image, image)
    assert boot.names() == {name.lower() for name in TRIXIE}
    assert boot.read("user-data").decode() == TRIXIE["user-data"] and boot.read("none") is None
    free = boot.free()
    assert SIZE - 600_000 < free < SIZE
    (tmp_path / "big").write_bytes(os.urandom(1_000_000))
    boot.write("picaption/big", tmp_path / "big")
    boot.write("picaption/small", b"small")
    boot.write("user-data", b"#cloud-config\n")
    boot.close()
    again = ImageBoot(image, image)
    assert (
        again.read("picaption/small") == b"small"
        and again.read("picaption/none") is None
        and again.read("no/small") is None
    )
    assert (
        again.read("user-data") == b"#cloud-config\n"
        and again.read("config.txt").decode() == TRIXIE["config.txt"]
    )
    read = subprocess.run(
        ["mcopy", "-i", f"{image}@@{START}", "::picaption/big", "-"],
        capture_output=True,
        check=True,
    ).stdout
    assert read == (tmp_path / "big").read_bytes() and 1_000_000 <= free - again.free() < 1_020_000
    after = image.read_bytes()
    assert after[:START] == before[:START] and after[START + SIZE :] == before[START + SIZE :]
    (tmp_path / "huge").write_bytes(bytes(SIZE))
    with pytest.raises(PicaptionError, match="mcopy failed: Disk full"):
        boot.write("huge", tmp_path / "huge")


@needs_tools
@pytest.mark.parametrize("packed", [False, True])
def test_an_image_is_made_one_that_captions(image, card_payload, tmp_path, capsys, packed):
    original = image
    if packed:
        original = tmp_path / "trixie.img.xz"
        original.write_bytes(lzma.compress(image.read_bytes(), preset=0))
    before, out = hashlib.sha256(original.read_bytes()).digest(), tmp_path / "card.img"
    code, output, err = call(
        capsys,
        "image",
        "--from",
        original,
        "--out",
        out,
        "--payload",
        card_payload,
        "--source",
        "demo",
    )
    assert (code, err) == (0, "")
    assert output == f"{out}: ready; write it to a card: picaption flash write {out} DEVICE\n"
    assert out.stat().st_mode & 0o777 == 0o600
    boot = ImageBoot(out, out)
    assert (
        b"firstboot.py" in boot.read("user-data")
        and boot.read("user-data.before-picaption").decode() == TRIXIE["user-data"]
    )
    settings = subprocess.run(
        ["mtype", "-i", f"{out}@@{START}", "::picaption/picaption.toml"],
        capture_output=True,
        text=True,
    )
    assert settings.stdout == 'source = "demo"\nbundle = "/opt/picaption/current/bundle.tflite"\n'
    assert hashlib.sha256(original.read_bytes()).digest() == before and not list(
        tmp_path.glob(".*partial*")
    )
    (tmp_path / "part").write_bytes(out.read_bytes()[START : START + SIZE])
    checked = subprocess.run(["fsck.vfat", "-n", tmp_path / "part"], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@needs_tools
@pytest.mark.parametrize(
    "wrong, message",
    [
        ("32-bit", "trixie.img: a 32-bit Raspberry Pi OS"),
        ("empty", "trixie.img: not an image of a card"),
        ("cut off", "no boot partition"),
        ("missing", "trixie.img: cannot be read: No such file"),
        ("damaged", "damaged: it cannot be"),
        ("payload", "not a payload"),
        ("room", "MB are needed, and"),
        ("itself", "would overwrite the image itself"),
    ],
)
def test_what_cannot_be_made_leaves_nothing(image, card_payload, tmp_path, capsys, wrong, message):
    out = tmp_path / "card.img"
    if wrong == "32-bit":
        make_image(image, BOOKWORM | {"kernel7.img": "k"}, tmp_path)
    elif wrong == "empty":
        image.write_bytes(b"")
    elif wrong == "cut off":
        image.write_bytes(image.read_bytes()[: START + 1000])
    elif wrong == "missing":
        image.unlink()
    elif wrong == "damaged":
        image.write_bytes(lzma.compress(image.read_bytes(), preset=0)[:100_000])
    elif wrong == "payload":
        card_payload.write_bytes(b"")
    elif wrong == "room":
        (tmp_path / "wheel").write_bytes(bytes(SIZE))
        write(card_payload, "3.13", {"wheels/a-1-py3-none-any.whl": tmp_path / "wheel"})
    else:
        out = image
    before = image.read_bytes() if image.exists() else None
    code, _, err = call(capsys, "image", "--from", image, "--out", out, "--payload", card_payload)
    assert code == 2 and message in err and err.count("\n") == 1
    assert (image.read_bytes() if image.exists() else None) == before
    assert not (tmp_path / "card.img").exists() and not list(tmp_path.glob(".*partial*"))


def test_without_mtools(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, _, err = call(capsys, "image", "--from", tmp_path / "a.img", "--out", tmp_path / "b.img")
    assert (
        code == 2
        and err
        == "picaption: there is no mtools here, which changes images: sudo apt install mtools\n"
    )


def test_what_may_have_no_end_is_no_image(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(PicaptionError, match="it is not a file; give the image of a card"):
            boot_partition(path, path)
        with pytest.raises(PicaptionError, match="it is not a file; give the image of a card"):
            copy_image(path, tmp_path / "copy")
    assert os.listdir(tmp_path) == ["pipe"]


def test_progress_is_in_bytes_of_the_source(tmp_path):
    progress = []
    (tmp_path / "a").write_bytes(bytes(2_500_000))
    copy_image(tmp_path / "a", tmp_path / "b", lambda *bytes_read: progress.append(bytes_read))
    assert progress == [(1 << 20, 2_500_000), (2 << 20, 2_500_000), (2_500_000, 2_500_000)]
    assert (tmp_path / "b").read_bytes() == bytes(2_500_000)
