"""An update of a card made when picaption's rooms stood at the top of site-packages.

That card's own program makes the update: tests/data/flat_layout holds it, word by word, and here it
gets a payload of today.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from picaption.device import default_bundle
from picaption.device.flash.installer import point
from picaption.device.flash.payload import own_wheel, write
from picaption.device.flash.update import update
from tests.device.flash.cards import SYSTEMCTL, write_program

OLD_PROGRAM = Path(__file__).parents[2] / "data/flat_layout"
#: What the old program imports beside itself.
OLD_MODULES = {
    "__init__.py": "",
    "config.py": "effective = None\n",
    "errors.py": "class PicaptionError(Exception):\n    pass\n",
    "service.py": 'SETTINGS = UNIT = ""\ndef need_systemd():\n    pass\n',
    "flash/__init__.py": "",
}
OLD_UPDATE = """
import sys
from pathlib import Path
from device import update
payload, update.HOME, update.SETTINGS = map(Path, sys.argv[1:])
update.STEADY = 0.6
try:
    update.update.callback(payload)
except update.PicaptionError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def dependencies(tmp_path, monkeypatch):
    """All packages of this Python but picaption, in front of those of a new environment."""
    folder = tmp_path / "dependencies"
    folder.mkdir()
    for packages in (Path(entry) for entry in sys.path if entry.endswith("-packages")):
        for path in packages.iterdir():
            if "picaption" not in path.name and not (folder / path.name).exists():
                (folder / path.name).symlink_to(path)
    monkeypatch.setenv("PYTHONPATH", str(folder))


@pytest.fixture
def payload(tmp_path, pip_wheel):
    """The path of a payload with the wheel of the picaption that is tested."""
    wheel = own_wheel(tmp_path)
    path = tmp_path / "payload.tar"
    write(
        path,
        f"{sys.version_info[0]}.{sys.version_info[1]}",
        {f"wheels/{file.name}": file for file in (pip_wheel, wheel)},
        architecture=platform.machine(),
    )
    return path


@pytest.fixture
def home(tmp_path, monkeypatch):
    """The /opt/picaption of an old card: its version `old` works and has the shipped bundle."""
    home = tmp_path / "picaption"
    old = home / "versions/old"
    shipped = old / "venv/lib/python3/site-packages/models/pretrained/everyday.tflite"
    shipped.parent.mkdir(parents=True)
    shipped.write_bytes(b"the old one")
    (old / "bundle.tflite").symlink_to(shipped)
    (old / "works").touch()
    point(home / "current", old)
    (home / "started").write_text("0\n")
    systemctl = SYSTEMCTL.replace("-e current/works", "-e current/works -o -e new_works")
    systemctl = systemctl.replace("-e current/fails", "! -e current/works")
    write_program(tmp_path / "bin/systemctl", systemctl.format(home=home))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return home


@pytest.fixture
def old_update(tmp_path, home):
    """A function that updates the card by the old program and returns (output, errors)."""
    program = tmp_path / "old/device"
    (program / "flash").mkdir(parents=True)
    for name, text in OLD_MODULES.items():
        (program / name).write_text(text)
    (program / "update.py").write_bytes((OLD_PROGRAM / "update.py.txt").read_bytes())
    (program / "flash/firstboot.py").write_bytes((OLD_PROGRAM / "firstboot.py.txt").read_bytes())
    settings = tmp_path / "picaption.toml"
    settings.write_text(f'source = "demo"\nbundle = "{home}/current/bundle.tflite"\n')

    def run(payload):
        result = subprocess.run(
            [sys.executable, "-c", OLD_UPDATE, payload, home, settings],
            capture_output=True,
            text=True,
            cwd=program.parent,
        )
        return result.stdout, result.stderr

    return run


def test_the_update_works_and_so_does_the_next(
    old_update, home, payload, make_payload, dependencies, tmp_path, monkeypatch
):
    (home / "new_works").touch()
    output, errors = old_update(payload)
    current = (home / "current").resolve()
    assert (output, errors) == (f"{current.name} runs\n", "")
    assert [path.name for path in (home / "versions").iterdir()] == [current.name] != ["old"]
    assert (current / "bundle.tflite").read_bytes() == default_bundle().read_bytes()

    # The next update is made by the new program, which looks in picaption/ only.
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    line = update(make_payload("2.0"), home, tmp_path / "picaption.toml", steady=0.6)
    current = (home / "current").resolve()
    assert line == f"{current.name} runs" and current.name.startswith("2.0-")
    assert "site-packages/picaption/models/" in str((current / "bundle.tflite").resolve())


def test_an_update_that_does_not_come_up_is_taken_back(old_update, home, payload, dependencies):
    output, errors = old_update(payload)
    assert output == "" and "gave no result within 120 seconds: old runs again" in errors
    assert (home / "current").resolve().name == "old" and not (home / "previous").is_symlink()
    assert [path.name for path in (home / "versions").iterdir()] == ["old"]


def test_a_payload_without_the_two_files_is_refused_and_the_old_version_goes_on(
    old_update, home, make_payload
):
    output, errors = old_update(make_payload("2.0"))
    assert output == "" and errors.endswith("this version has no bundle\n")
    assert (home / "current").resolve().name == "old" and not (home / "restarts").exists()
