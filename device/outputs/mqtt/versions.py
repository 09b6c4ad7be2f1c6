"""Which version of picaption and of its bundle runs, and which lies on the disk."""

import hashlib
import importlib.metadata
import os
from pathlib import Path

#: So many digits of a file's hash tell it from others.
DIGITS = 8


def program_version() -> str:
    """Return the version of picaption that is installed; "" if it is not."""
    try:
        return importlib.metadata.version("picaption")
    except importlib.metadata.PackageNotFoundError:
        return ""


class BundleFile:
    """The bundle's file, and whether it is still the one that was loaded.

    Args:
        path: The file, right after it was loaded.

    Attributes:
        path: The file.
        loaded: The name and the first digits of the SHA-256 of what was loaded.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._state = self._file_state()
        self.loaded = self._describe()
        self._newest = self.loaded

    def newest(self) -> str:
        """Return as `loaded` what the file holds now; it is read only if it has changed."""
        state = self._file_state()
        if state != self._state:
            self._state = state
            self._newest = self._describe()
        return self._newest

    def _file_state(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self.path)
        except OSError:
            return None
        return status.st_ino, status.st_size, status.st_mtime_ns

    def _describe(self) -> str:
        try:
            with open(self.path, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError:
            return ""
        return f"{Path(self.path).stem} {digest[:DIGITS]}"
