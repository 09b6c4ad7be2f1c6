"""Payloads: what is in them, and picaption's own wheel, which pip installs."""

import io
import json
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata

import pytest

from picaption import device
from picaption.device import cli
from picaption.device.errors import PicaptionError
from picaption.device.flash import payload
from picaption.device.flash.commands import flash
from picaption.device.flash.installer import read_manifest, unpack
from picaption.device.flash.payload import FLAT_LAYOUT, download, download_command, own_wheel, write

#: Loads all entry points and prints their names, and where picaption.device is.
LOAD_ENTRY_POINTS = """
from importlib.metadata import distribution
from picaption import device
entry_points = distribution("picaption").entry_points
print(*(entry_point.name for entry_point in entry_points if entry_point.load()), device.__file__)
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    """The path of picaption's wheel."""
    return own_wheel(tmp_path_factory.mktemp("wheel"))


def test_what_is_written_is_unpacked_again(tmp_path):
    files = {}
    for name, content in {
        "wheels/b-1-py3-none-any.whl": b"b",
        "wheels/a-1.0+x_y-py3.whl": b"a",
        "bundle.tflite": b"c",
    }.items():
        files[name] = tmp_path / name.replace("/", "_")
        files[name].write_bytes(content)
    write(tmp_path / "one.tar", "3.13", files)
    write(tmp_path / "two.tar", "3.13", files)
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    manifest = read_manifest(tmp_path / "one.tar")
    assert (manifest.python, manifest.architecture, manifest.version) == (
        "3.13",
        "aarch64",
        metadata.version("picaption"),
    )
    checksum_of_c = "2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6"
    assert manifest.files["bundle.tflite"] == checksum_of_c
    unpack(tmp_path / "one.tar", manifest, tmp_path / "out")
    assert {
        str(path.relative_to(tmp_path / "out")): path.read_bytes()
        for path in (tmp_path / "out").rglob("*.*")
    } == {name: path.read_bytes() for name, path in files.items()}


def test_the_wheel_is_one_and_holds_what_a_pi_needs(wheel, tmp_path):
    again = own_wheel(tmp_path)
    assert again.read_bytes() == wheel.read_bytes() and again.name == wheel.name
    names = zipfile.ZipFile(wheel).namelist()
    rooms = {
        path.parent.relative_to(payload.ROOT).as_posix()
        for room in payload.ROOMS
        for path in (payload.ROOT / room).rglob("*.py")
    }
    for name in (
        *(f"{room}/__init__.py" for room in rooms),
        *(f"{room}/py.typed" for room in payload.ROOMS),
        "device/cli.py",
        "device/outputs/web/pages/static/page.html",
        "device/sources/demo/cat.jpg",
        "device/flash/installer.py",
        "device/flash/seed.py",
        "models/pretrained/everyday.tflite",
        "convert/commands.py",
    ):
        assert f"picaption/{name}" in names
    assert not [name for name in names if "__pycache__" in name]
    folders = {name.partition("/")[0] for name in names}
    assert folders == {
        "picaption",
        "device",
        "models",
        wheel.name.rpartition("-py3")[0] + ".dist-info",
    }
    # Outside of picaption/ only what the installer of a card of the flat layout looks for.
    assert [name for name in names if name.startswith(("device", "models"))] == list(FLAT_LAYOUT)


def test_pip_installs_the_wheel(wheel, tmp_path):
    environment = tmp_path / "venv"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", environment],
        check=True,
    )
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "--python",
            environment,
            "install",
            "--quiet",
            "--no-index",
            "--no-deps",
            "--no-compile",
            "--ignore-installed",
            "--disable-pip-version-check",
            wheel,
        ],
        capture_output=True,
        text=True,
    )
    if "No module named pip" in done.stderr:
        pytest.skip("this Python has no pip")
    assert done.returncode == 0, done.stderr
    # This wheel goes before what it needs, which is where this test's own packages are.
    packages = next(environment.glob("lib/python3*/site-packages"))
    path = os.pathsep.join(
        [str(packages), *(entry for entry in sys.path if entry.endswith("-packages"))]
    )
    result = subprocess.run(
        [environment / "bin/python", "-c", LOAD_ENTRY_POINTS],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert result.returncode == 0, result.stderr
    *entry_points, location = result.stdout.split()
    assert {"picaption", "live", "flash", "update"} <= set(entry_points)
    assert location.startswith(str(packages)) and (environment / "bin/picaption").exists()


def test_wheels_that_are_not_to_be_had(wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(
        PicaptionError,
        match="the wheels for the Pi cannot be fetched; .* pip says: No matching distribution",
    ):
        download(wheel, "3.13", tmp_path / "wheels")


def test_bookworm_gets_an_opencv_without_the_hole_and_a_numpy_of_its_own_time(
    wheel, tmp_path, monkeypatch
):
    packages = tmp_path / "packages"
    packages.mkdir()
    for version in ("1.26.4", "2.4.6"):
        write_empty_wheel(packages, "numpy", version, [])
    write_empty_wheel(packages, "opencv_python_headless", "4.11.0.86", ["numpy>=1.21"])
    write_empty_wheel(packages, "opencv_python_headless", "5.0.0.93", ["numpy>=2"])
    for requirement in [*(metadata.requires("picaption") or ()), "pip"]:
        name = re.split(r"[^\w-]", requirement)[0].replace("-", "_")
        if name not in ("numpy", "opencv_python_headless", "picaption"):
            least = re.search(r">=([\d.]+)", requirement)
            write_empty_wheel(packages, name, least[1] if least else "1", [])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(packages))
    download(wheel, "3.11", tmp_path / "wheels")
    names = [path.name.split("-")[:2] for path in (tmp_path / "wheels").iterdir()]
    versions = dict(names)
    assert len(versions) == len(names) and {"pip", "picaption", "uvicorn"} <= set(versions)
    assert versions["opencv_python_headless"] == "5.0.0.93"
    assert versions["numpy"] == "1.26.4"


def write_empty_wheel(folder, name, version, requires):
    """Write a wheel without modules that says what it requires."""
    information = f"{name}-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{information}/METADATA", "\n".join(lines) + "\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")


def test_pip_is_asked_for_the_pis_machine_and_python(tmp_path):
    command = download_command("3.11", tmp_path, "aarch64", "--no-deps", "numpy<2")
    assert {
        "--only-binary=:all:",
        "--python-version=3.11",
        "--platform=manylinux_2_36_aarch64",
        "--platform=manylinux2014_aarch64",
        "--no-deps",
        "numpy<2",
    } <= set(command)
    assert "--platform=manylinux_2_37_aarch64" not in command  # Bookworm's glibc is 2.36


def test_the_command(tmp_path, monkeypatch, capsys):
    def fetch(wheel, python, folder, architecture):
        folder.mkdir()
        (folder / wheel.name).write_bytes(wheel.read_bytes())

    monkeypatch.setattr(payload, "download", fetch)
    bundle, out = device.default_bundle(), tmp_path / "p.tar"

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main(["payload", "--out", str(out), *map(str, arguments)], flash, "picaption flash")
        return (exit.value.code, *capsys.readouterr())

    assert call("--bundle", bundle)[0] == 0
    assert list(read_manifest(out).files)[1:] == ["bundle.tflite"]
    with tarfile.open(out) as archive:
        assert json.load(io.BytesIO(archive.extractfile("manifest.json").read()))["format"] == 1
        assert archive.extractfile("bundle.tflite").read() == bundle.read_bytes()
    before = out.read_bytes()
    (tmp_path / "no.tflite").write_text("no bundle")
    code, _, err = call("--bundle", tmp_path / "no.tflite")
    assert code == 2 and err.count("\n") == 1 and "no.tflite" in err and out.read_bytes() == before
