"""Bookworm's first boot, and updates, in a container of this machine: sudo .venv/bin/python tools/flash_bookworm.py WORK

Needs a Debian machine (Bookworm or later), root, and picaption with its extra `flash` in this Python. Makes Debian's Bookworm in
the folder WORK, with a boot partition as Raspberry Pi OS has it and stand-ins for the system's two tools, which write down what
they are told. `picaption flash prepare` writes to it, systemd runs what its command line says, and it boots without network until
it captions. Then it is updated: to a version that works, and to one whose live loop has no result. The wheels are those of this
machine's processor.
"""

import io
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from picaption.device.flash import payload, prepare  # noqa: E402
from picaption.device.flash.commands import flash  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
TOOLS = {"imager_custom": "usr/lib/raspberrypi-sys-mods", "userconf": "usr/lib/userconf-pi"}
CARD = {
    "config.txt": "",
    "kernel8.img": "",
    "issue.txt": "Raspberry Pi reference\n",
    "cmdline.txt": "console=tty1 rootwait\n",
}
#: The versions of the two updates: what they change in a file of picaption.
NEXT, HANGING = "+next", "+hanging"
CHANGES = {
    NEXT: {},
    HANGING: {
        "device/live/loop.py": ("    records = Records()", "    time.sleep(1e6)\n    records = Records()")
    },
}


def make_root(root):
    """Make Debian's Bookworm in a folder, with our stand-ins for the tools of Raspberry Pi OS."""
    if root.exists():
        return
    partial = root.with_name("root.partial")
    shutil.rmtree(partial, ignore_errors=True)
    if not all(map(shutil.which, ("mmdebstrap", "systemd-nspawn"))):
        subprocess.run(
            [
                "apt-get",
                "install",
                "--yes",
                "--no-install-recommends",
                "mmdebstrap",
                "systemd-container",
            ],
            check=True,
        )
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
        (partial / folder).mkdir()
        (partial / folder / tool).write_text('#!/bin/sh\necho "${0##*/} $*" >> /var/told\n')
        (partial / folder / tool).chmod(0o755)
    (partial / "boot/firmware").mkdir()
    partial.rename(root)


def make_payload(path, version="", changes=None):
    """Write the payload of this picaption, for Bookworm's Python on this machine, with something added to its version."""
    if path.exists():
        return path
    source = path.with_suffix(".source")
    shutil.rmtree(source, ignore_errors=True)
    for room in payload.ROOMS:
        shutil.copytree(ROOT / room, source / room)
    shutil.copy(ROOT / "setup.cfg", source)
    for name, (before, after) in (changes or {}).items():
        text = (source / name).read_text()
        assert before in text
        (source / name).write_text(text.replace(before, after, 1))
    told, payload.__file__ = payload.metadata.version, str(source / "device/flash/payload.py")
    payload.metadata.version = lambda name: told(name) + version
    try:
        payload.collect("3.11", path)
    finally:
        payload.metadata.version, payload.__file__ = told, str(ROOT / "device/flash/payload.py")
    return path


def container(root, *words):
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
def booted(root, log):
    """Boot the container and give a function that runs a program inside and returns what it prints; in the end, cut its power."""
    with open(log, "a") as file:
        machine = subprocess.Popen(
            container(root), stdout=file, stderr=file, stdin=subprocess.DEVNULL
        )

    def leader():
        return subprocess.run(
            ["pgrep", "-P", str(machine.pid), "-x", "systemd"], capture_output=True, text=True
        ).stdout.strip()

    def inside(*command):
        entered = [
            "nsenter",
            "--target",
            leader(),
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "env",
            "-i",
            "PATH=/usr/local/bin:/usr/bin:/bin",
        ]
        done = subprocess.run([*entered, *command], capture_output=True, text=True)
        return done.stdout + done.stderr

    try:
        yield inside
    finally:
        os.kill(int(leader()), signal.SIGKILL)
        machine.wait(timeout=30)


def until_up(inside):
    """Wait until the service has its first result, and return the seconds it took."""
    start = time.monotonic()
    while inside("systemctl", "is-active", "picaption").strip() != "active":
        if time.monotonic() - start > 300:
            sys.exit("it does not come up")
        time.sleep(0.5)
    return f"{time.monotonic() - start:.0f} s"


def main(work):
    """Do all of it and print what came out."""
    payload.MACHINE = prepare.MACHINE = platform.machine()
    os.environ["SYSTEMD_NSPAWN_UNIFIED_HIERARCHY"] = "1"
    root, boot = work / "root", work / "root/boot/firmware"
    make_root(root)
    for leaving in (boot, root / "opt/picaption", root / "var/lib/private/picaption"):
        shutil.rmtree(leaving, ignore_errors=True)
    (root / "var/told").unlink(missing_ok=True)
    boot.mkdir()
    for name, text in CARD.items():
        (boot / name).write_text(text)
    (work / "picaption.toml").write_text('json = "/var/lib/picaption/said.jsonl"\n')
    made = make_payload(work / "payload.tar")
    sys.stdin = io.StringIO("a secret\n")
    flash.main(
        [
            "prepare",
            "--boot",
            str(boot),
            "--payload",
            str(made),
            "--hostname",
            "kitchen",
            "--user",
            "anna",
            "--password",
            "--source",
            "demo",
            "--web",
            "--config",
            str(work / "picaption.toml"),
        ],
        standalone_mode=False,
    )
    (boot / "picaption/firstrun.sh").chmod(0o755)  # as all files of a mounted FAT are
    words = [
        word.replace("=reboot", "=exit")
        for word in (boot / "cmdline.txt").read_text().split()
        if word.startswith("systemd.")
    ]
    subprocess.run(
        container(root, *words),
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=60,
    )
    print(
        "the first run:",
        (root / "var/told").read_text().replace("\n", "; "),
        (boot / "cmdline.txt").read_text(),
        end="",
    )
    with booted(root, work / "console") as inside:
        print("first boot, until it captions:", until_up(inside))
        print(
            inside(
                "sh",
                "-c",
                "picaption doctor | head -4; tail -n 1 /var/lib/picaption/said.jsonl | cut -c 1-120",
            ),
            end="",
        )
        print(
            "the page without its token:",
            inside("curl", "--silent", "http://127.0.0.1:8080/"),
            end="",
        )
    print("left on the boot partition:", *sorted(path.name for path in boot.iterdir()))
    for version, changes in CHANGES.items():
        shutil.copy(
            make_payload(work / f"{version}.tar", version, changes), root / "root/update.tar"
        )
        with booted(root, work / "console") as inside:
            print("next boot, until it captions:", until_up(inside))
            print(
                f"update to {version}:", inside("picaption", "update", "/root/update.tar").strip()
            )
            print(
                "afterwards:",
                inside("systemctl", "is-active", "picaption").strip(),
                os.readlink(root / "opt/picaption/current"),
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
