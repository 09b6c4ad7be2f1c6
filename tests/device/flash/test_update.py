"""An update, put in place or taken back, beside a systemctl that acts as `current` would."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from picaption.device import cli, default_bundle
from picaption.device.errors import PicaptionError
from picaption.device.flash import update as update_module
from picaption.device.flash.installer import FILES, UNITS, point
from picaption.device.flash.update import change, install_bundle, is_bundle, take_back, update
from picaption.device.signing.keys import KeyRing, make_private_key, public_key, write_ring
from picaption.device.signing.signature import sign_file
from tests.device.flash.cards import SYSTEMCTL, contents, write_program

#: A picaption that captions, and takes the settings unless there is a file `refuses`.
PICAPTION = """#!/bin/sh
echo "$*" >> {home}/calls
[ "$1" != config ] || [ ! -e {home}/refuses ] || {{ echo "no setting is called 'x'" >&2; exit 2; }}
echo '{{"caption": {{}}}}'
"""
STEADY = 0.6


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A Pi's /opt/picaption with the version `old`, which runs, and `new`."""
    home = tmp_path / "picaption"
    for name in ("old", "new"):
        write_program(home / "versions" / name / "venv/bin/picaption", PICAPTION.format(home=home))
    (home / "versions/old/works").touch()
    point(home / "current", home / "versions/old")
    (home / "started").write_text("0\n")
    write_program(tmp_path / "bin/systemctl", SYSTEMCTL.format(home=home))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    return home


@pytest.fixture
def settings(home, tmp_path):
    """The service's file of settings, with the card's bundle."""
    path = tmp_path / "picaption.toml"
    path.write_text(f'bundle = "{home}/current/bundle.tflite"\n')
    return path


def restarts(home):
    """Return the versions that were started, in their order."""
    return (home / "restarts").read_text().split() if (home / "restarts").exists() else []


def state(home):
    """Return the current version's name, whether an update is on trial, and all versions."""
    return (
        (home / "current").resolve().name,
        (home / "previous").is_symlink(),
        sorted(path.name for path in (home / "versions").iterdir()),
    )


def test_a_version_that_works_becomes_the_current_one(home):
    (home / "versions/new/works").touch()
    change(home / "versions/new", home, steady=STEADY)
    assert state(home) == ("new", False, ["new", "old"]) and restarts(home) == ["new"]


@pytest.mark.parametrize(("behaviour", "patience"), [("fails", 60), ("never gets ready", 4)])
def test_a_version_that_does_not_come_up_is_taken_back(home, behaviour, patience):
    if behaviour == "fails":
        (home / "versions/new/fails").touch()
    start = time.monotonic()
    with pytest.raises(
        PicaptionError,
        match=f"new gave no result within {patience} seconds: old runs again; picaption service l",
    ):
        change(home / "versions/new", home, patience=patience, steady=STEADY)
    assert state(home) == ("old", False, ["new", "old"]) and restarts(home) == ["new", "old"]
    assert (time.monotonic() - start < patience) == (behaviour == "fails")


def test_a_service_that_restarts_again_and_again_does_not_last(home):
    program = home.parent / "bin/systemctl"
    program.write_text(program.read_text().replace("$(cat started)", "$(date +%N)"))
    (home / "versions/new/works").touch()
    with pytest.raises(PicaptionError, match="old is there again, but does not come up either"):
        change(home / "versions/new", home, patience=2, steady=STEADY)


#: Updates the Pi in a folder to a bundle.
UPDATE = """
import signal, sys
from pathlib import Path
from picaption.device.flash.update import update
signal.signal(signal.SIGINT, signal.default_int_handler)
bundle, home, settings = map(Path, sys.argv[1:])
update(bundle, home, settings, steady=0.6)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_update_that_is_cut_off(home, settings, number):
    process = subprocess.Popen(
        [sys.executable, "-c", UPDATE, default_bundle(), home, settings],
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not restarts(home) and time.monotonic() < deadline:
        time.sleep(0.05)
    (new,) = restarts(home)
    assert state(home) == (new, True, [new, "new", "old"])
    process.send_signal(number)
    assert process.wait(timeout=120) != 0
    if number != signal.SIGKILL:
        assert state(home) == ("old", False, ["old"]) and restarts(home) == [new, "old"]
        return
    # Nothing was left to take it back: the next start of the system does.
    assert state(home)[:2] == (new, True)
    unit = FILES[f"{UNITS}/picaption-rollback.service"]
    assert "ConditionPathIsSymbolicLink=/opt/picaption/previous\n" in unit
    assert "Before=picaption.service\n" in unit
    command = re.search("^ExecStart=(.*)$", unit, re.MULTILINE)[1]
    subprocess.run(command.replace("/opt/picaption", str(home)).split(), check=True)
    assert state(home) == ("old", False, [new, "new", "old"])


def test_power_cut_between_the_two_links(home):
    point(home / "previous", home / "versions/old")
    take_back(home)
    assert state(home)[:2] == ("old", False)
    take_back(home)  # there is nothing to take back
    assert state(home)[:2] == ("old", False)


def test_a_bundle_alone_is_an_update(home, settings, tmp_path):
    bundle = default_bundle()
    folder = install_bundle(bundle, home, settings)
    assert (folder / "bundle.tflite").read_bytes() == bundle.read_bytes()
    assert (folder / "venv").resolve() == home / "versions/old/venv"
    (tried,) = (home / "calls").read_text().splitlines()
    assert tried == f"image --json --bundle {folder}/bundle.tflite demo.jpg"
    (folder / "works").touch()
    change(folder, home, steady=STEADY)
    assert state(home)[:2] == (folder.name, False)
    before = contents(folder)
    assert install_bundle(bundle, home, settings) == folder and contents(folder) == before
    assert len((home / "calls").read_text().splitlines()) == 1  # it runs already
    settings.write_text("")
    with pytest.raises(
        PicaptionError, match="names the bundle that is shipped: change that instead"
    ):
        install_bundle(bundle, home, settings)
    (tmp_path / "no.tflite").write_bytes(b"\x1c\0\0\0TFL3 and no more")
    with pytest.raises(PicaptionError, match="no.tflite"):
        install_bundle(tmp_path / "no.tflite", home, settings)


def test_what_a_file_is(tmp_path):
    (tmp_path / "other").write_text("a payload")
    assert is_bundle(default_bundle()) and not is_bundle(tmp_path / "other")
    with pytest.raises(PicaptionError, match="none: cannot be read: No such file"):
        is_bundle(tmp_path / "none")


def test_a_payload_is_installed_and_the_old_version_removed(
    home, settings, tmp_path, make_payload, monkeypatch
):
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(
        systemctl.read_text().replace("-e current/works", "-e current/venv/bin/python")
    )
    payload = make_payload("2.0")
    line = update(payload, home, settings, steady=STEADY)
    name = (home / "current").resolve().name
    assert line == f"{name} runs" and name.startswith("2.0-")
    assert state(home) == (name, False, [name]) and restarts(home) == [name]
    # The new version was asked whether it takes the settings, before it was started.
    program = f"{home}/versions/{name}/venv/bin/picaption"
    assert (tmp_path / "record").read_text() == f"{program} config --config {settings}\n"
    assert update(payload, home, settings) == f"{name} runs already"
    assert restarts(home) == [name]


def test_no_payload_leaves_all_as_it_was(home, settings, tmp_path):
    (tmp_path / "file").write_text("no payload")
    with pytest.raises(PicaptionError) as error:
        update(tmp_path / "file", home, settings)
    assert str(error.value) == (
        f"{tmp_path}/file: not a payload of picaption; picaption flash payload makes one"
    )
    # What an earlier update may have left is gone.
    assert state(home) == ("old", False, ["old"]) and restarts(home) == []


@pytest.mark.parametrize("content", [b"no payload", b"....TFL3 no bundle"])
def test_with_public_keys_nothing_unsigned_is_taken(home, settings, tmp_path, content):
    pytest.importorskip("cryptography")
    private = make_private_key()
    write_ring(tmp_path / "keys.json", KeyRing((public_key(private, "one"),)))
    with open(settings, "a") as file:
        file.write(f'public_keys = "{tmp_path}/keys.json"\n')
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(PicaptionError, match="file: it is not signed, and public_keys is set"):
        update(path, home, settings)
    sign_file(path, private)
    path.write_bytes(content + b"\0")
    with pytest.raises(PicaptionError, match="it is not the file that was signed"):
        update(path, home, settings)
    # Signed and unaltered, it is refused for what it is.
    path.write_bytes(content)
    with pytest.raises(PicaptionError, match="not a payload|a .tflite file, but no bundle"):
        update(path, home, settings)
    assert state(home) == ("old", False, ["old"]) and restarts(home) == []


def test_what_was_checked_is_what_is_installed(home, settings, tmp_path, monkeypatch):
    pytest.importorskip("cryptography")
    private = make_private_key()
    write_ring(tmp_path / "keys.json", KeyRing((public_key(private, "one"),)))
    with open(settings, "a") as file:
        file.write(f'public_keys = "{tmp_path}/keys.json"\n')
    path = tmp_path / "mine.tflite"
    path.write_bytes(default_bundle().read_bytes())
    sign_file(path, private)

    def exchange_and_look(checked):
        path.write_bytes(b"another's payload")
        return is_bundle(checked)

    monkeypatch.setattr(update_module, "is_bundle", exchange_and_look)
    monkeypatch.setattr(update_module, "change", lambda folder, *_: point(home / "current", folder))
    assert update(path, home, settings).startswith("bundle-")
    assert (home / "current/bundle.tflite").read_bytes() == default_bundle().read_bytes()
    assert len(state(home)[2]) == 2  # The copy is gone: the version, and that of its program.


def test_settings_that_the_new_version_does_not_take(home, settings):
    (home / "refuses").touch()
    with pytest.raises(
        PicaptionError, match="picaption config --config failed: no setting is called 'x'"
    ):
        update(default_bundle(), home, settings)
    assert state(home) == ("old", False, ["old"]) and restarts(home) == []


#: Holds the lock of updates of a Pi until its standard input ends.
HOLD = """
import fcntl, sys
file = open(sys.argv[1] + "/.update", "w")
fcntl.flock(file, fcntl.LOCK_EX)
print("locked", flush=True)
sys.stdin.read()
"""


def test_who_may_not_update(home, settings, tmp_path, monkeypatch):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, home], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        holder.stdout.readline()
        with pytest.raises(PicaptionError, match="another update is under way; wait for its end"):
            update(tmp_path / "a", home, settings)
        holder.stdin.close()
    with monkeypatch.context() as patch:
        patch.setattr(update_module.os, "access", lambda path, mode: False)
        with pytest.raises(PicaptionError) as error:
            update("/a b.tar", home, settings)
    assert str(error.value) == "only root may update: sudo picaption update '/a b.tar'"
    (home / "current").unlink()
    with pytest.raises(
        PicaptionError, match="was not installed by picaption flash; update it with pip"
    ):
        update("a", home, settings)


def test_the_command_needs_systemd(capsys, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as exit:
        cli.main(["a.tar"], update_module.update_command, "picaption update")
    output, errors = capsys.readouterr()
    assert (exit.value.code, output, errors.count("\n")) == (2, "", 1)
    assert errors.startswith("picaption: systemd does not run this machine")
