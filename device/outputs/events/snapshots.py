"""A folder of snapshots: JPEGs, and beside each what was recognised, kept for so long, or so much.

Only files that have a snapshot's name are ever removed.
"""

import json
import logging
import os
import queue
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from ...atomic import write_bytes
from ...errors import PicaptionError
from ...images import encode_image
from ...recognition.result import Recognition
from ..sink import RecognizedFrame

logger = logging.getLogger(__name__)

#: The quality of the JPEGs.
JPEG_QUALITY = 90
#: Snapshots that wait to be written at most.
MAX_WAITING = 8
#: How long `close` waits for them.
CLOSE_SECONDS = 2.0
#: Characters of the event's name in a file's name at most.
MAX_NAME = 40

_NAME = re.compile(r"\d{8}-\d{6}-\d{3}_[\w-]*", re.ASCII)
_DAY_SECONDS = 86_400


class _Snapshot(NamedTuple):
    """A snapshot in the folder: its files' name without ending, their bytes, and its time."""

    name: str
    size: int
    saved_at: float


class SnapshotFolder:
    """Writes snapshots from a thread of its own, and removes old ones.

    Args:
        path: The folder; it is made if it is not there.
        days: How long snapshots are kept; 0: for ever.
        megabytes: How much they may take together; the oldest go first; 0: as they like.
        clock: Returns seconds since the epoch.

    Raises:
        PicaptionError: The folder cannot be made or read.
    """

    def __init__(
        self, path: str, days: float, megabytes: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = Path(path)
        self._max_age = days * _DAY_SECONDS
        self._max_bytes = megabytes * 1e6
        self._clock = clock
        self._is_failing = False
        try:
            self._path.mkdir(exist_ok=True)
            self._snapshots = deque(_find_snapshots(self._path))
        except OSError as error:
            raise PicaptionError(
                f"snapshots: {path} cannot be a folder of snapshots ({error.strerror}); "
                "check the path"
            ) from None
        self._size = sum(snapshot.size for snapshot in self._snapshots)
        self._remove_old()
        self._queue: queue.Queue[tuple[RecognizedFrame, str, dict[str, Any]] | None]
        self._queue = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
        self._thread.start()

    def save(self, recognized: RecognizedFrame, event_name: str, event: dict[str, Any]) -> None:
        """Have a frame written, without waiting; if too many wait, it is left out.

        Args:
            recognized: The frame.
            event_name: What appeared; it is a part of the files' names.
            event: What the event waits for, which is written beside the recognition.
        """
        recognized.retain_image()
        try:
            self._queue.put_nowait((recognized, event_name, event))
        except queue.Full:
            logger.warning("snapshots: the disk is too slow: a snapshot is left out")

    def close(self) -> None:
        """Write what waits, for a moment."""
        try:
            self._queue.put(None, timeout=CLOSE_SECONDS)
        except queue.Full:
            return
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            recognized, event_name, event = item
            try:
                self._write(recognized, event_name, event)
                self._is_failing = False
            except OSError as error:
                if not self._is_failing:
                    logger.error(
                        "snapshots: %s: %s; they are left out until it can be written",
                        self._path,
                        error.strerror,
                    )
                self._is_failing = True

    def _write(self, recognized: RecognizedFrame, event_name: str, event: dict[str, Any]) -> None:
        jpeg = encode_image(recognized.image, ".jpg", JPEG_QUALITY)
        name = _file_name(recognized.recognition, event_name)
        text = json.dumps({**recognized.json(), "event": event, "picture": f"{name}.jpg"}, indent=1)
        record = text.encode()
        self._size += len(jpeg) + len(record)
        self._snapshots.append(_Snapshot(name, len(jpeg) + len(record), self._clock()))
        self._remove_old()  # First, so that there is room.
        try:
            write_bytes(self._path / f"{name}.json", record)
            write_bytes(self._path / f"{name}.jpg", jpeg)
        except OSError:
            self._forget(self._snapshots.pop())
            raise

    def _remove_old(self) -> None:
        """Remove what is too old and, the oldest first, what is too much."""
        while self._snapshots:
            is_old = self._max_age and self._clock() - self._snapshots[0].saved_at > self._max_age
            is_much = self._max_bytes and self._size > self._max_bytes
            if not is_old and (not is_much or len(self._snapshots) == 1):
                return
            self._forget(self._snapshots.popleft())

    def _forget(self, snapshot: _Snapshot) -> None:
        self._size -= snapshot.size
        for suffix in (".jpg", ".json"):
            try:
                (self._path / f"{snapshot.name}{suffix}").unlink(missing_ok=True)
            except OSError as error:
                logger.warning("snapshots: %s cannot be removed: %s", snapshot.name, error.strerror)


def _file_name(recognition: Recognition, event_name: str) -> str:
    """Return the name of a snapshot's files, without ending: by it they sort by time.

    The camera's name is in it, if there are several.
    """
    captured = datetime.fromtimestamp(recognition.captured_at)
    if recognition.camera_name is not None:
        event_name = f"{recognition.camera_name}_{event_name}"
    readable = re.sub(r"[^\w-]+", "_", event_name, flags=re.ASCII).strip("_")[:MAX_NAME]
    return f"{captured:%Y%m%d-%H%M%S}-{captured.microsecond // 1000:03d}_{readable}"


def _find_snapshots(folder: Path) -> list[_Snapshot]:
    """Return the snapshots in a folder, the oldest first."""
    sizes: dict[str, int] = {}
    times: dict[str, float] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name, suffix = os.path.splitext(entry.name)
            if suffix not in (".jpg", ".json") or not _NAME.fullmatch(name):
                continue
            if not entry.is_file(follow_symlinks=False):
                continue
            status = entry.stat(follow_symlinks=False)
            sizes[name] = sizes.get(name, 0) + status.st_size
            times[name] = status.st_mtime
    snapshots = [_Snapshot(name, size, times[name]) for name, size in sizes.items()]
    return sorted(snapshots, key=lambda snapshot: (snapshot.saved_at, snapshot.name))
