"""Cards, and a payload of next to nothing, to install for real."""

import ensurepip
import os
import platform
import sys
import zipfile
from pathlib import Path

import pytest

from picaption.device.flash.payload import write
from tests.device.flash.cards import BOOKWORM, PROGRAM, TRIXIE, make_boot

METADATA = "Metadata-Version: 2.1\nName: picaption\nVersion: VERSION\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
ENTRY_POINTS = "[console_scripts]\npicaption = picaption.device.program:main\n"


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """No waiting for all disks of this machine."""
    monkeypatch.setattr(os, "sync", lambda: None)


@pytest.fixture
def trixie(tmp_path):
    """A folder that is the boot partition of Trixie."""
    return make_boot(tmp_path / "bootfs", TRIXIE)


@pytest.fixture
def bookworm(tmp_path):
    """A folder that is the boot partition of Bookworm."""
    return make_boot(tmp_path / "bootfs", BOOKWORM)


@pytest.fixture
def card_payload(tmp_path):
    """The path of a payload for Trixie's Python, too small to be of use."""
    path = tmp_path / "wheel"
    path.write_bytes(b"no wheel")
    write(tmp_path / "card.tar", "3.13", {"wheels/a-1-py3-none-any.whl": path})
    return tmp_path / "card.tar"


@pytest.fixture
def pip_wheel():
    """The path of this Python's wheel of pip."""
    path = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"), None)
    if path is None:
        pytest.skip("this Python has no wheel of pip: Debian has it in python3-venv")
    return path


@pytest.fixture
def make_payload(tmp_path, pip_wheel):
    """A function that makes a payload of a version for this Python and machine, with a bundle."""

    def make(version, bundle=b"it captions"):
        wheel = tmp_path / f"picaption-{version}-py3-none-any.whl"
        about = f"picaption-{version}.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in {
                "picaption/device/program.py": PROGRAM.replace("VERSION", version),
                "picaption/device/sources/demo/cat.jpg": "a cat",
                "picaption/models/pretrained/everyday.tflite": bundle,
                f"{about}/METADATA": METADATA.replace("VERSION", version),
                f"{about}/WHEEL": WHEEL,
                f"{about}/entry_points.txt": ENTRY_POINTS,
                f"{about}/RECORD": "",
            }.items():
                archive.writestr(name, text)
        path = tmp_path / f"{version}.tar"
        write(
            path,
            f"{sys.version_info[0]}.{sys.version_info[1]}",
            {f"wheels/{file.name}": file for file in (pip_wheel, wheel)},
            version=version,
            architecture=platform.machine(),
        )
        return path

    return make
