"""What a Pi installs: one archive with the wheels of picaption and all that it needs.

It may hold a bundle too. The wheels come from the package index, for the Pi's processor and
Python, so that the Pi needs no network.
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

#: The processor of a 64-bit Pi, as platform.machine() names it.
ARCHITECTURE = "aarch64"
#: The folders that make up picaption.
ROOMS = ("device", "models", "convert")
#: The folder that the rooms are in: a checkout, or picaption's in site-packages.
ROOT = Path(__file__).parents[2]
#: The minor version of the system's glibc 2, the newest that its wheels may need, by its Python.
GLIBC_MINOR = {"3.11": 36, "3.13": 41}
_OLDEST_GLIBC_MINOR = 17
#: The numpy that the system's own packages, such as picamera2, were built against, by its Python.
SYSTEM_NUMPY = {"3.11": "numpy>=1.26,<2", "3.13": "numpy>=2.2"}
#: Two files that the wheel holds twice. A card that was made when picaption's rooms still stood
#: at the top of site-packages looks for them there in an update, which its own, older installer
#: makes: the shipped bundle and a demo photo, by the paths on the left. After that update the new
#: installer is on the card and looks in picaption/ only, so these can go one version later.
FLAT_LAYOUT = {
    "models/pretrained/everyday.tflite": "models/pretrained/everyday.tflite",
    "device/demo/cat.jpg": "device/sources/demo/cat.jpg",
}

#: The time of archives' members, always the same, as the archive of the same content is then:
#: the earliest that ZIP knows.
_EPOCH = (1980, 1, 1, 0, 0, 0)


def collect(
    python: str,
    target: Path,
    bundle: Path | None = None,
    *,
    root: Path = ROOT,
    version: str | None = None,
    architecture: str = ARCHITECTURE,
) -> None:
    """Write a payload to `target`.

    Args:
        python: the Pi's Python, "3.11" or "3.13".
        target: the path to write to.
        bundle: the path of a bundle of one's own; None for the shipped one.
        root: the folder of picaption's rooms: of what runs here, or of a changed copy.
        version: what the payload calls its version; None for that of what runs here.
        architecture: the Pi's processor, as platform.machine() names it.

    Raises:
        PicaptionError: wheels cannot be fetched, or the bundle is unusable.
    """
    if bundle:
        Bundle(bundle)
    with tempfile.TemporaryDirectory() as folder:
        wheels = Path(folder, "wheels")
        download(own_wheel(Path(folder), root), python, wheels, architecture)
        files = {f"wheels/{path.name}": path for path in sorted(wheels.iterdir())}
        if bundle:
            files[BUNDLE] = bundle
        write(target, python, files, version=version, architecture=architecture)


def write(
    target: Path,
    python: str,
    files: dict[str, Path],
    *,
    version: str | None = None,
    architecture: str = ARCHITECTURE,
) -> None:
    """Write a payload of `files` behind their manifest.

    Args:
        target: the path to write to.
        python: the Pi's Python, "3.11" or "3.13".
        files: the paths of the files by their names in the payload.
        version: what it calls its version; None for that of what runs here.
        architecture: the Pi's processor, as platform.machine() names it.
    """
    manifest = {
        "format": 1,
        "version": version or metadata.version("picaption"),
        "python": python,
        "machine": architecture,
        "files": {name: _sha256(path) for name, path in files.items()},
    }
    content = json.dumps(manifest, indent=1).encode()
    with (
        atomic_write(target) as partial,
        tarfile.open(partial, "w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        archive.addfile(_member(MANIFEST, len(content)), io.BytesIO(content))
        for name, path in files.items():
            with open(path, "rb") as file:
                archive.addfile(_member(name, path.stat().st_size), file)


def download(wheel: Path, python: str, folder: Path, architecture: str = ARCHITECTURE) -> None:
    """Fetch what `wheel`, picaption's own, needs on a Pi into a folder, and copy it there too.

    Args:
        wheel: the path of picaption's wheel.
        python: the Pi's Python, "3.11" or "3.13".
        folder: the folder to write to.
        architecture: the Pi's processor, as platform.machine() names it.

    Raises:
        PicaptionError: pip fails.
    """
    _run_pip(download_command(python, folder, architecture, f"{wheel}[fleet,mqtt,web]", "pip"))
    # OpenCV's wheels ask for numpy 2, which pip would not leave out, and run with either.
    for numpy in folder.glob("numpy-*.whl"):
        numpy.unlink()
    _run_pip(download_command(python, folder, architecture, "--no-deps", SYSTEM_NUMPY[python]))


def _run_pip(command: list[str]) -> None:
    """Run pip; raises PicaptionError, with its reason, if it fails."""
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        lines = result.stderr.splitlines() or ["no reason"]
        errors = [line for line in lines if line.startswith("ERROR")]
        reason = (errors or lines)[-1].removeprefix("ERROR: ")
        raise PicaptionError(
            "the wheels for the Pi cannot be fetched; is there a network, and pip in this Python? "
            f"pip says: {reason}"
        )


def download_command(python: str, folder: Path, architecture: str, *arguments: str) -> list[str]:
    """Return the command line of pip that fetches what its arguments name for a Pi."""
    glibc_minors = range(GLIBC_MINOR[python], _OLDEST_GLIBC_MINOR - 1, -1)
    platforms = [f"manylinux_2_{minor}_{architecture}" for minor in glibc_minors]
    platforms.append(f"manylinux2014_{architecture}")
    return [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        f"--dest={folder}",
        "--only-binary=:all:",
        "--implementation=cp",
        f"--python-version={python}",
        *(f"--platform={platform}" for platform in platforms),
        *arguments,
    ]


def own_wheel(folder: Path, root: Path = ROOT) -> Path:
    """Write a wheel of picaption into a folder and return its path.

    Args:
        folder: the folder to write to.
        root: the folder of picaption's rooms: of what runs here, or of a changed copy.
    """
    distribution = metadata.distribution("picaption")
    version = distribution.version
    information = f"picaption-{version}.dist-info"
    wheel_format = "Wheel-Version: 1.0\nGenerator: picaption\nRoot-Is-Purelib: true\n"
    files = _package_files(root)
    for name, source in FLAT_LAYOUT.items():
        files[name] = files[f"picaption/{source}"]
    files |= {
        f"{information}/METADATA": _core_metadata(distribution).encode(),
        f"{information}/WHEEL": f"{wheel_format}Tag: py3-none-any\n".encode(),
        f"{information}/entry_points.txt": _entry_points(root, distribution).encode(),
    }
    record = f"{information}/RECORD"
    files[record] = _record(files, record).encode()
    path = folder / f"picaption-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            member = zipfile.ZipInfo(name, _EPOCH)
            member.external_attr = 0o644 << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(member, content)
    return path


def _package_files(root: Path) -> dict[str, bytes]:
    """Return the content of picaption's files, by their paths in site-packages."""
    return {
        f"picaption/{path.relative_to(root).as_posix()}": path.read_bytes()
        for room in ROOMS
        for path in sorted((root / room).rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def _core_metadata(distribution: metadata.Distribution) -> str:
    # A checkout that is installed for development may have the second file only.
    text = distribution.read_text("METADATA") or distribution.read_text("PKG-INFO")
    if not text:
        raise PicaptionError("this picaption has no metadata; install it with pip")
    return text


def _entry_points(root: Path, distribution: metadata.Distribution) -> str:
    """Return the entry points: of a checkout's setup.cfg, if there is one, else as installed.

    The checkout's may be newer than what was installed of it.
    """
    checkout = configparser.ConfigParser(delimiters=("=",))
    checkout.read(root / "setup.cfg", encoding="utf-8")
    if "options.entry_points" not in checkout:
        return distribution.read_text("entry_points.txt") or ""
    groups = checkout["options.entry_points"]
    return "".join(f"[{name}]{entries}\n" for name, entries in groups.items())


def _record(files: dict[str, bytes], record: str) -> str:
    """Return the wheel's RECORD: each file's checksum and size, without its own."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        rows.writerow((name, f"sha256={digest}", len(content)))
    rows.writerow((record, "", ""))
    return text.getvalue()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
