"""The folder or address that rows are written to, each file completely or not at all.

A file's name is that of its batch. Two workers that make the same batch, as after a retry, write
the same bytes to the same name, each over a temporary file of its own.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from ...addresses import scheme_of
from ...errors import PicaptionError
from ..collection.filesystems import open_file_system, remote_errors

#: How the names of files begin that are not complete; a run that ends removes what is left.
PARTIAL_PREFIX = ".partial."


class Store(Protocol):
    """Reads and writes files by names relative to the output; a slash leads into a folder."""

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files in a folder."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None: there is none."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Write a file, completely or not at all."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


def open_store(output: str) -> Store:
    """Return the store at a path or an fsspec address."""
    scheme = scheme_of(output)
    if not scheme:
        return LocalStore(Path(output))
    if scheme == "file":
        return LocalStore(Path(output.partition("://")[2]))
    return RemoteStore(output)


class LocalStore:
    """A folder.

    Args:
        folder: Its path; it is made with the first file.

    Raises:
        PicaptionError: By every method: a file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files in a folder."""
        try:
            with os.scandir(self._folder / folder) as entries:
                for entry in entries:
                    yield entry.name
        except FileNotFoundError:
            return
        except OSError as error:
            raise self._error(folder, "read", error) from None

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None: there is none."""
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(name, "read", error) from None

    def write(self, name: str, data: bytes) -> None:
        """Write a file, completely or not at all."""
        path = self._folder / name
        partial = path.parent / f"{PARTIAL_PREFIX}{secrets.token_hex(8)}"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with open(partial, "xb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())  # The name must not be there before the bytes are.
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
        except OSError as error:
            raise self._error(name, "written", error) from None

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        try:
            (self._folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._error(name, "removed", error) from None

    def _error(self, name: str, action: str, error: OSError) -> PicaptionError:
        path = self._folder / name
        return PicaptionError(f"{path} cannot be {action} ({error.strerror}); check the folder")


class RemoteStore:
    """An fsspec address, whose store replaces a file at once, as those of objects do.

    Args:
        address: The address.

    Raises:
        PicaptionError: By every method: a file cannot be read or written.
    """

    def __init__(self, address: str) -> None:
        self._address = address.rstrip("/")
        self._file_system, self._base = open_file_system(self._address)

    def names(self, folder: str) -> Iterator[str]:
        """Yield the names of the files in a folder."""
        with remote_errors(self._address):
            try:
                listing = self._file_system.ls(self._name(folder), detail=False)
            except FileNotFoundError:
                return
        for path in listing:
            yield path.rstrip("/").rpartition("/")[2]

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes; None: there is none."""
        with remote_errors(self._address):
            try:
                return self._file_system.cat_file(self._name(name))
            except FileNotFoundError:
                return None

    def write(self, name: str, data: bytes) -> None:
        """Write a file; a store of objects does it completely or not at all."""
        path = self._name(name)
        with remote_errors(f"{self._address}/{name}"):
            self._file_system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._file_system.pipe_file(path, data)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with remote_errors(f"{self._address}/{name}"):
            try:
                self._file_system.rm_file(self._name(name))
            except FileNotFoundError:
                return

    def _name(self, name: str) -> str:
        return f"{self._base.rstrip('/')}/{name}".rstrip("/")
