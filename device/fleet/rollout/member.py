"""What a device does about a roll-out: takes it when its share has come, goes back if told so."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from ...atomic import write_bytes
from ...errors import PicaptionError, TemporaryError
from ...log import one_line
from ...signing.keys import KeyRing
from ...signing.signature import check_file, signature_path
from ..status import MAX_TEXT
from .fetch import fetch
from .manifest import BUNDLE, VERSION, Manifest, parse_manifest
from .progress import (
    FAILED,
    SKIPPED,
    TAKEN,
    TAKING,
    WENT_BACK,
    Action,
    next_action,
    read_progress,
    withdrawn_artifact,
    write_progress,
)

logger = logging.getLogger(__name__)

#: How often a file is fetched before that has failed, and the pause before the second time; every
#: further one is twice the last.
FETCH_TRIES = 6
RETRY_SECONDS = 20.0


class SkipError(PicaptionError):
    """A device has a reason of its own to leave out what is rolled out."""


class Taker(Protocol):
    """Uses what is rolled out, of one sort, or what was there before."""

    def take(self, path: Path, order: bytes) -> None:
        """Use the file at a path from now on.

        Args:
            path: The file.
            order: The signed manifest that brings it.

        Raises:
            SkipError: This device leaves it out.
            PicaptionError: It cannot be used; what was in use before still is.
        """

    def finish(self, path: Path) -> None:
        """Learn what has become of `take`, which this start of the program has interrupted.

        Raises:
            PicaptionError: It has not come to its end; what was in use before is.
        """

    def go_back(self, path: Path | None, order: bytes) -> None:
        """Use the file at a path again.

        Args:
            path: The file; None: what was there without any roll-out.
            order: The signed manifest that asks for it; empty: this program has started.

        Raises:
            PicaptionError: It cannot be used.
        """


class Member:
    """Takes part in the roll-outs of a fleet.

    Args:
        name: What the device is called.
        folder: Where it keeps what it knows, and the files that it has taken.
        read_keys: Returns the keys that are trusted; raises PicaptionError without any.
        schemes: The schemes of addresses that files are fetched from.
        takers: What uses the files, by artifact.
        is_closing: Returns whether to give up a fetch.
        clock: Returns seconds that never go back.

    Attributes:
        progress: What is known.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        read_keys: Callable[[], KeyRing],
        schemes: Sequence[str],
        takers: Mapping[str, Taker],
        is_closing: Callable[[], bool] = bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._folder = folder
        self._read_keys = read_keys
        self._schemes = tuple(schemes)
        self._takers = takers
        self._is_closing = is_closing
        self._clock = clock
        self._manifest: tuple[Manifest, bytes] | None = None
        self._tries = 0
        self._retry_at = clock()
        self.progress = read_progress(folder)

    def resume(self) -> None:
        """Learn what this start has interrupted, and use the bundle of before it."""
        taker = self._takers.get(self.progress.artifact)
        if self.progress.state == TAKING and taker is not None:
            try:
                taker.finish(self._path(self.progress.id))
            except PicaptionError as error:
                self._note(state=FAILED, line=_error_line(error))
            else:
                self._note_taken()
        if self.progress.bundle and BUNDLE in self._takers:
            try:
                self._takers[BUNDLE].go_back(self._path(self.progress.bundle), b"")
            except PicaptionError as error:
                self._note(state=FAILED, line=_error_line(error), bundle="", bundle_before="")

    def receive(self, payload: bytes) -> None:
        """Take a manifest, which anyone may have sent; nothing is raised."""
        if not payload:  # It was taken from the broker.
            return
        try:
            manifest = parse_manifest(payload, self._read_keys())
            if manifest.serial < self.progress.serial:
                raise PicaptionError(
                    f"the roll-out's manifest: its serial {manifest.serial} is older than "
                    f"{self.progress.serial}; refused"
                )
        except PicaptionError as error:
            logger.warning("fleet: %s", error)
            return
        self._manifest = (manifest, payload)

    def step(self) -> bool:
        """Do what the newest manifest asks for; return whether anything has changed.

        Raises:
            PicaptionError: The folder cannot be written.
        """
        if self._manifest is None:
            return False
        manifest, order = self._manifest
        before = self.progress
        if manifest.serial > before.serial:
            self._note(serial=manifest.serial)
            self._tries = 0
            self._retry_at = self._clock()
        action = next_action(manifest, self.progress, self._name)
        if action is Action.GO_BACK:
            self._go_back(manifest, order)
        elif action is Action.TAKE and self._clock() >= self._retry_at:
            self._take(manifest, order)
        return replace(self.progress, serial=before.serial) != before

    def _take(self, manifest: Manifest, order: bytes) -> None:
        path = self._path(manifest.id)
        taker = self._takers.get(manifest.artifact)
        try:
            if taker is None:
                raise SkipError(f"this device takes no {manifest.artifact} by a roll-out")
            self._fetch(manifest, path)
            self._note(id=manifest.id, artifact=manifest.artifact, state=TAKING, line="")
            taker.take(path, order)
        except TemporaryError as error:
            self._retry_later(manifest, error)
        except SkipError as error:
            self._end(manifest, SKIPPED, error)
        except PicaptionError as error:
            self._end(manifest, FAILED, error)
        else:
            self._note_taken()
        self._remove_unused()

    def _fetch(self, manifest: Manifest, path: Path) -> None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            # The signature first: a file without its own is refused.
            write_bytes(signature_path(path), manifest.signature.encode())
        except OSError as error:
            raise TemporaryError(f"{self._folder}: cannot be written: {error.strerror}") from None
        fetch(manifest.url, path, manifest.sha256, manifest.size, self._schemes, self._is_closing)
        check_file(path, self._read_keys())

    def _retry_later(self, manifest: Manifest, error: PicaptionError) -> None:
        self._tries += 1
        if self._tries == FETCH_TRIES:
            self._end(manifest, FAILED, error)
            return
        logger.warning("fleet: %s; trying again", error)
        self._retry_at = self._clock() + RETRY_SECONDS * 2 ** (self._tries - 1)

    def _end(self, manifest: Manifest, state: str, error: PicaptionError) -> None:
        logger.error("fleet: %s: %s; what was in use before still is", manifest.label, error)
        self._note(id=manifest.id, artifact=manifest.artifact, state=state, line=_error_line(error))

    def _go_back(self, manifest: Manifest, order: bytes) -> None:
        progress = self.progress
        if withdrawn_artifact(manifest, progress) == VERSION:
            line = self._go_back_to(VERSION, "", order)
            self._note(
                id=progress.version, artifact=VERSION, state=WENT_BACK, line=line, version=""
            )
        else:
            target = progress.bundle_before
            if manifest.withdraws(target):
                target = ""
            line = self._go_back_to(BUNDLE, target, order)
            self._note(
                id=progress.bundle,
                artifact=BUNDLE,
                state=WENT_BACK,
                line=line,
                bundle=target,
                bundle_before="",
            )
        self._remove_unused()

    def _go_back_to(self, artifact: str, target: str, order: bytes) -> str:
        """Use the file of an earlier roll-out, or of none; return what is wrong with that."""
        taker = self._takers.get(artifact)
        if taker is None:
            return ""
        try:
            taker.go_back(self._path(target) if target else None, order)
        except PicaptionError as error:
            logger.error("fleet: %s", error)
            return _error_line(error)
        return ""

    def _note_taken(self) -> None:
        progress = self.progress
        if progress.artifact == VERSION:
            self._note(state=TAKEN, version=progress.id)
        else:
            self._note(state=TAKEN, bundle=progress.id, bundle_before=progress.bundle)

    def _path(self, identity: str) -> Path:
        return self._folder / f"rollout-{identity}"

    def _remove_unused(self) -> None:
        """Remove the files of roll-outs that nobody goes back to."""
        progress = self.progress
        bundles = [self._path(identity) for identity in (progress.bundle, progress.bundle_before)]
        used = {*bundles, *map(signature_path, bundles)}
        for path in self._folder.glob("rollout-*"):
            if path not in used:
                path.unlink(missing_ok=True)

    def _note(self, **changes: Any) -> None:
        """Change what is known, on the disk first."""
        progress = replace(self.progress, **changes)
        write_progress(self._folder, progress)
        self.progress = progress


def _error_line(error: PicaptionError) -> str:
    return one_line(str(error))[:MAX_TEXT]
