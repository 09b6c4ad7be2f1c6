"""Bookworm's first run: the kernel's command line, and the script, run beside fake tools."""

import subprocess

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.flash.card import MountedBoot
from picaption.device.flash.firstrun import (
    IMAGER_CUSTOM,
    SCRIPT,
    USERCONF,
    firstrun_seed,
    script,
    with_run,
)
from picaption.device.flash.machine import Machine, Wifi
from tests.device.flash.cards import COMMAND_LINE

OURS = (
    f"{COMMAND_LINE.strip()} systemd.run={SCRIPT} systemd.run_success_action=reboot "
    "systemd.unit=kernel-command-line.target\n"
)
ALL = Machine(
    "kitchen",
    "anna",
    "$6$salt$ha/sh",
    ("ssh-ed25519 AAAA a'b",),
    "Europe/Berlin",
    Wifi("a'b $x", "0" * 64, "DE"),
)


def test_the_command_line_stays_one_line():
    assert with_run(COMMAND_LINE) == OURS == with_run(OURS)
    imager = COMMAND_LINE.strip() + (
        " systemd.run=/boot/firstrun.sh systemd.run_success_action=reboot "
        "systemd.unit=kernel-command-line.target"
    )
    assert with_run(imager) == OURS


@pytest.mark.parametrize(
    "text, message",
    [
        ("a\nb\n", "not one line"),
        ("", "not one line"),
        ("a systemd.run=/opt/mine.sh\n", "has systemd run /opt/mine.sh at boot"),
    ],
)
def test_a_command_line_that_nothing_can_be_added_to(text, message):
    with pytest.raises(PicaptionError, match=message):
        with_run(text)


def test_what_arms_it_is_last(bookworm):
    assert list(firstrun_seed(MountedBoot(bookworm), ALL)) == [
        "picaption/firstrun.sh",
        "cmdline.txt",
    ]


@pytest.fixture
def machine(tmp_path, bookworm):
    """A function that runs a Machine's script beside tools that record their calls, a line each."""
    record, units = tmp_path / "record", tmp_path / "units"
    units.mkdir()
    for name in ("mods", "userconf", "systemctl"):
        (tmp_path / name).write_text(
            f'#!/bin/sh\nexec >> {record}\necho "{name}"\nprintf "<%s>" "$@"\necho\n'
        )
        (tmp_path / name).chmod(0o755)

    def run(machine):
        text = (
            script(machine)
            .replace(IMAGER_CUSTOM, str(tmp_path / "mods"))
            .replace(USERCONF, str(tmp_path / "userconf"))
            .replace("/boot/firmware", str(bookworm))
            .replace("/etc/systemd/system", str(units))
        )
        (bookworm / "firstrun.ours").write_text(text)
        subprocess.run(
            ["bash", bookworm / "firstrun.ours"],
            check=True,
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        )
        return record.read_text().splitlines()

    return run


def test_the_script_sets_up_the_machine_and_the_service(machine, bookworm, tmp_path):
    (bookworm / "cmdline.txt").write_text(
        OURS.replace("rootwait", "rootwait systemd.show_status=1")
    )
    for _ in range(2):  # as after a power failure at its end
        (tmp_path / "record").unlink(missing_ok=True)
        assert machine(ALL) == [
            "systemctl",
            "<enable><picaption-setup.service>",
            "mods",
            "<set_hostname><kitchen>",
            "mods",
            "<enable_ssh><-k><ssh-ed25519 AAAA a'b>",
            "userconf",
            "<anna><$6$salt$ha/sh>",
            "mods",
            f"<set_wlan><a'b $x><{'0' * 64}><DE>",
            "mods",
            "<set_timezone><Europe/Berlin>",
        ]
        assert (bookworm / "cmdline.txt").read_text() == COMMAND_LINE.replace(
            "rootwait", "rootwait systemd.show_status=1"
        )
        unit = (tmp_path / "units/picaption-setup.service").read_text()
        assert f"ExecStart=/usr/bin/python3 -I {bookworm}/picaption/firstboot.py\n" in unit
        assert len(list((tmp_path / "units").iterdir())) == 1


def test_imagers_script_is_run_too(machine, bookworm):
    (bookworm / "cmdline.txt").write_text(OURS)
    (bookworm / "firstrun.sh").write_text(
        f"mods imager\nrm {bookworm}/firstrun.sh\nsed -i 's| systemd.run.*||g' "
        f"{bookworm}/cmdline.txt\n"
    )
    assert machine(Machine("kitchen")) == [
        "systemctl",
        "<enable><picaption-setup.service>",
        "mods",
        "<imager>",
        "mods",
        "<set_hostname><kitchen>",
    ]
    assert (bookworm / "cmdline.txt").read_text() == COMMAND_LINE and not (
        bookworm / "firstrun.sh"
    ).exists()
