"""The command line: how commands are found and loaded, and how they fail."""

import configparser
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import click
import pytest

from picaption.device import cli, commands
from picaption.device.errors import PicaptionError

ROOT = Path(__file__).parents[2]


def raising(error):
    @click.command()
    def command():
        raise error

    return command


def loading(monkeypatch, **entries):
    """Make `entries`, functions that load a command, the only ones there are."""
    commands = {name: SimpleNamespace(load=load) for name, load in entries.items()}
    monkeypatch.setattr(cli, "find_commands", lambda: commands)


# --- finding commands


def test_setup_cfg_offers_the_devices_commands():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    lines = setup["options.entry_points"][cli.GROUP].split("\n")
    offered = dict(line.replace(" ", "").split("=") for line in lines if line)
    assert {"image", "live"} <= set(offered)
    for target in ("image", "live", "teach"):
        module, name = offered[target].split(":")
        assert module == "picaption.device.commands" and isinstance(
            getattr(commands, name), click.Command
        )


def test_help_lists_the_commands_and_only_the_called_one_is_loaded(call, monkeypatch):
    code, out, err = call("--help")
    assert code == 0 and err == ""
    assert re.search("image +Caption pictures", out) and re.search(
        "live +Caption what a camera sees", out
    )
    loaded = []
    loading(
        monkeypatch,
        one=lambda: loaded.append("one") or click.Command("one", callback=lambda: None),
        other=lambda: loaded.append("other") or click.Command("other"),
    )
    assert call("one")[0] == 0
    assert loaded == ["one"]


def test_a_command_whose_packages_are_missing_says_what_to_install(call, monkeypatch):
    def load():
        raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")

    loading(monkeypatch, train=load, image=lambda: commands.image_command)
    code, out, err = call("train", "--epochs", 3, "somewhere")
    assert (code, out) == (2, "")
    assert err == "picaption: this command needs tensorflow; pip install 'picaption[convert]'\n"
    code, out, err = call("--help")
    assert code == 0 and "needs tensorflow" in out and "Caption pictures" in out


def test_the_extras_are_known_whole():
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    for extra in ("annotate", "convert", "web"):
        listed = {
            re.match(r"[\w-]+", line)[0].replace("-", "_")
            for line in setup["options.extras_require"][extra].split("\n")
            if line
        }
        known = {package for package, brings in cli.EXTRA.items() if brings == extra}
        assert known == listed - {"flatbuffers"}  # It comes with the runtime too.


@pytest.mark.parametrize("package, extra", sorted(cli.EXTRA.items()))
def test_packages_that_turn_out_missing_while_a_command_runs(call, monkeypatch, package, extra):
    error = ModuleNotFoundError(f"No module named '{package}.parts'", name=f"{package}.parts")
    loading(monkeypatch, train=lambda: raising(error))
    code, _, err = call("train")
    assert (
        code == 2
        and err == f"picaption: this command needs {package}; pip install 'picaption[{extra}]'\n"
    )


@pytest.mark.parametrize(
    "error, expected, line",
    [
        (PicaptionError("the disk\nis full"), 2, "picaption: the disk is full\n"),
        (KeyboardInterrupt(), 130, "\n"),
        (
            MemoryError(),
            2,
            "picaption: there is not enough memory for that; end what else runs, or give less at "
            "once\n",
        ),
        (
            ImportError("cannot import name 'x'", name="cv2"),
            2,
            "picaption: this command cannot load (cannot import name 'x'); reinstall picaption\n",
        ),
    ],
)
def test_errors_are_one_line(call, monkeypatch, error, expected, line):
    loading(monkeypatch, fail=lambda: raising(error))
    assert call("fail") == (expected, "", line)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["picture"], "No such command 'picture'. (see picaption --help)"),
        (["image"], "Missing argument 'PATH...'. (see picaption image --help)"),
        (["image", ""], "Invalid value for 'PATH...': the path is empty; '.' is this folder"),
        (["teach", ""], "Invalid value for '[FOLDER]': the path is empty"),
        (["inspect", "/dev/zero"], "/dev/zero: cannot read it: it is a device and no file; check"),
        (["config", "--config", "/dev/zero"], "/dev/zero: cannot read the settings: it is a devi"),
        (["image", "x.jpg", "--bundle", "/dev/zero"], "/dev/zero: cannot read the bundle: it is"),
        (["image", "x.jpg", "--threads", "0"], "Invalid value for '--threads'"),
        (["live", "--size", "640"], "640 is not WIDTHxHEIGHT"),
        (["live", "--size", "9999x9999"], "9999x9999 is not WIDTHxHEIGHT"),
        (["live", "--colour"], "No such option"),
        (["live", "--frames", "-1"], "Invalid value for '--frames'"),
        (["live", "--max-fps", "-1"], "Invalid value for '--max-fps'"),
        (["live", "--rotate", "45"], "Invalid value for '--rotate'"),
        (["live", "--source", "demo", "--web", "--host", "0.0.0.0"], "set a token"),
        (["live", "--caption-every", "-1"], "Invalid value for '--caption-every'"),
    ],
)
def test_wrong_usage_is_one_line_too(call, arguments, message):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("picaption: ") and message in err and err.count("\n") == 1


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_where_an_error_cannot_be_said_the_exit_code_says_it():
    program = "from picaption.device import cli; cli.main(['picture'])"
    with open("/dev/full", "w") as full:
        assert subprocess.run([sys.executable, "-c", program], stderr=full).returncode == 2


#: Prints for ever, or until nobody reads.
TALK = """
from types import SimpleNamespace
import click
from picaption.device import cli
@click.command()
def talk():
    for _ in range(100000):
        print("something to say")
cli.find_commands = lambda: {"talk": SimpleNamespace(load=lambda: talk)}
cli.main(["talk"])
"""


def test_a_reader_that_goes_away_is_no_error():
    process = subprocess.Popen(
        [sys.executable, "-c", TALK], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr.read() == b""
    process.wait(timeout=120)


def test_a_closed_error_stream_leaves_standard_output_alone(tmp_path, bundle):
    program = (
        "import os, sys; from picaption.device.cli import main\n"
        "os.close(2); sys.stderr = None\n"
        "main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, "image", "--bundle", bundle, "--json"]
    picture = ROOT / "device" / "sources" / "demo" / "cat.jpg"
    process = subprocess.run([*command, picture, tmp_path / "nope.jpg"], capture_output=True)
    assert process.returncode == 2
    (line,) = process.stdout.splitlines()
    assert json.loads(line)["file"] == str(picture)
