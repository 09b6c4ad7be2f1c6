"""What a boot partition is recognised by, and what is written to a mounted one."""

import os

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.flash.card import MountedBoot, System, identify
from tests.device.flash.cards import TRIXIE, contents, make_boot


def test_trixie_has_cloud_inits_seed_and_bookworm_has_not(tmp_path, trixie):
    assert identify(MountedBoot(trixie)) == System(True, "3.13")
    for name in ("user-data", "network-config", "meta-data"):
        (trixie / name).unlink()
    assert identify(MountedBoot(trixie)) == System(False, "3.11")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"config.txt": None}, "not the boot partition of Raspberry Pi OS: there is no config.txt"),
        ({"cmdline.txt": None}, "there is no cmdline.txt"),
        ({"issue.txt": "DietPi"}, "another system than Raspberry Pi OS"),
        ({"issue.txt": None}, "another system than Raspberry Pi OS"),
        (
            {"kernel8.img": None, "kernel7.img": "k"},
            "a 32-bit Raspberry Pi OS, for which there is no TFLite runtime",
        ),
        ({"kernel7l.img": "k"}, "a 32-bit Raspberry Pi OS"),
    ],
)
def test_what_is_no_card_for_picaption(tmp_path, change, message):
    files = {name: text for name, text in (TRIXIE | change).items() if text is not None}
    with pytest.raises(PicaptionError, match=message):
        identify(MountedBoot(make_boot(tmp_path / "b", files)))


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(
        PicaptionError,
        match="no such folder; give the one where the card's boot partition is mounted",
    ):
        MountedBoot(tmp_path / "none")


def test_files_are_written_atomically(trixie, tmp_path):
    boot = MountedBoot(trixie)
    (tmp_path / "big").write_bytes(bytes(3_000_000))
    boot.write("picaption/big", tmp_path / "big")
    boot.write("user-data", b"new")
    assert boot.read("picaption/big") == bytes(3_000_000) and boot.read("user-data") == b"new"
    before = contents(trixie)
    with pytest.raises(OSError):
        boot.write("user-data", tmp_path / "there is no such file")
    assert contents(trixie) == before and boot.read("nothing") is None
    assert not any(".partial" in name for _, _, names in os.walk(trixie) for name in names)
