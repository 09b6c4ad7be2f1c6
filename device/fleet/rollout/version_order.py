"""A version that is rolled out: the service asks, and root does it after looking for itself.

The service may not update itself. It puts the signed manifest, as it came from the broker, into
its folder for state; picaption-update.path, a unit of cards, sees it there and has root run
`picaption fleet obey`. Root trusts nothing in that folder: it checks the manifest's signature and
serial, and the payload's hash and signature, by the keys of its own settings, and notes the outcome
where the service can only read.
"""

import json
import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import click

from ...atomic import read_file, read_text, write_bytes, write_text
from ...errors import PicaptionError
from ...flash.installer import HOME, UPDATE_UNIT
from ...flash.update import go_back, trusted_keys, update
from ...log import one_line
from ...parsing import MalformedError, parse_json
from ...system.service import SETTINGS, need_systemd
from .manifest import MAX_BYTES, VERSION, Manifest, parse_manifest

#: The service's folder for roll-outs, as root sees it.
SERVICE_FOLDER = Path("/var/lib/picaption/fleet")
#: The files of an order, in the service's folder, and of the outcome, in root's.
ORDER = "order.json"
OUTCOME = "rollout.json"
#: Seconds that root has: an installation on a slow card, two restarts, and their patience.
PATIENCE_SECONDS = 1800.0
_POLL_SECONDS = 0.5
_MAX_OUTCOME_BYTES = 16_384
_ID = re.compile(r"([0-9a-f]{16})?", re.ASCII)


@dataclass(frozen=True)
class Outcome:
    """What root has done about roll-outs.

    Attributes:
        serial: Of the newest manifest that it has obeyed.
        version: The id of the roll-out whose version is in use; empty: none is.
        tried: The id of the roll-out that it took, or tried to, last.
        problem: Why that has failed; empty: it has not.
    """

    serial: int = 0
    version: str = ""
    tried: str = ""
    problem: str = ""


class VersionTaker:
    """Has root take versions; meanwhile, root restarts this process.

    Args:
        folder: The service's folder for roll-outs.
        home: Where picaption is on a card.
        is_closing: Returns whether to give up.
        patience: Seconds to wait for root.
    """

    def __init__(
        self,
        folder: Path,
        home: Path = HOME,
        is_closing: Callable[[], bool] = bool,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        self._folder = folder
        self._home = home
        self._is_closing = is_closing
        self._patience = patience

    def take(self, path: Path, order: bytes) -> None:
        """Have root take the payload at a path.

        Raises:
            PicaptionError: It could not; the version before runs.
        """
        self._ask(order)
        self.finish(path)

    def finish(self, path: Path) -> None:
        """Wait until root has taken the payload at a path, or has failed.

        Raises:
            PicaptionError: It has failed; the version before runs.
        """
        identity = path.name.removeprefix("rollout-")
        outcome = self._wait(lambda outcome: outcome.tried == identity)
        if outcome.problem:
            raise PicaptionError(outcome.problem)

    def go_back(self, path: Path | None, order: bytes) -> None:
        """Have root take the version before again.

        Raises:
            PicaptionError: It could not.
        """
        if not read_outcome(self._home).version:
            return
        self._ask(order)
        outcome = self._wait(lambda outcome: not outcome.version or bool(outcome.problem))
        if outcome.problem:
            raise PicaptionError(outcome.problem)

    def _ask(self, order: bytes) -> None:
        try:
            write_bytes(self._folder / ORDER, order)
        except OSError as error:
            raise PicaptionError(
                f"{self._folder}: cannot be written: {error.strerror}; set fleet_folder"
            ) from None

    def _wait(self, is_there: Callable[[Outcome], bool]) -> Outcome:
        end = time.monotonic() + self._patience
        while not is_there(outcome := read_outcome(self._home)):
            if time.monotonic() > end or self._is_closing():
                raise PicaptionError(
                    "root has not answered in time; journalctl -u picaption-update tells why"
                )
            time.sleep(_POLL_SECONDS)
        return outcome


def takes_versions(folder: Path, root: Path = Path("/")) -> bool:
    """Return whether there is a unit that sees what is asked for in a folder."""
    is_watched = folder.resolve() == (root / SERVICE_FOLDER.relative_to("/")).resolve()
    return is_watched and (root / UPDATE_UNIT).exists()


@click.command("obey", hidden=True)
def obey_command() -> None:
    """Take the version that a roll-out brings; units run this as root."""
    need_systemd()
    obey()


def obey(folder: Path = SERVICE_FOLDER, home: Path = HOME, settings: Path = SETTINGS) -> Outcome:
    """Do what the service asks for, if it is signed; return, and note, what came of it.

    Args:
        folder: The service's folder for roll-outs, in which it may have put anything.
        home: Where picaption is on a card.
        settings: The service's file of settings.

    Raises:
        PicaptionError: It is not to be obeyed; nothing has changed.
    """
    order = _take_order(folder / ORDER)
    keys = trusted_keys(settings)
    if keys is None:
        raise PicaptionError(f"{settings} has no public_keys: no version is taken by a roll-out")
    manifest = parse_manifest(order, keys)
    before = read_outcome(home)
    if manifest.serial < before.serial:
        raise PicaptionError(
            f"{manifest.label}: its serial {manifest.serial} is older than {before.serial}; refused"
        )
    if before.version and manifest.withdraws(before.version):
        outcome = _go_back(before, home)
    elif manifest.artifact == VERSION and not manifest.withdraws(manifest.id):
        outcome = _take(manifest, before, folder, home, settings)
    else:
        outcome = before
    outcome = replace(outcome, serial=manifest.serial)
    write_text(home / OUTCOME, json.dumps(asdict(outcome)))
    os.chmod(home / OUTCOME, 0o644)
    return outcome


def read_outcome(home: Path = HOME) -> Outcome:
    """Return what root has noted; nothing, if there is no such note."""
    try:
        outcome = Outcome(**parse_json(read_text(home / OUTCOME, _MAX_OUTCOME_BYTES)))
    except (OSError, MalformedError, UnicodeDecodeError, TypeError):
        return Outcome()
    texts = (outcome.version, outcome.tried, outcome.problem)
    is_sound = type(outcome.serial) is int and all(type(text) is str for text in texts)
    return outcome if is_sound and _ID.fullmatch(outcome.version) else Outcome()


def _take_order(path: Path) -> bytes:
    """Return an order's bytes, and remove it: it is obeyed once, whatever comes of it."""
    try:
        return read_file(path, MAX_BYTES)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}") from None
    finally:
        path.unlink(missing_ok=True)


def _take(manifest: Manifest, before: Outcome, folder: Path, home: Path, settings: Path) -> Outcome:
    outcome = replace(before, tried=manifest.id, problem="")
    try:
        path = folder / f"rollout-{manifest.id}"
        update(path, home, settings, sha256=manifest.sha256, keeps_old=True)
    except PicaptionError as error:
        return replace(outcome, problem=one_line(str(error)))
    return replace(outcome, version=manifest.id)


def _go_back(before: Outcome, home: Path) -> Outcome:
    try:
        go_back(home)
    except PicaptionError as error:
        return replace(before, problem=one_line(str(error)))
    return replace(before, version="", problem="")
