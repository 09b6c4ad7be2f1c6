"""Bookworm's first boot, and updates, in a container of this machine.

    sudo .venv/bin/python -m tools.flash_bookworm WORK

Needs a Debian machine (Bookworm or later), root, and picaption with its extra `flash` in this
Python. Makes Debian's Bookworm in the folder WORK, with a boot partition as Raspberry Pi OS has it
and stand-ins for the system's two tools, which record how they are called. `prepare` writes to it
as `picaption flash prepare` does, systemd runs what its command line says, and it boots without
network until it captions. Then it is updated: to a version that works, and to one whose live loop
has no result. The wheels are those of this machine's processor.
"""

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from picaption.device.flash import payload
from picaption.device.flash.card import MountedBoot
from picaption.device.flash.machine import Machine
from picaption.device.flash.prepare import card_settings, prepare

PYTHON = "3.11"
#: The system's tools, and their folders.
TOOLS = {"imager_custom": "usr/lib/raspberrypi-sys-mods", "userconf": "usr/lib/userconf-pi"}
#: Where the stand-ins of these tools record how they are called.
CALLS = "var/calls"
BOOT_FILES = {
    "config.txt": "",
    "kernel8.img": "",
    "issue.txt": "Raspberry Pi reference\n",
    "cmdline.txt": "console=tty1 rootwait\n",
}
CAPTIONS = "/var/lib/picaption/said.jsonl"
START_SECONDS = 300
#: Runs a program in the container and returns what it prints.
RunInside = Callable[..., str]


@dataclass(frozen=True)
class Update:
    """An update: what is added to the version, and a change of a file of picaption's.

    Attributes:
        suffix: what is added to the version.
        file: the file that changes, below the folder of the rooms; "" for none.
        before: the text that is replaced in it.
        after: what replaces it.
    """

    suffix: str
    file: str = ""
    before: str = ""
    after: str = ""


UPDATES = (
    Update("+next"),
    Update(
        "+hanging",
        "device/live/loop.py",
        before="    pace = pace or Pace()\n",
        after="    time.sleep(1e6)\n    pace = pace or Pace()\n",
    ),
)


def make_root(root: Path) -> None:
    """Make Debian's Bookworm in a folder, with stand-ins for the tools of Raspberry Pi OS."""
    if root.exists():
        return
    if not shutil.which("mmdebstrap") or not shutil.which("systemd-nspawn"):
        packages = ["mmdebstrap", "systemd-container"]
        subprocess.run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *packages], check=True
        )
    partial = root.with_name("root.partial")
    shutil.rmtree(partial, ignore_errors=True)
    subprocess.run(
        [
            "mmdebstrap",
            "--quiet",
            "--variant=minbase",
            "--include=python3,systemd-sysv,dbus,libstdc++6,curl",
            "bookworm",
            partial,
        ],
        check=True,
    )
    for tool, folder in TOOLS.items():
        program = partial / folder / tool
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "${{0##*/}} $*" >> /{CALLS}\n')
        program.chmod(0o755)
    (partial / "boot/firmware").mkdir()
    partial.rename(root)


def make_payload(path: Path, update: Update | None = None) -> Path:
    """Write the payload of this picaption, or of an update, and return its path."""
    if path.exists():
        return path
    if update is None:
        payload.collect(PYTHON, path, architecture=platform.machine())
        return path
    source = path.with_suffix(".source")
    shutil.rmtree(source, ignore_errors=True)
    for room in payload.ROOMS:
        shutil.copytree(payload.ROOT / room, source / room)
    if (payload.ROOT / "setup.cfg").exists():
        shutil.copy(payload.ROOT / "setup.cfg", source)
    if update.file:
        changed = source / update.file
        text = changed.read_text()
        assert update.before in text, update
        changed.write_text(text.replace(update.before, update.after, 1))
    version = payload.metadata.version("picaption") + update.suffix
    payload.collect(PYTHON, path, root=source, version=version, architecture=platform.machine())
    return path


def nspawn_command(root: Path, *words: str) -> list[str | Path]:
    """Return the command that boots the container, with words for its kernel's command line."""
    return [
        "systemd-nspawn",
        "--quiet",
        "--directory",
        root,
        "--register=no",
        "--keep-unit",
        "--private-network",
        "--boot",
        "--",
        *words,
    ]


@contextmanager
def booted(root: Path, log: Path) -> Iterator[RunInside]:
    """Boot the container and yield a RunInside; in the end, cut its power."""
    with open(log, "a") as file:
        container = subprocess.Popen(
            nspawn_command(root), stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )

    def leader() -> str:
        """Return the process id of the container's systemd; "" if it is not there yet."""
        command = ["pgrep", "-P", str(container.pid), "-x", "systemd"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()

    def run_inside(*command: str) -> str:
        namespaces = ["--mount", "--uts", "--ipc", "--net", "--pid"]
        enter = ["nsenter", "--target", leader(), *namespaces]
        environment = ["env", "-i", "PATH=/usr/local/bin:/usr/bin:/bin"]
        result = subprocess.run([*enter, *environment, *command], capture_output=True, text=True)
        return result.stdout + result.stderr

    try:
        yield run_inside
    finally:
        os.kill(int(leader()), signal.SIGKILL)
        container.wait(timeout=30)


def wait_until_up(run_inside: RunInside) -> float:
    """Wait until the service has its first result, and return the seconds it took."""
    start = time.monotonic()
    while run_inside("systemctl", "is-active", "picaption").strip() != "active":
        if time.monotonic() - start > START_SECONDS:
            sys.exit("it does not come up")
        time.sleep(0.5)
    return time.monotonic() - start


def prepare_boot(work: Path, boot: Path) -> None:
    """Make the boot partition of a new card, and prepare it."""
    boot.mkdir()
    for name, text in BOOT_FILES.items():
        (boot / name).write_text(text)
    settings_file = work / "picaption.toml"
    settings_file.write_text(f'json = "{CAPTIONS}"\njson_every = 0\n')
    settings = card_settings(settings_file, source="demo", mqtt=None, web=True, earlier_token="")
    prepare(
        MountedBoot(boot),
        Machine("kitchen", "anna", "a secret"),
        settings,
        make_payload(work / "payload.tar"),
        architecture=platform.machine(),
    )
    # As all files of a mounted FAT are.
    (boot / "picaption/firstrun.sh").chmod(0o755)


def first_run(root: Path, boot: Path) -> None:
    """Let systemd run what the kernel's command line says, and print what that did."""
    command_line = (boot / "cmdline.txt").read_text().split()
    words = [
        word.replace("=reboot", "=exit") for word in command_line if word.startswith("systemd.")
    ]
    quiet = subprocess.DEVNULL
    subprocess.run(nspawn_command(root, *words), check=True, stdout=quiet, stderr=quiet, timeout=60)
    calls = (root / CALLS).read_text().replace("\n", "; ")
    print("the first run:", calls, (boot / "cmdline.txt").read_text(), end="")


def first_boot(root: Path, boot: Path, log: Path) -> None:
    """Boot for the first time, and print what came of it."""
    with booted(root, log) as run_inside:
        print(f"first boot, until it captions: {wait_until_up(run_inside):.0f} s")
        look = f"picaption doctor | head -4; tail -n 1 {CAPTIONS} | cut -c 1-120"
        print(run_inside("sh", "-c", look), end="")
        page = run_inside("curl", "--silent", "http://127.0.0.1:8080/")
        print("the page without its token:", page, end="")
    print("left on the boot partition:", *sorted(path.name for path in boot.iterdir()))


def boot_and_update(root: Path, log: Path, suffix: str, archive: Path) -> None:
    """Boot again, update to a payload, and print what came of it."""
    shutil.copy(archive, root / "root/update.tar")
    with booted(root, log) as run_inside:
        print(f"next boot, until it captions: {wait_until_up(run_inside):.0f} s")
        output = run_inside("picaption", "update", "/root/update.tar").strip()
        print(f"update to {suffix}:", output)
        state = run_inside("systemctl", "is-active", "picaption").strip()
        print("afterwards:", state, os.readlink(root / "opt/picaption/current"))


@click.command()
@click.argument("work", type=click.Path(path_type=Path, file_okay=False))
def main(work: Path) -> None:
    """Run all of it in the folder WORK.

    Prints what came of it.
    """
    work = work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    os.environ["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
    root = work / "root"
    boot = root / "boot/firmware"
    make_root(root)
    # What an earlier run has left.
    for folder in (boot, root / "opt/picaption", root / "var/lib/private/picaption"):
        shutil.rmtree(folder, ignore_errors=True)
    (root / CALLS).unlink(missing_ok=True)
    prepare_boot(work, boot)
    first_run(root, boot)
    first_boot(root, boot, work / "console")
    for update in UPDATES:
        archive = make_payload(work / f"{update.suffix}.tar", update)
        boot_and_update(root, work / "console", update.suffix, archive)


if __name__ == "__main__":
    main()
