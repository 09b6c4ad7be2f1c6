"""What a Pi runs at its first boot, from its boot partition: installs picaption from a payload.

It stands alone: only the standard library is there then. Power may fail at any moment, so every
step leaves what is done as it is, an unfinished step starts over, and the payload goes last. It
runs at every boot until this file is gone.
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
from typing import IO

#: What this file is called on the boot partition.
PROGRAM = "firstboot.py"
#: What the payload beside it is called.
PAYLOAD = "payload.tar"
#: Where picaption is on a Pi: versions/NAME, and `current`, a link to the one that runs.
HOME = Path("/opt/picaption")
#: A link to the version before, which a roll-out may go back to.
BEFORE = "before"
MANIFEST = "manifest.json"
BUNDLE = "bundle.tflite"
#: A payload's members: the manifest, wheels, and perhaps a bundle.
MEMBER = re.compile(r"manifest\.json|bundle\.tflite|wheels/[A-Za-z0-9_.+-]+\.whl")
#: How many times the size of its payload an installed version takes.
GROWTH = 5

SETTINGS = "etc/picaption.toml"
#: The public keys that the Pi trusts, where the card brings some, and their name on the card.
KEYS = "etc/picaption-keys.json"
CARD_KEYS = "keys.json"
COMMAND = "usr/local/bin/picaption"
UNITS = "etc/systemd/system"
UPDATE_UNIT = f"{UNITS}/picaption-update.path"

_ROLLBACK_UNIT = f"""\
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
"""
_CAMERA_UNIT = """\
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
ExecStart=/usr/bin/apt-get install --yes --no-install-recommends \\
    --option=DPkg::Lock::Timeout=300 python3-picamera2
ExecStart=/bin/systemctl --no-block try-restart picaption.service

[Install]
WantedBy=multi-user.target
"""
_UPDATE_PATH_UNIT = """\
# The service asks there for a version that a roll-out brings: with fleet and public_keys only.
[Unit]
Description=Look for a version that picaption asks for

[Path]
PathExists=/var/lib/picaption/fleet/order.json

[Install]
WantedBy=multi-user.target
"""
_UPDATE_UNIT = f"""\
# Checks everything by the keys of /etc/picaption.toml before it takes it.
[Unit]
Description=Take a version that was rolled out

[Service]
Type=oneshot
TimeoutStartSec=1800
ExecStart=/{COMMAND} fleet obey
"""
_COMMAND_SCRIPT = f"""\
#!/bin/sh
exec {HOME}/current/venv/bin/python {HOME}/current/venv/bin/picaption "$@"
"""
#: Files that this writes, by path: the command; what keeps logs and swapped memory off the card;
#: and two units.
FILES = {
    COMMAND: _COMMAND_SCRIPT,
    "etc/systemd/journald.conf.d/picaption.conf": (
        "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n"
    ),
    "etc/rpi/swap.conf.d/picaption.conf": "[Main]\nMechanism=zram\n",
    f"{UNITS}/picaption-rollback.service": _ROLLBACK_UNIT,
    f"{UNITS}/picaption-camera.service": _CAMERA_UNIT,
    UPDATE_UNIT: _UPDATE_PATH_UNIT,
    f"{UNITS}/picaption-update.service": _UPDATE_UNIT,
}


class InstallError(Exception):
    """One line that names what a payload, or its installation, failed at."""


@dataclass(frozen=True)
class Manifest:
    """What a payload says of itself.

    Attributes:
        name: what the version is called where it is installed.
        version: picaption's version.
        python: the Python that it is for, such as "3.13".
        architecture: the processor that it is for, as platform.machine() names it.
        files: the SHA-256 of its files, by name.
    """

    name: str
    version: str
    python: str
    architecture: str
    files: dict[str, str]


def read_manifest(payload: Path) -> Manifest:
    """Return the Manifest of the payload at a path; raises InstallError if it is not a payload."""
    try:
        with tarfile.open(payload, "r:") as archive:
            content = _open_member(archive, archive.getmember(MANIFEST), payload).read()
        return _parse_manifest(content, payload)
    except (
        tarfile.TarError,
        KeyError,
        TypeError,
        AttributeError,
        ValueError,
        EOFError,
        RecursionError,  # JSON that is nested too deeply
    ):
        raise InstallError(
            f"{payload}: not a payload of picaption; picaption flash payload makes one"
        ) from None
    except OSError as error:
        raise InstallError(f"{payload}: cannot be read: {error.strerror}") from None


def _parse_manifest(content: bytes, payload: Path) -> Manifest:
    fields = json.loads(content)
    if fields["format"] != 1:
        raise InstallError(
            f"{payload}: a payload of format {fields['format']}, which this picaption does not know"
        )
    if not isinstance(fields["files"], dict):
        raise TypeError("the files of a manifest are a table")
    name = f"{fields['version']}-{hashlib.sha256(content).hexdigest()[:8]}"
    is_name_valid = re.fullmatch(r"[0-9A-Za-z][0-9A-Za-z.+-]*", name)
    if not is_name_valid or not all(MEMBER.fullmatch(file) for file in fields["files"]):
        raise InstallError(f"{payload}: its manifest names what no payload has")
    return Manifest(
        name=name,
        version=fields["version"],
        python=fields["python"],
        architecture=fields["machine"],
        files=fields["files"],
    )


def unpack(payload: Path, manifest: Manifest, folder: Path) -> None:
    """Write a payload's files into a folder.

    Raises InstallError if one of them is not what the manifest says.
    """
    with tarfile.open(payload, "r:") as archive:
        members = {member.name: member for member in archive}
        if members.keys() - {MANIFEST} != manifest.files.keys():
            raise InstallError(f"{payload}: its files are not those of its manifest; make it again")
        for name, checksum in manifest.files.items():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with (
                _open_member(archive, members[name], payload) as source,
                open(target, "wb") as file,
            ):
                shutil.copyfileobj(source, file, 1 << 20)
            with open(target, "rb") as file:
                if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                    raise InstallError(f"{payload}: {name} is damaged; make it again")


def _open_member(archive: tarfile.TarFile, member: tarfile.TarInfo, payload: Path) -> IO[bytes]:
    file = archive.extractfile(member) if member.isreg() else None
    if file is None:
        raise InstallError(f"{payload}: {member.name} is not a plain file")
    return file


def install(payload: Path, home: Path = HOME) -> Path:
    """Install the payload at a path beside other versions, try it out, and return its folder.

    What runs is not touched. Raises InstallError if the version does not fit or does not work.
    """
    manifest = read_manifest(payload)
    folder = home / "versions" / manifest.name
    if is_current(folder, home):
        return folder
    _check_platform(payload, manifest)
    shutil.rmtree(folder, ignore_errors=True)  # what an earlier attempt left unfinished
    folder.mkdir(parents=True)
    needed = GROWTH * os.stat(payload).st_size
    if shutil.disk_usage(folder).free < needed:
        raise InstallError(f"{folder}: {needed // 10**6} MB of free space are needed")
    unpack(payload, manifest, folder)
    _install_wheels(folder, payload)
    provide_bundle(folder, home)
    try_out(folder)
    os.sync()
    return folder


def _check_platform(payload: Path, manifest: Manifest) -> None:
    """Raise InstallError if a payload is for another Python or processor."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    architecture = platform.machine()
    if (manifest.python, manifest.architecture) != (python, architecture):
        raise InstallError(
            f"{payload}: it is for Python {manifest.python} on {manifest.architecture}, and this "
            f"is Python {python} on {architecture}"
        )


def _install_wheels(folder: Path, payload: Path) -> None:
    """Install a version's wheels into its own environment, with the pip that is among them."""
    wheels = sorted((folder / "wheels").iterdir())
    pip = next((wheel for wheel in wheels if wheel.name.startswith("pip-")), None)
    if not pip:
        raise InstallError(f"{payload}: there is no pip in it; make it again")
    venv = folder / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", venv)
    run(
        venv / "bin/python",
        pip / "pip",
        "install",
        "--quiet",
        "--no-index",
        "--no-deps",
        # The system's numpy may be of another version; the environment's own goes before it.
        "--ignore-installed",
        "--disable-pip-version-check",
        "--root-user-action=ignore",
        *(wheel for wheel in wheels if wheel != pip),
    )
    shutil.rmtree(folder / "wheels")


def provide_bundle(folder: Path, home: Path) -> None:
    """Let a version without a bundle of its own use that of the current one, or the shipped one."""
    bundle = folder / BUNDLE
    current = home / "current" / BUNDLE
    if bundle.exists():
        return
    if current.exists() and not current.is_symlink():
        shutil.copyfile(current, bundle)
        return
    shipped = _package_file(folder, "models/pretrained/everyday.tflite")
    if not shipped:
        raise InstallError(f"{folder}: this version has no bundle")
    bundle.symlink_to(shipped)


def try_out(folder: Path) -> None:
    """Have a version caption a demo photo; raises InstallError if it cannot."""
    photo = _package_file(folder, "device/sources/demo/*.jpg") or "demo.jpg"
    output = run(
        folder / "venv/bin/picaption", "image", "--json", "--bundle", folder / BUNDLE, photo
    )
    if '"caption"' not in output:
        raise InstallError(f"{folder}: this version does not caption")


def _package_file(folder: Path, pattern: str) -> Path | None:
    """Return a file of the picaption that a version has installed; None if there is none."""
    return next(folder.glob(f"venv/lib/python3*/site-packages/picaption/{pattern}"), None)


def is_current(folder: Path, home: Path = HOME) -> bool:
    """Return whether the version in a folder is the current one."""
    current = home / "current"
    return current.is_symlink() and current.resolve() == folder.resolve()


def point(link: Path, target: Path) -> None:
    """Make the symbolic link at a path point to `target`, atomically and durably."""
    partial = link.with_name(f".{link.name}.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(target)
    os.replace(partial, link)
    os.sync()


def remove_old_versions(home: Path = HOME) -> None:
    """Remove all versions but the current one, and those whose environments are used.

    The one before stays, too, where a roll-out may go back to it.
    """
    links = [home / "current", home / BEFORE]
    used = [link.resolve() for link in links if link.is_symlink()]
    needed = {name for version in used for name in _version_names(version)}
    for folder in (home / "versions").iterdir():
        if folder.name not in needed:
            shutil.rmtree(folder)


def _version_names(version: Path) -> tuple[str, str]:
    """Return the names of a version and of the one whose environment it uses."""
    return version.name, (version / "venv").resolve().parent.name


def run(*command: str | Path) -> str:
    """Run a program and return what it prints.

    Raises InstallError, with the last line of its errors, if it fails.
    """
    words = [str(word) for word in command]
    try:
        result = subprocess.run(
            words,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
        )
    except FileNotFoundError:
        raise InstallError(f"there is no {words[0]} here") from None
    if result.returncode:
        output = result.stderr.strip() or result.stdout.strip() or f"exit code {result.returncode}"
        raise InstallError(f"{' '.join(words[:3])} failed: {output.splitlines()[-1]}")
    return result.stdout


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file atomically and durably; leave one that holds that text already alone."""
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


def set_up(boot: Path, root: Path = Path("/")) -> None:
    """Install the payload in the folder `boot` as the service, and remove that folder.

    Args:
        boot: picaption's folder on the boot partition.
        root: the folder that stands for /.

    Raises:
        InstallError: it does not work; the next boot tries again.
    """
    payload = boot / PAYLOAD
    home = root / HOME.relative_to("/")
    if payload.exists():
        point(home / "current", install(payload, home))
        remove_old_versions(home)
        for name, text in FILES.items():
            write(root / name, text, 0o755 if name == COMMAND else 0o644)
        if (boot / CARD_KEYS).exists():
            write(root / KEYS, (boot / CARD_KEYS).read_text(encoding="utf-8"))
        _write_settings(boot / "picaption.toml", root / SETTINGS)
        _start_services(root, home / "current")
        os.sync()
    # This file last: it is what the next boot looks for.
    for name in (PAYLOAD, "picaption.toml", CARD_KEYS, "failed.txt", PROGRAM):
        (boot / name).unlink(missing_ok=True)
        os.sync()
    with contextlib.suppress(OSError):
        boot.rmdir()
    # The unit that runs this on Bookworm.
    for unit in ("multi-user.target.wants/picaption-setup.service", "picaption-setup.service"):
        (root / UNITS / unit).unlink(missing_ok=True)


def _write_settings(source: Path, target: Path) -> None:
    """Write the service's settings, which only its group may read; back up different ones."""
    if not source.exists():
        return
    text = source.read_text(encoding="utf-8-sig")
    if target.exists() and target.read_text(encoding="utf-8") != text:
        shutil.copy2(target, f"{target}.before")
    write(target, text, 0o640)
    with contextlib.suppress(LookupError, PermissionError):
        shutil.chown(target, group="video")


def _start_services(root: Path, current: Path) -> None:
    """Enable the services and start picaption; one that does not start is no reason to fail."""
    settings = (root / SETTINGS).read_text(encoding="utf-8-sig")
    # Only a source that names another camera, or the demo, needs no library of CSI cameras.
    needs_camera_library = not re.search(r'^source = "(?!auto|picamera2)', settings, re.MULTILINE)
    units = ["picaption-rollback.service", "picaption-update.path"]
    if needs_camera_library:
        units.append("picaption-camera.service")
    with contextlib.suppress(InstallError):
        # Bookworm's; Trixie's heeds the file in etc/rpi.
        run("systemctl", "disable", "--now", "dphys-swapfile.service")
    with contextlib.suppress(InstallError):
        run("rfkill", "unblock", "wifi")
    run("systemctl", "restart", "systemd-journald.service")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", *units)
    run("systemctl", "start", "--no-block", "picaption-update.path")
    if needs_camera_library:
        run("systemctl", "start", "--no-block", "picaption-camera.service")
    # By the link: the unit runs whichever version is the current one.
    program = (current / "venv/bin/python", current / "venv/bin/picaption")
    try:
        run(*program, "service", "install", "--config", root / SETTINGS)
    except InstallError as error:
        run("systemctl", "is-enabled", "picaption.service")
        print(error, file=sys.stderr)


def main() -> None:
    """Set the Pi up; if that fails, write why to the boot partition and exit with 1."""
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
