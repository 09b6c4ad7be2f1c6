"""What a Pi runs at its first boot, from its boot partition: installs picaption from the payload beside this file.

It stands alone, for the standard library is all that there is then. Power may fail at any moment: every step leaves what is done
already as it is, what a step was at is made anew, and the payload goes last. It runs at every boot until this file is gone.
"""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path

#: What this file is called on the boot partition.
PROGRAM = "firstboot.py"
#: Where picaption is on a Pi: versions/NAME, and `current`, a link to the one that runs.
HOME = Path("/opt/picaption")
MANIFEST, BUNDLE = "manifest.json", "bundle.tflite"
#: A payload's members: the manifest, wheels, and perhaps a bundle.
MEMBER = re.compile(r"manifest\.json|bundle\.tflite|wheels/[A-Za-z0-9_.+-]+\.whl")
#: An installed version takes so many times the room of its payload.
GROWTH = 5

SETTINGS, COMMAND, UNITS = "etc/picaption.toml", "usr/local/bin/picaption", "etc/systemd/system"
#: Files that this writes as they are, by path: the command; what keeps logs and swapped memory off the card; and two units.
FILES = {
    COMMAND: f'#!/bin/sh\nexec {HOME}/current/venv/bin/python {HOME}/current/venv/bin/picaption "$@"\n',
    "etc/systemd/journald.conf.d/picaption.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
    "etc/rpi/swap.conf.d/picaption.conf": "[Main]\nMechanism=zram\n",
    f"{UNITS}/picaption-rollback.service": f"""\
# An update that was cut off before it was found to work is taken back before picaption starts.
[Unit]
Description=Take back an unfinished update of picaption
ConditionPathIsSymbolicLink={HOME}/previous
Before=picaption.service

[Service]
Type=oneshot
ExecStart=/bin/mv -T {HOME}/previous {HOME}/current

[Install]
WantedBy=multi-user.target
""",
    f"{UNITS}/picaption-camera.service": """\
# The library of CSI cameras comes from the Pi's own archive, as soon as there is a network.
[Unit]
Description=Install picamera2 for picaption
ConditionPathExists=!/usr/lib/python3/dist-packages/picamera2
Wants=network-online.target
After=network-online.target

[Service]
Type=oneshot
Environment=DEBIAN_FRONTEND=noninteractive
ExecStart=/usr/bin/dpkg --configure -a
ExecStart=/usr/bin/apt-get update
ExecStart=/usr/bin/apt-get install --yes --no-install-recommends --option=DPkg::Lock::Timeout=300 python3-picamera2
ExecStart=/bin/systemctl --no-block try-restart picaption.service

[Install]
WantedBy=multi-user.target
""",
}


class InstallError(Exception):
    """One line that says what is wrong with a payload, or with installing it."""


@dataclass(frozen=True)
class Manifest:
    """What a payload says of itself: the version, the Python ("3.13") and machine that it is for, its files' SHA-256 by name,
    and `name`, what it is called where it is installed."""

    name: str
    version: str
    python: str
    machine: str
    files: dict[str, str]


def read_manifest(payload):
    """Return the Manifest of the payload at a path; raises Fault where that is none."""
    try:
        with tarfile.open(payload, "r:") as archive:
            content = archive.extractfile(MANIFEST).read()
        told = json.loads(content)
        if told["format"] != 1:
            raise InstallError(
                f"{payload}: a payload of format {told['format']}, which this picaption does not know"
            )
        name = f"{told['version']}-{hashlib.sha256(content).hexdigest()[:8]}"
        if not re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+-]*", name) or not all(
            map(MEMBER.fullmatch, told["files"])
        ):
            raise InstallError(f"{payload}: its manifest names what no payload has")
        return Manifest(name, told["version"], told["python"], told["machine"], told["files"])
    except (tarfile.TarError, KeyError, TypeError, AttributeError, ValueError, EOFError):
        raise InstallError(
            f"{payload}: not a payload of picaption; picaption flash payload makes one"
        ) from None
    except OSError as error:
        raise InstallError(f"{payload}: cannot be read: {error.strerror}") from None


def unpack(payload, manifest, folder):
    """Write a payload's files into a folder; raises Fault where one is not what the manifest says."""
    with tarfile.open(payload, "r:") as archive:
        members = {member.name: member for member in archive}
        if members.keys() - {MANIFEST} != manifest.files.keys():
            raise InstallError(f"{payload}: its files are not those of its manifest; make it anew")
        for name, expected in manifest.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with _opened(archive, members[name], payload) as source, open(target, "wb") as file:
                shutil.copyfileobj(source, file, 1 << 20)
            with open(target, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != expected:
                    raise InstallError(f"{payload}: {name} is damaged; make it anew")


def _opened(archive, member, payload):
    if not member.isreg():
        raise InstallError(f"{payload}: {member.name} is no plain file")
    return archive.extractfile(member)


def install(payload, home=HOME):
    """Install the payload at a path beside other versions, try it out, and return its folder; raises Fault where it does not
    work. What runs is not touched."""
    manifest = read_manifest(payload)
    folder = home / "versions" / manifest.name
    if runs(folder, home):
        return folder
    here = f"{sys.version_info[0]}.{sys.version_info[1]}", platform.machine()
    if (manifest.python, manifest.machine) != here:
        raise InstallError(
            f"{payload}: it is for Python {manifest.python} on {manifest.machine}, and this is Python {' on '.join(here)}"
        )
    shutil.rmtree(folder, ignore_errors=True)  # what was begun and not finished
    folder.mkdir(parents=True)
    needed = GROWTH * os.stat(payload).st_size
    if shutil.disk_usage(folder).free < needed:
        raise InstallError(f"{folder}: {needed // 10**6} MB of free space are needed")
    unpack(payload, manifest, folder)
    wheels = sorted((folder / "wheels").iterdir())
    pip = next((wheel for wheel in wheels if wheel.name.startswith("pip-")), None)
    if not pip:
        raise InstallError(f"{payload}: there is no pip in it; make it anew")
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", venv)
    # --ignore-installed: a numpy of the system is not to be relied on; the environment's own goes before it.
    run(
        venv / "bin/python",
        pip / "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        "--ignore-installed",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        *(wheel for wheel in wheels if wheel != pip),
    )
    shutil.rmtree(folder / "wheels")
    keep_bundle(folder, home)
    try_out(folder)
    os.sync()
    return folder


def keep_bundle(folder, home):
    """Have a version that came without a bundle go on with that of the current one, or else with the shipped one."""
    own, current = folder / BUNDLE, home / "current" / BUNDLE
    if own.exists():
        return
    if current.exists() and not current.is_symlink():
        shutil.copyfile(current, own)
        return
    shipped = next(
        folder.glob("venv/lib/python3*/site-packages/picaption/models/pretrained/everyday.tflite"),
        None,
    )
    if not shipped:
        raise InstallError(f"{folder}: this version has no bundle")
    own.symlink_to(shipped)


def try_out(folder):
    """Have a version caption a demo picture; raises Fault where it cannot."""
    picture = next(
        folder.glob("venv/lib/python3*/site-packages/picaption/device/sources/demo/*.jpg"),
        "demo.jpg",
    )
    said = run(
        folder / "venv/bin/picaption", "image", "--json", "--bundle", folder / BUNDLE, picture
    )
    if '"caption"' not in said:
        raise InstallError(f"{folder}: this version does not caption")


def runs(folder, home=HOME):
    """Return whether the version in a folder is the current one."""
    return (home / "current").is_symlink() and (home / "current").resolve() == folder.resolve()


def point(link, target):
    """Have the symbolic link at a path point to `target`: at once, and for good."""
    partial = link.with_name(f".{link.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    os.replace(partial, link)
    os.sync()


def remove_others(home=HOME):
    """Remove all versions but the current one, and whatever was left of an update."""
    current = (home / "current").resolve()
    kept = {current.name, (current / "venv").resolve().parent.name}
    for folder in (home / "versions").iterdir():
        if folder.name not in kept:
            shutil.rmtree(folder)


def run(*command):
    """Run a program and return what it prints; raises Fault, with its last line, where it fails."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        raise InstallError(f"there is no {command[0]} here") from None
    if done.returncode:
        lines = (
            done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        ).splitlines()
        raise InstallError(f"{' '.join(map(str, command[:3]))} failed: {lines[-1]}")
    return done.stdout


def write(path, text, mode=0o644):
    """Write a text file, whole and for good; one that holds that text already is left alone."""
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if path.read_text(encoding="utf-8") == text:
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with open(partial, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def set_up(boot, root=Path("/")):
    """Install the payload in the folder `boot`, have the service run it from now on, and remove that folder.

    root: the folder that stands for /. Raises Fault where that cannot be; the next boot tries again.
    """
    payload, home = boot / "payload.tar", root / HOME.relative_to("/")
    if payload.exists():
        point(home / "current", install(payload, home))
        remove_others(home)
        for name, text in FILES.items():
            write(root / name, text, 0o755 if name == COMMAND else 0o644)
        _settings(boot / "picaption.toml", root / SETTINGS)
        _start(root, home / "current")
        os.sync()
    for name in (
        "payload.tar",
        "picaption.toml",
        "failed.txt",
        PROGRAM,
    ):  # this file last: it is what brings us back
        (boot / name).unlink(missing_ok=True)
        os.sync()
    with contextlib.suppress(OSError):
        boot.rmdir()
    for unit in (
        "multi-user.target.wants/picaption-setup.service",
        "picaption-setup.service",
    ):  # what has run this on Bookworm
        (root / UNITS / unit).unlink(missing_ok=True)


def _settings(source, target):
    """Write the service's settings, which its group alone may read; other ones that are there are kept beside them."""
    if not source.exists():
        return
    text = source.read_text(encoding="utf-8")
    if target.exists() and target.read_text(encoding="utf-8") != text:
        shutil.copy2(target, f"{target}.before")
    write(target, text, 0o640)
    with contextlib.suppress(LookupError, PermissionError):
        shutil.chown(target, group="video")


def _start(root, current):
    """Enable the services and start picaption; that it does not start is no reason to begin anew."""
    units = ["picaption-rollback.service"]
    if (
        re.search(
            r'^source = "(?!auto|picamera2)',
            (root / SETTINGS).read_text(encoding="utf-8"),
            re.MULTILINE,
        )
        is None
    ):
        units.append("picaption-camera.service")
    with contextlib.suppress(InstallError):
        run(
            "systemctl", "disable", "--now", "dphys-swapfile.service"
        )  # Bookworm's; Trixie's heeds the file above
    with contextlib.suppress(InstallError):
        run("rfkill", "unblock", "wifi")
    run("systemctl", "restart", "systemd-journald.service")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", *units)
    if "picaption-camera.service" in units:
        run("systemctl", "start", "--no-block", "picaption-camera.service")
    try:
        # By the link: the unit is to run whichever version that is.
        run(
            current / "venv/bin/python",
            current / "venv/bin/picaption",
            "service",
            "install",
            "--config",
            root / SETTINGS,
        )
    except InstallError as error:
        run("systemctl", "is-enabled", "picaption.service")
        print(error, file=sys.stderr)


def main():
    """Set the Pi up; where that fails, leave a line on the boot partition that says why, and exit with 1."""
    boot = Path(__file__).resolve().parent
    try:
        set_up(boot)
    except (InstallError, OSError) as error:
        print(f"picaption: {error}", file=sys.stderr)
        with contextlib.suppress(OSError):
            (boot / "failed.txt").write_text(f"{error}\n", encoding="utf-8")
        sys.exit(1)


if __name__ == "__main__":
    main()
