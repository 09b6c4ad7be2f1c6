"""picaption is one name: a user's program keeps its own `device`, `models` and `convert`."""

import configparser
import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.tiny import DEMO

ROOT = Path(__file__).parents[1]
ROOMS = ("device", "models", "convert")
#: The console script beside the interpreter that runs the tests.
PICAPTION = Path(sys.executable).with_name("picaption")
COMMANDS = (
    "annotate",
    "bench",
    "config",
    "convert",
    "doctor",
    "evaluate",
    "flash",
    "fleet",
    "history",
    "image",
    "inspect",
    "live",
    "search",
    "serve",
    "service",
    "teach",
    "train",
    "update",
)

needs_script = pytest.mark.skipif(
    not PICAPTION.exists(), reason="picaption is not installed beside this Python"
)
needs_tree = pytest.mark.skipif(
    not (ROOT / "setup.cfg").exists(), reason="the tests run without the source tree"
)
needs_setuptools = pytest.mark.skipif(
    importlib.util.find_spec("setuptools") is None, reason="setuptools is not installed"
)


@pytest.fixture
def program(tmp_path):
    """The folder of a user's program with modules of picaption's rooms' names."""
    for package in ("models", "convert"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "__init__.py").write_text(f"MINE = {package!r}\n")
    (tmp_path / "device.py").write_text("MINE = 'device'\n")
    (tmp_path / "main.py").write_text(
        "import convert, device, models\n"
        "from picaption.device import Recognizer, default_bundle\n"
        "import picaption.device.bundle.runtime\n"
        "assert [module.MINE for module in (device, models, convert)] "
        "== ['device', 'models', 'convert']\n"
        "assert default_bundle().name == 'everyday.tflite'\n"
        "print(Recognizer.__name__)\n"
    )
    return tmp_path


def run(folder, *command, python_path="."):
    """Run a command in a folder with PYTHONPATH; return its CompletedProcess, which succeeded."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if python_path:
        environment["PYTHONPATH"] = python_path
    result = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    return result


def packages():
    """Return the packages that setup.cfg lists."""
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup["options"]["packages"].split()


# --- a user's program


@pytest.mark.parametrize("python_path", [".", None])
def test_a_program_with_rooms_of_its_own_imports_picaption(program, python_path):
    assert run(program, sys.executable, "main.py", python_path=python_path).stdout == "Recognizer\n"


@needs_script
def test_help_lists_every_command_beside_such_a_program(program):
    output = run(program, PICAPTION, "--help").stdout
    listed = re.findall(r"^  (\w+)  +(\S.*)$", output.partition("Commands:\n")[2], re.MULTILINE)
    assert sorted(name for name, _ in listed) == sorted(COMMANDS)
    assert all(len(text) < 45 and text.endswith(".") for _, text in listed)


@needs_script
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_loads_beside_such_a_program(program, command):
    result = run(program, PICAPTION, command, "--help")
    assert result.stdout.startswith(f"Usage: picaption {command} ")


@needs_script
def test_commands_work_beside_such_a_program(program):
    photo = DEMO / "cat.jpg"
    assert "  caption  " in run(program, PICAPTION, "image", photo).stdout
    bundle = run(
        program,
        sys.executable,
        "-c",
        "from picaption.device import default_bundle; print(default_bundle())",
    ).stdout.strip()
    assert "name        everyday" in run(program, PICAPTION, "inspect", bundle).stdout


@pytest.mark.parametrize("module", ["bench.soak", "bench.fingerprint"])
def test_modules_that_are_programs_run_beside_such_a_program(program, module):
    run(program, sys.executable, "-m", f"picaption.device.{module}", "--help")


# --- what is installed


@needs_tree
def test_every_package_is_listed_in_setup_cfg():
    folders = {
        "picaption." + ".".join(path.parent.relative_to(ROOT).parts)
        for room in ROOMS
        for path in (ROOT / room).rglob("__init__.py")
    }
    assert sorted(packages()) == sorted(folders)
    assert not (ROOT / "picaption").exists()  # It would shadow the installed namespace.


def is_ours(name):
    """Return whether an installed file is where picaption's belong."""
    return bool(re.match(r"picaption/(device|models|convert)/|picaption-[^/]*\.dist-info/", name))


def test_nothing_but_picaption_lands_in_site_packages():
    # Building in the source tree leaves a list of files there too, which is not the one meant.
    site_packages = [sysconfig.get_path("purelib")]
    installed = importlib.metadata.distributions(name="picaption", path=site_packages)
    files = [str(file) for distribution in installed for file in distribution.files or ()]
    if not any(file.startswith("picaption/device/") for file in files):
        pytest.skip("picaption is installed for editing, or not at all")
    scripts = [file for file in files if file.endswith("bin/picaption")]
    assert [file for file in files if not is_ours(file) and file not in scripts] == []


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A copy of the source tree, in which builds may leave their folders."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for room in ROOMS:
        shutil.copytree(ROOT / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


def pip(*arguments):
    """Run pip without the network; skip the test if it cannot build here."""
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200)
    if result.returncode:
        errors = [line.strip() for line in result.stderr.splitlines() if "error:" in line.lower()]
        pytest.skip(f"pip cannot build here: {errors[0] if errors else result.returncode}")


@needs_tree
@needs_setuptools
def test_a_wheel_holds_every_file_under_picaption(tree, tmp_path):
    pip("wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "-w", tmp_path, tree)
    (wheel,) = tmp_path.glob("picaption-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert [name for name in names if not is_ours(name)] == []
    files = {
        f"picaption/{path.relative_to(tree)}"
        for room in ROOMS
        for path in (tree / room).rglob("*")
        if path.is_file() and path.name != "README.md"
    }
    assert files - set(names) == set()
    assert {f"picaption/{room}/py.typed" for room in ROOMS} <= set(names)


@needs_tree
@needs_setuptools
def test_an_installation_for_editing_works(tree, tmp_path):
    subprocess.run(
        [sys.executable, "-m", "venv", "--system-site-packages", "--without-pip", tmp_path / "env"],
        check=True,
    )
    python = tmp_path / "env" / "bin" / "python"
    # A virtual environment of a virtual environment does not see the packages of that one. It
    # shall see them all but picaption itself.
    outer = tmp_path / "outer"
    outer.mkdir()
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if not path.name.startswith(("picaption", "__editable__")):
            (outer / path.name).symlink_to(path)
    site_packages = sysconfig.get_path("purelib", vars={"base": str(tmp_path / "env")})
    Path(site_packages, "outer.pth").write_text(f"{outer}\n")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed")
    pip("--python", python, "install", *options, "--editable", tree)
    where = "import picaption.device, picaption.models; print(picaption.device.__file__)"
    result = run(tmp_path, python, "-c", where, python_path=None)
    assert Path(result.stdout.strip()) == tree / "device" / "__init__.py"
    assert "Caption" in run(tmp_path, python.with_name("picaption"), "--help").stdout
