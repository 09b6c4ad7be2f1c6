"""`picaption update`: another version or bundle beside the one that runs, tried, put in its place, and taken back if it fails.

`current` points to the version that runs. While a new one is on trial, `previous` points to the old one; a start of the system
that finds it takes the update back (see picaption-rollback.service in picaption.device.flash.installer).
"""

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import sys
import time
from pathlib import Path

import click

from ..config.toml import load_config
from ..errors import PicaptionError
from ..system.service import SETTINGS, UNIT, need_systemd
from .installer import (
    BUNDLE,
    HOME,
    InstallError,
    install,
    point,
    remove_others,
    run,
    runs,
    try_out,
)

#: Seconds that a new version has to give its first result, and that it then has to last.
PATIENCE, STEADY = 120, 5


@click.command("update")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
def update_command(file):
    """Have the service go on with FILE: a payload of `picaption flash payload`, or a bundle.

    What runs is left as it is until the new version has captioned a demo picture; and where that gives no result within two
    minutes as the service, the old one takes its place again. So it does at the next start if power fails before.
    """
    need_systemd()
    if not (HOME / "current").is_symlink():
        raise PicaptionError(
            "this picaption was not installed by picaption flash; update it with pip"
        )
    if not os.access(HOME, os.W_OK):
        raise PicaptionError(
            f"only root may update: sudo picaption update {shlex.quote(str(file))}"
        )
    with _alone(HOME), _ending_by_signals():
        try:
            take_back(HOME)
            folder = install_bundle(file, HOME) if is_bundle(file) else install(file, HOME)
            if runs(folder, HOME):
                print(f"{folder.name} runs already")
                return
            run(folder / "venv/bin/picaption", "config", "--config", SETTINGS)
            change(folder, HOME)
        except InstallError as error:
            raise PicaptionError(str(error)) from None
        finally:
            remove_others(HOME)  # the old version, or one that was not to take its place
    print(f"{folder.name} runs")


def is_bundle(path):
    """Return whether the file at a path is a .tflite file; raises PicaptionError where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read(8)[4:] == b"TFL3"
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}") from None


def install_bundle(path, home=HOME):
    """Make a version of the bundle at a path and the program that runs now, try it out, and return its folder.

    Raises PicaptionError where the bundle is unusable, or the service takes another one.
    """
    from ..bundle.bundle import Bundle

    Bundle(path)
    taken = load_config({}, SETTINGS, {}).config.bundle
    if taken != str(home / "current" / BUNDLE):
        raise PicaptionError(
            f"{SETTINGS} names the bundle {taken or 'that is shipped'}: change that instead, and "
            "sudo systemctl reload picaption"
        )
    content, venv = path.read_bytes(), (home / "current" / "venv").resolve()
    folder = (
        home / "versions" / f"bundle-{hashlib.sha256(content + str(venv).encode()).hexdigest()[:8]}"
    )
    if not runs(folder, home):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "venv").symlink_to(venv)
        (folder / BUNDLE).write_bytes(content)
        try_out(folder)
        os.sync()
    return folder


def change(folder, home=HOME, patience=PATIENCE):
    """Put the version in a folder in the place of the current one; raises PicaptionError, with the old one running again,
    where it gives no result as the service."""
    old = (home / "current").resolve()
    point(home / "previous", old)
    try:
        point(home / "current", folder)
        works = restart(patience)
    except BaseException:  # ctrl-C, a signal
        take_back(home)
        restart(patience)
        raise
    if works:
        (home / "previous").unlink()
        os.sync()
        return
    take_back(home)
    again = "runs again" if restart(patience) else "is there again, but does not come up either"
    raise PicaptionError(
        f"{folder.name} gave no result within {patience} seconds: {old.name} {again}; "
        "picaption service logs tells why"
    )


def take_back(home=HOME):
    """Have `current` point to what was current before an update that has not ended, where there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(home / "previous", home / "current")
        os.sync()


def restart(patience=PATIENCE):
    """Start the service anew and return whether it gives a first result within so many seconds, and lasts."""
    before = _state()["InvocationID"]
    run("systemctl", "reset-failed", UNIT)
    run("systemctl", "restart", "--no-block", UNIT)
    end, steady = time.monotonic() + patience, None
    while time.monotonic() < end:
        time.sleep(0.5)
        state = _state()
        up = state["ActiveState"] == "active" and state["InvocationID"] != before
        if state["ActiveState"] == "failed":
            return False
        if not up:
            steady = None
        elif steady is None or steady[0] != state["InvocationID"]:
            steady = state["InvocationID"], time.monotonic()
        elif time.monotonic() - steady[1] >= STEADY:
            return True
    return False


def _state():
    """Return what systemd knows of the service, by name."""
    told = run("systemctl", "show", UNIT, "--property=ActiveState,InvocationID")
    return dict(line.split("=", 1) for line in told.splitlines())


@contextlib.contextmanager
def _alone(home):
    """See to it that no other update runs meanwhile."""
    with open(home / ".update", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PicaptionError("another update is under way; wait for its end") from None
        yield


@contextlib.contextmanager
def _ending_by_signals():
    """Have the signals that end a program raise SystemExit: what was begun is then taken back."""

    def end(number, _):
        sys.exit(128 + number)

    before = {number: signal.signal(number, end) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
