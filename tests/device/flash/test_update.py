"""An update: put in place, found to work or taken back, by a systemctl that does as the version that `current` points to would."""

import os
import signal
import stat
import subprocess
import sys
import time

import pytest

from picaption.device import cli, default_bundle
from picaption.device.errors import PicaptionError
from picaption.device.flash import update
from picaption.device.flash.installer import FILES, UNITS, InstallError, point
from picaption.device.flash.update import change, install_bundle, is_bundle, take_back

#: A systemd with the one service: a version with the file `works` comes up, one with `fails` fails, another one never gets ready.
SYSTEMCTL = """#!/bin/sh
cd {home}
case "$1" in
restart) echo $(basename $(readlink current)) >> restarts; date +%N > started ;;
show)
    if [ -e current/works ]; then state=active; elif [ -e current/fails ]; then state=failed; else state=activating; fi
    echo ActiveState=$state; echo InvocationID=$(cat started) ;;
esac
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A Pi's /opt/picaption with the version `old`, which runs, and `new`; `restarts()` of it returns what was started."""
    home = tmp_path / "picaption"
    for name in ("old", "new"):
        (home / "versions" / name / "venv").mkdir(parents=True)
    (home / "versions/old/works").touch()
    point(home / "current", home / "versions/old")
    (home / "started").write_text("0\n")
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/systemctl"
    program.write_text(SYSTEMCTL.format(home=home))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setattr(update, "STEADY", 0.6)
    monkeypatch.setattr(os, "sync", lambda: None)
    return home


def restarts(home):
    """Return the versions that were started, one after the other."""
    return (home / "restarts").read_text().split() if (home / "restarts").exists() else []


def state(home):
    """Return the name of the current version, whether an update is on trial, and what versions there are."""
    return (
        (home / "current").resolve().name,
        (home / "previous").is_symlink(),
        sorted(path.name for path in (home / "versions").iterdir()),
    )


def test_a_version_that_works_takes_the_place(home):
    (home / "versions/new/works").touch()
    change(home / "versions/new", home)
    assert state(home) == ("new", False, ["new", "old"]) and restarts(home) == ["new"]


@pytest.mark.parametrize("kind", ["fails", "never gets ready"])
def test_a_version_that_does_not_come_up_is_taken_back(home, kind):
    if kind == "fails":
        (home / "versions/new/fails").touch()
    start = time.monotonic()
    with pytest.raises(
        PicaptionError,
        match="new gave no result within 3 seconds: old runs again; picaption service logs",
    ):
        change(home / "versions/new", home, patience=3)
    assert state(home) == ("old", False, ["new", "old"]) and restarts(home) == ["new", "old"]
    assert (time.monotonic() - start < 3) == (kind == "fails")


def test_a_service_that_starts_again_and_again_does_not_last(home):
    program = (home.parent / "bin/systemctl").read_text().replace("$(cat started)", "$(date +%N)")
    (home.parent / "bin/systemctl").write_text(program)
    (home / "versions/new/works").touch()
    with pytest.raises(PicaptionError, match="old is there again, but does not come up either"):
        change(home / "versions/new", home, patience=2)


#: Changes to the version `new` of the folder that is named.
CHANGE = """
import sys
from pathlib import Path
from picaption.device.flash import update
update.STEADY = 0.6
home = Path(sys.argv[1])
with update._ending_by_signals():
    update.change(home / "versions/new", home)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_an_update_that_is_cut_off(home, how):
    running = subprocess.Popen([sys.executable, "-c", CHANGE, home], stderr=subprocess.DEVNULL)
    end = time.monotonic() + 30
    while restarts(home) != ["new"] and time.monotonic() < end:
        time.sleep(0.05)
    assert state(home) == ("new", True, ["new", "old"])
    running.send_signal(how)
    assert running.wait(timeout=30) != 0
    if how != signal.SIGKILL:
        assert state(home) == ("old", False, ["new", "old"]) and restarts(home) == ["new", "old"]
        return
    assert state(home)[:2] == (
        "new",
        True,
    )  # nothing was left to take it back: the next start of the system does
    unit = FILES[f"{UNITS}/picaption-rollback.service"]
    assert (
        "ConditionPathIsSymbolicLink=/opt/picaption/previous\n" in unit
        and "Before=picaption.service\n" in unit
    )
    command = next(
        line for line in unit.splitlines() if line.startswith("ExecStart=")
    ).removeprefix("ExecStart=")
    subprocess.run(command.replace("/opt/picaption", str(home)).split(), check=True)
    assert state(home) == ("old", False, ["new", "old"])


def test_power_cut_between_the_two_links(home):
    point(home / "previous", home / "versions/old")
    take_back(home)
    assert state(home)[:2] == ("old", False)
    take_back(home)  # there is nothing to take back
    assert state(home)[:2] == ("old", False)


def test_a_bundle_alone_is_an_update(home, tmp_path, monkeypatch):
    settings = tmp_path / "picaption.toml"
    settings.write_text(f'bundle = "{home}/current/bundle.tflite"\n')
    monkeypatch.setattr(update, "SETTINGS", settings)
    tried = []
    monkeypatch.setattr(update, "try_out", tried.append)
    bundle = default_bundle()
    folder = install_bundle(bundle, home)
    assert tried == [folder] and (folder / "bundle.tflite").read_bytes() == bundle.read_bytes()
    assert (folder / "venv").resolve() == home / "versions/old/venv"
    (folder / "works").touch()
    change(folder, home)
    assert state(home)[:2] == (folder.name, False)
    assert install_bundle(bundle, home) == folder and tried == [folder]  # it runs already
    settings.write_text("")
    with pytest.raises(
        PicaptionError, match="names the bundle that is shipped: change that instead"
    ):
        install_bundle(bundle, home)
    (tmp_path / "no.tflite").write_bytes(b"\x1c\0\0\0TFL3 and no more")
    with pytest.raises(PicaptionError, match="no.tflite"):
        install_bundle(tmp_path / "no.tflite", home)


def test_what_a_file_is(tmp_path):
    (tmp_path / "other").write_text("a payload")
    assert is_bundle(default_bundle()) and not is_bundle(tmp_path / "other")
    with pytest.raises(PicaptionError, match="none: cannot be read: No such file"):
        is_bundle(tmp_path / "none")


@pytest.fixture
def call(home, tmp_path, monkeypatch, capsys):
    """A function that runs `picaption update` on a Pi and returns (exit code, output, errors)."""
    settings = tmp_path / "picaption.toml"
    settings.touch()
    monkeypatch.setattr(update, "SETTINGS", settings)
    monkeypatch.setattr(update, "HOME", home)
    monkeypatch.setattr(update, "need_systemd", lambda: None)

    def run(file):
        with pytest.raises(SystemExit) as exit:
            cli.main([str(file)], update.update_command, "picaption update")
        return (exit.value.code, *capsys.readouterr())

    return run


def test_the_command(call, home, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no payload")
    code, _, err = call(tmp_path / "file")
    assert (
        code == 2
        and err
        == f"picaption: {tmp_path}/file: not a payload of picaption; picaption flash payload makes one\n"
    )
    assert state(home) == ("old", False, ["old"])  # what an earlier update may have left is gone
    new, checked = home / "versions/new", []
    (new / "venv").mkdir(parents=True)
    (new / "works").touch()
    monkeypatch.setattr(update, "install", lambda file, home: new)
    monkeypatch.setattr(
        update,
        "run",
        lambda *command, run=update.run: (
            run(*command) if command[0] == "systemctl" else checked.append(command)
        ),
    )
    assert call(tmp_path / "file") == (0, "new runs\n", "") and state(home) == (
        "new",
        False,
        ["new"],
    )
    assert checked == [
        (new / "venv/bin/picaption", "config", "--config", tmp_path / "picaption.toml")
    ]
    assert call(tmp_path / "file") == (0, "new runs already\n", "") and restarts(home) == ["new"]


def test_settings_that_the_new_version_does_not_take(call, home, tmp_path, monkeypatch):
    def refuse(*command):
        raise InstallError("picaption config failed: no setting is called 'x'")

    (tmp_path / "file").touch()
    monkeypatch.setattr(update, "install", lambda file, home: home / "versions/new")
    monkeypatch.setattr(update, "run", refuse)
    assert call(tmp_path / "file") == (
        2,
        "",
        "picaption: picaption config failed: no setting is called 'x'\n",
    )
    assert state(home) == ("old", False, ["old"]) and restarts(home) == []


def test_who_may_not_update(call, home, tmp_path, monkeypatch):
    with update._alone(home):
        assert (
            call(tmp_path / "a")[2] == "picaption: another update is under way; wait for its end\n"
        )
    monkeypatch.setattr(update.os, "access", lambda path, mode: False)
    assert (
        call("/a b.tar")[2] == "picaption: only root may update: sudo picaption update '/a b.tar'\n"
    )
    (home / "current").unlink()
    assert "was not installed by picaption flash; update it with pip" in call("a")[2]
