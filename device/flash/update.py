"""`picaption update`: tries another version or bundle beside the one that runs, then swaps them.

`current` points to the version that runs. While a new one is on trial, `previous` points to the
old one; a start of the system that finds it takes the update back (picaption-rollback.service,
see picaption.device.flash.installer).
"""

import contextlib
import fcntl
import hashlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click

from ..atomic import read_file
from ..cli import PathType
from ..config.toml import load_config
from ..errors import PicaptionError
from ..log import say
from ..signing.keys import KeyRing, is_ring, parse_ring, read_ring, read_ring_bytes, write_ring
from ..signing.signature import check_data, checked_copy, file_digest
from ..system.service import SETTINGS, UNIT, need_systemd
from .installer import (
    BEFORE,
    BUNDLE,
    HOME,
    InstallError,
    install,
    is_current,
    point,
    remove_old_versions,
    run,
    try_out,
)

#: Seconds that a new version has to show its first result.
PATIENCE_SECONDS = 120
#: Seconds that it then has to last.
STEADY_SECONDS = 5
_POLL_SECONDS = 0.5


@click.command("update")
@click.argument("file", metavar="FILE", type=PathType(path_type=Path))
def update_command(file: Path) -> None:
    """Update this card's version or bundle.

    FILE is a payload of `picaption flash payload`, a bundle, or a ring of `picaption fleet keys`.
    With public_keys in the settings, it is signed by one of them. What runs is left as it is until
    the new version has captioned a demo photo. If that version then shows no result within two
    minutes as the service, the old one takes its place again. So it does at the next start if
    power fails before.
    """
    if has_keys(file):
        say(update_keys(file))
        return
    need_systemd()
    say(update(file))


def update(
    file: Path,
    home: Path = HOME,
    settings: Path = SETTINGS,
    patience: float = PATIENCE_SECONDS,
    steady: float = STEADY_SECONDS,
    sha256: str = "",
    keeps_old: bool = False,
) -> str:
    """Have the service use a payload or a bundle from now on.

    Args:
        file: the path of the payload or the bundle.
        home: where picaption is on the Pi.
        settings: the service's file of settings.
        patience: seconds that the new version has to show its first result.
        steady: seconds that it then has to last.
        sha256: the SHA-256 that the file has to have; empty: it may have any.
        keeps_old: whether the version that runs now stays on the card, for `go_back`.

    Returns:
        A line that says which version runs.

    Raises:
        PicaptionError: the update is not possible, or was taken back.
    """
    if not (home / "current").is_symlink():
        raise PicaptionError(
            "this picaption was not installed by picaption flash; update it with pip"
        )
    if not os.access(home, os.W_OK):
        raise PicaptionError(
            f"only root may update: sudo picaption update {shlex.quote(str(file))}"
        )
    ring = trusted_keys(settings)
    with _exclusive(home), _signals_as_exit():
        try:
            take_back(home)
            with _checked(file, ring, home) as checked:
                if sha256 and file_digest(checked)[0] != sha256:
                    raise PicaptionError(f"{file}: it is not the file that was rolled out; refused")
                if is_bundle(checked):
                    folder = install_bundle(checked, home, settings)
                else:
                    folder = install(checked, home)
            if is_current(folder, home):
                return f"{folder.name} runs already"
            run(folder / "venv/bin/picaption", "config", "--config", settings)
            old = (home / "current").resolve()
            change(folder, home, patience, steady)
            (home / BEFORE).unlink(missing_ok=True)
            if keeps_old:
                point(home / BEFORE, old)
        except InstallError as error:
            raise PicaptionError(str(error)) from None
        finally:
            # The old version, or a new one that did not take its place.
            remove_old_versions(home)
    return f"{folder.name} runs"


def go_back(
    home: Path = HOME, patience: float = PATIENCE_SECONDS, steady: float = STEADY_SECONDS
) -> str:
    """Have the service use the version that `update` has kept.

    Args:
        home: where picaption is on the Pi.
        patience: seconds that the version has to show its first result.
        steady: seconds that it then has to last.

    Returns:
        A line that says which version runs.

    Raises:
        PicaptionError: there is none, or it does not come up: the newer one runs again.
    """
    with _exclusive(home), _signals_as_exit():
        try:
            take_back(home)
            if not (home / BEFORE).is_symlink():
                raise PicaptionError(
                    "no version before is on this card; picaption update brings one"
                )
            folder = (home / BEFORE).resolve()
            change(folder, home, patience, steady)
            (home / BEFORE).unlink()
        except InstallError as error:
            raise PicaptionError(str(error)) from None
        finally:
            remove_old_versions(home)
    return f"{folder.name} runs"


def trusted_keys(settings: Path = SETTINGS) -> KeyRing | None:
    """Return the keys that the service's settings trust; None: it takes what is not signed.

    Raises:
        PicaptionError: The settings, or the keys, cannot be read.
    """
    if not settings.exists():
        return None
    path = load_config({}, settings, {}).config.public_keys
    return read_ring(path) if path else None


def has_keys(path: Path) -> bool:
    """Return whether a file is meant to be a ring of public keys; it may be missing."""
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            return is_ring(file.read(64))
    except OSError:
        return False


def update_keys(path: Path, settings: Path = SETTINGS) -> str:
    """Have the service trust a newer ring of keys, which the one of before has signed.

    Args:
        path: the path of the newer ring, its signature beside it.
        settings: the service's file of settings.

    Returns:
        A line that says which keys are trusted.

    Raises:
        PicaptionError: it is not signed by a key that holds, or not newer; nothing has changed.
    """
    trusted = trusted_keys(settings)
    if trusted is None:
        raise PicaptionError(
            f"{settings} has no public_keys; set them to the path of a ring that you have looked at"
        )
    data = read_ring_bytes(path)
    check_data(data, path, trusted)
    ring = parse_ring(data, path)
    if ring.serial <= trusted.serial:
        raise PicaptionError(
            f"{path}: its serial {ring.serial} is not beyond {trusted.serial}, that of the keys "
            "that are trusted now; make a newer one by picaption fleet keys"
        )
    write_ring(Path(load_config({}, settings, {}).config.public_keys), ring)
    valid = [key.id for key in ring.keys if not key.revoked]
    return f"trusted from now on: {', '.join(valid)}"


def is_bundle(path: Path) -> bool:
    """Return whether a file is a .tflite file; raises PicaptionError if it cannot be read."""
    if path.exists() and not path.is_file():
        raise PicaptionError(f"{path}: it is not a file; give a payload or a bundle")
    try:
        with open(path, "rb") as file:
            return file.read(8)[4:] == b"TFL3"
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}") from None


def install_bundle(path: Path, home: Path = HOME, settings: Path = SETTINGS) -> Path:
    """Make a version of the bundle at a path and the program that runs now, and try it out.

    Args:
        path: the path of the bundle.
        home: where picaption is on the Pi.
        settings: the service's file of settings.

    Returns:
        The version's folder.

    Raises:
        PicaptionError: the bundle is unusable, or the service uses one from elsewhere.
    """
    from ..bundle.bundle import Bundle

    Bundle(path)
    configured = load_config({}, settings, {}).config.bundle
    if configured != str(home / "current" / BUNDLE):
        raise PicaptionError(
            f"{settings} names the bundle {configured or 'that is shipped'}: change that instead, "
            "and sudo systemctl reload picaption"
        )
    content = read_file(path)
    venv = (home / "current" / "venv").resolve()
    checksum = hashlib.sha256(content + str(venv).encode()).hexdigest()
    folder = home / "versions" / f"bundle-{checksum[:8]}"
    if not is_current(folder, home):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "venv").symlink_to(venv)
        (folder / BUNDLE).write_bytes(content)
        try_out(folder)
        os.sync()
    return folder


def change(
    folder: Path,
    home: Path = HOME,
    patience: float = PATIENCE_SECONDS,
    steady: float = STEADY_SECONDS,
) -> None:
    """Make the version in a folder the current one, or take that back.

    Args:
        folder: the version's folder.
        home: where picaption is on the Pi.
        patience: seconds that the version has to show its first result.
        steady: seconds that it then has to last.

    Raises:
        PicaptionError: it shows no result as the service; the old version is current again.
    """
    old = (home / "current").resolve()
    point(home / "previous", old)
    try:
        point(home / "current", folder)
        works = restart(patience, steady)
    except BaseException:  # ctrl-C and signals too
        take_back(home)
        restart(patience, steady)
        raise
    if works:
        (home / "previous").unlink()
        os.sync()
        return
    take_back(home)
    outcome = "is there again, but does not come up either"
    if restart(patience, steady):
        outcome = "runs again"
    raise PicaptionError(
        f"{folder.name} gave no result within {patience} seconds: {old.name} {outcome}; "
        "picaption service logs tells why"
    )


def take_back(home: Path = HOME) -> None:
    """Point `current` to what it pointed to before an unfinished update, if there is one."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(home / "previous", home / "current")
        os.sync()


def restart(patience: float = PATIENCE_SECONDS, steady: float = STEADY_SECONDS) -> bool:
    """Restart the service.

    Args:
        patience: seconds that the service has to come up and last.
        steady: seconds that it has to last.

    Returns:
        Whether it showed a first result and lasted.
    """
    invocation_before = _service_state()["InvocationID"]
    run("systemctl", "reset-failed", UNIT)
    run("systemctl", "restart", "--no-block", UNIT)
    deadline = time.monotonic() + patience
    # The start of the service that is up, and since when.
    invocation = None
    up_since = 0.0
    while time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)
        state = _service_state()
        if state["ActiveState"] == "failed":
            return False
        if state["ActiveState"] != "active" or state["InvocationID"] == invocation_before:
            invocation = None
        elif state["InvocationID"] != invocation:
            invocation = state["InvocationID"]
            up_since = time.monotonic()
        elif time.monotonic() - up_since >= steady:
            return True
    return False


def _service_state() -> dict[str, str]:
    """Return systemd's properties of the service."""
    output = run("systemctl", "show", UNIT, "--property=ActiveState,InvocationID")
    return dict(line.split("=", 1) for line in output.splitlines())


@contextlib.contextmanager
def _exclusive(home: Path) -> Iterator[None]:
    """Hold the lock of updates; raises PicaptionError if another update holds it."""
    with open(home / ".update", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PicaptionError("another update is under way; wait for its end") from None
        yield


@contextlib.contextmanager
def _checked(file: Path, ring: KeyRing | None, home: Path) -> Iterator[Path]:
    """Yield the path of what is installed: of a signed file, a copy that root alone may change.

    What is left of a copy when power fails goes with the old versions. Errors name the file.

    Raises:
        PicaptionError: It has to be signed, and is not.
    """
    if ring is None:
        yield file
        return
    with tempfile.TemporaryDirectory(dir=home / "versions", prefix=".update-") as folder:
        copy = checked_copy(file, ring, Path(folder))
        try:
            yield copy
        except (InstallError, PicaptionError) as error:
            raise PicaptionError(str(error).replace(str(copy), str(file))) from None


@contextlib.contextmanager
def _signals_as_exit() -> Iterator[None]:
    """Have the signals that end a program raise SystemExit, so that it can clean up."""

    def exit_by_signal(number: int, _: FrameType | None) -> None:
        sys.exit(128 + number)

    signals = (signal.SIGTERM, signal.SIGHUP)
    handlers = {number: signal.signal(number, exit_by_signal) for number in signals}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
