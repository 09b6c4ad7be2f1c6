"""JSON lines."""

import errno
import json
import logging
import os
import sys

from ..errors import PicaptionError

log = logging.getLogger("picaption")


def _mend(path):
    """End the last line of the file at `path` where a power cut has left it without an end: zeros, room that the file had been
    given and that was not written to in time, are taken off.
    """
    if not os.path.isfile(path):
        return
    with open(path, "rb+") as file:
        size, rest = os.fstat(file.fileno()).st_size, b""
        while size and not rest:
            start = max(0, size - 65536)
            file.seek(start)
            rest = file.read(size - start).rstrip(b"\0")
            size = start + len(rest)
        file.truncate(size)
        if rest and not rest.endswith(b"\n"):
            file.seek(size)
            file.write(b"\n")


class JsonLines:
    """One JSON object a line (Recognition.to_json), added to the end of a file, or to standard output for "-".

    A file that would grow beyond `most` bytes (0: it may) becomes PATH.1, that one PATH.2, up to PATH.`kept`. Lines are written
    whole or not at all: those that the disk has no room for are left out, and that is logged.
    """

    def __init__(self, path, most=0, kept=3):
        self._path, self._most, self._kept = str(path), most, kept
        self._standard = self._path == "-"
        self._file = sys.stdout if self._standard else self._open()

    def _open(self):
        try:
            _mend(self._path)
            file = open(self._path, "ab", buffering=0)
        except OSError as error:
            raise PicaptionError(
                f"{self._path} cannot be written ({error.strerror}); check the folder"
            ) from None
        self._size = os.fstat(file.fileno()).st_size
        return file

    def write(self, recognized):
        """Write one line."""
        line = json.dumps(recognized.json()) + "\n"
        if self._standard:
            self._file.write(line)
            self._file.flush()
            return
        try:
            data = line.encode()
            if self._most and self._size and self._size + len(data) > self._most:
                self._rotate()
            written = self._file.write(data)
            if written < len(data):
                os.ftruncate(self._file.fileno(), self._size)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._size += written
        except OSError as error:
            log.error(
                "%s: %s; lines are left out until it can be written", self._path, error.strerror
            )

    def _rotate(self):
        for number in range(self._kept - 1, 0, -1):
            if os.path.exists(f"{self._path}.{number}"):
                os.replace(f"{self._path}.{number}", f"{self._path}.{number + 1}")
        os.replace(self._path, f"{self._path}.1")
        self._file.close()
        self._file = self._open()

    def close(self):
        """Close the file; standard output stays open."""
        if not self._standard:
            self._file.close()
