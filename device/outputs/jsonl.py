"""JSON lines, to a file or to standard output."""

import errno
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from typing import Any

from ..atomic import is_device
from ..config.settings import Config
from ..errors import PicaptionError
from .sink import OutputContext, RecognizedFrame, Sink

logger = logging.getLogger(__name__)

SETTINGS = ("json", "json_every", "json_megabytes", "json_files")

#: A file is searched for its last line in blocks of so many bytes.
BLOCK_BYTES = 65536


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return JsonLines if a file is set."""
    if not config.json:
        return None
    sink: Sink
    if config.json == "-":
        sink = StandardOutput()
    else:
        sink = JsonLines(config.json, config.json_megabytes * 1e6 or None, config.json_files)
    return OnChange(sink, config.json_every) if config.json_every else sink


class OnChange:
    """Passes frames on whose text, certain classes or scene are others, and else one now and then.

    Of a file, time is its own, so that what is passed on depends on no computer's speed. Of several
    cameras, the frames of one are compared with each other.

    Args:
        sink: Where to; it is closed with this one.
        every: After so many seconds a frame is passed on though nothing has changed.
        clock: Returns seconds that never go back, for frames of live sources.
    """

    def __init__(
        self, sink: Sink, every: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._sink = sink
        self._every = every
        self._clock = clock
        self._last: dict[str | None, tuple[Any, ...]] = {}
        self._due: dict[str | None, float] = {}

    def write(self, recognized: RecognizedFrame) -> None:
        """Pass the frame on if there is reason to."""
        recognition = recognized.recognition
        current = (recognition.text, recognition.certain_names, recognition.scene)
        now = self._clock() if recognized.seconds is None else recognized.seconds
        camera = recognition.camera_name
        if current == self._last.get(camera) and now < self._due[camera]:
            return
        self._last[camera] = current
        self._due[camera] = now + self._every
        self._sink.write(recognized)

    def close(self) -> None:
        """Close the sink."""
        self._sink.close()


class StandardOutput:
    """One JSON object a line (Recognition.to_json) to standard output."""

    def __init__(self) -> None:
        self._stream = sys.stdout

    def write(self, recognized: RecognizedFrame) -> None:
        """Write one line at once."""
        print(json.dumps(recognized.json()), file=self._stream, flush=True)

    def close(self) -> None:
        """Leave standard output open."""


class JsonLines:
    """One JSON object a line (Recognition.to_json), added to the end of a file.

    Only complete lines are written: those that the disk has no room for are left out and logged.

    Args:
        path: The file.
        max_bytes: A file that would grow beyond this becomes PATH.1, that one PATH.2, and so on;
            None: it may grow.
        max_old_files: The highest number of such an older file.

    Raises:
        PicaptionError: The file cannot be written.
    """

    def __init__(
        self, path: str | Path, max_bytes: float | None = None, max_old_files: int = 3
    ) -> None:
        self._path = str(path)
        self._max_bytes = max_bytes
        self._max_old_files = max_old_files
        self._open()

    def _open(self) -> None:
        try:
            _require_json_lines(self._path)
            _repair_last_line(self._path)
            self._file = FileIO(self._path, "ab")
        except OSError as error:
            raise PicaptionError(
                f"{self._path} cannot be written ({error.strerror}); check the folder"
            ) from None
        self._size = os.fstat(self._file.fileno()).st_size

    def write(self, recognized: RecognizedFrame) -> None:
        """Write one line at once."""
        line = json.dumps(recognized.json()) + "\n"
        try:
            self._write_complete(line.encode())
        except OSError as error:
            logger.error(
                "%s: %s; lines are left out until it can be written", self._path, error.strerror
            )

    def _write_complete(self, data: bytes) -> None:
        if self._max_bytes and self._size and self._size + len(data) > self._max_bytes:
            self._rotate()
        written = self._file.write(data)
        if written < len(data):
            os.ftruncate(self._file.fileno(), self._size)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._size += written

    def _rotate(self) -> None:
        if is_device(self._path):  # To rotate /dev/null would rename it.
            return
        for age in range(self._max_old_files - 1, 0, -1):
            if os.path.exists(f"{self._path}.{age}"):
                os.replace(f"{self._path}.{age}", f"{self._path}.{age + 1}")
        os.replace(self._path, f"{self._path}.1")
        self._file.close()
        self._open()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _require_json_lines(path: str) -> None:
    """Raise PicaptionError if a file begins otherwise than JSON lines do."""
    if not os.path.isfile(path):
        return
    with open(path, "rb") as file:
        start = file.read(BLOCK_BYTES).lstrip(b"\0\n")
    if start and not start.startswith((b"{", b'"')):
        raise PicaptionError(f"{path} holds something else than JSON lines; give another path")


def _repair_last_line(path: str) -> None:
    """End the last line of a file that a power cut left without an end.

    Zeros are cut off: room that the file had been given, and that was not written to in time.
    """
    if not os.path.isfile(path):
        return
    with open(path, "rb+") as file:
        size = os.fstat(file.fileno()).st_size
        tail = b""
        while size and not tail:
            start = max(0, size - BLOCK_BYTES)
            file.seek(start)
            tail = file.read(size - start).rstrip(b"\0")
            size = start + len(tail)
        file.truncate(size)
        if tail and not tail.endswith(b"\n"):
            file.seek(size)
            file.write(b"\n")
