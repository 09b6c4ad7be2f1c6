"""What a Pi installs: one archive with the wheels of picaption and of all that it needs, and perhaps a bundle.

They are found in the package index here, for the Pi's machine and Python, so that the Pi needs no network.
"""

import base64
import configparser
import csv
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path

from ..atomic import atomic_write
from ..bundle.bundle import Bundle
from ..errors import PicaptionError
from .installer import BUNDLE, MANIFEST

MACHINE = "aarch64"
#: The newest glibc that the wheels may ask for: that of the system with such a Python; and what its packages were built against.
SYSTEMS = {"3.11": (36, ("numpy<2", "opencv-python-headless<4.12")), "3.13": (41, ("numpy>=2.2",))}
ROOMS = ("device", "models", "convert")
#: The time that archives' members bear, that the same content is the same archive: ZIP knows none before.
EPOCH = (1980, 1, 1, 0, 0, 0)


def collect(python, target, bundle=None):
    """Write the payload for a Pi's Python, "3.11" or "3.13", to `target`, with a bundle of one's own or without; returns `target`.

    Raises PicaptionError where wheels are not to be had, or the bundle is unusable.
    """
    if bundle:
        Bundle(bundle)
    with tempfile.TemporaryDirectory() as folder:
        download(own_wheel(Path(folder)), python, Path(folder, "wheels"))
        files = {
            f"wheels/{wheel.name}": wheel for wheel in sorted(Path(folder, "wheels").iterdir())
        }
        if bundle:
            files[BUNDLE] = Path(bundle)
        write(target, python, files)
    return target


def write(target, python, files):
    """Write a payload of `files`, paths by what they are called in it, behind their manifest."""
    manifest = {
        "format": 1,
        "version": metadata.version("picaption"),
        "python": python,
        "machine": MACHINE,
        "files": {name: _sha256(path) for name, path in files.items()},
    }
    with (
        atomic_write(target) as partial,
        tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        content = json.dumps(manifest, indent=1).encode()
        archive.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
        for name, path in files.items():
            with open(path, "rb") as file:
                archive.addfile(_member(name, path.stat().st_size), file)


def download(wheel, python, folder):
    """Fetch the wheels that a Pi needs to install `wheel`, and it itself, into a folder."""
    glibc, built_against = SYSTEMS[python]
    platforms = [f"manylinux_2_{minor}_{MACHINE}" for minor in range(glibc, 16, -1)] + [
        f"manylinux2014_{MACHINE}"
    ]
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--dest",
        folder,
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={python}",
        *(f"--platform={platform}" for platform in platforms),
        f"{wheel}[mqtt,web]",
        "pip",
        *built_against,
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = (
            [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            or done.stderr.splitlines()
            or ["no reason"]
        )
        raise PicaptionError(
            f"the wheels for the Pi cannot be fetched; is there a network, and pip in this Python? pip says: "
            f"{lines[-1].removeprefix('ERROR: ')}"
        )


def own_wheel(folder):
    """Write a wheel of the picaption that runs here into a folder, and return its path."""
    distribution = metadata.distribution("picaption")
    version, root = distribution.version, Path(__file__).parents[2]
    information = f"picaption-{version}.dist-info"
    files = {
        f"picaption/{path.relative_to(root).as_posix()}": path.read_bytes()
        for room in ROOMS
        for path in sorted((root / room).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }
    about = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    files[f"{information}/METADATA"] = about.encode()
    files[f"{information}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: picaption\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    files[f"{information}/entry_points.txt"] = (
        _checkouts_entry_points(root) or distribution.read_text("entry_points.txt")
    ).encode()
    record = io.StringIO()
    rows = csv.writer(record, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(content)))
    rows.writerow((f"{information}/RECORD", "", ""))
    files[f"{information}/RECORD"] = record.getvalue().encode()
    path = folder / f"picaption-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, EPOCH)
            member.external_attr, member.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            wheel.writestr(member, content)
    return path


def _checkouts_entry_points(root):
    """Return the entry points in a checkout's setup.cfg, which may be newer than what was installed of it; "" without one."""
    checkout = configparser.ConfigParser(delimiters=("=",))
    checkout.read(root / "setup.cfg", encoding="utf-8")
    groups = checkout["options.entry_points"] if "options.entry_points" in checkout else {}
    return "".join(f"[{name}]{entries}\n" for name, entries in groups.items())


def _member(name, size):
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
