"""Folders and files, here and at addresses: what both sides of the listing and reading need."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

from ...addresses import scheme_of, without_secrets
from ...errors import PicaptionError
from .sorting import sort_bounded

#: Fields of an fsspec file system's listing that change when a file does, best first.
_VERSION_FIELDS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "updated")


@dataclass(frozen=True)
class Entry:
    """What a folder holds.

    Attributes:
        name: Its name there.
        is_folder: Whether it is a folder itself.
        version: A text that changes when the file does.
    """

    name: str
    is_folder: bool
    version: str


class FileSystem(Protocol):
    """Lists folders."""

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what a folder holds, sorted by name, without what is hidden."""
        ...

    def join(self, folder: str, name: str) -> str:
        """Return the address of a name in a folder."""
        ...


class LocalFiles:
    """The files of this computer. Links to folders are not followed: they may lead in circles."""

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what a folder holds, sorted by name, without what is hidden.

        However much that is, memory holds a part of it at a time.

        Raises:
            OSError: The folder cannot be read.
        """
        with os.scandir(folder) as scan:
            for record in sort_bounded(_scan_records(scan)):
                name = os.fsdecode(record[:-1])
                if record[-1:] == b"/":
                    yield Entry(name, True, "")
                    continue
                try:
                    version = file_version(os.stat(os.path.join(folder, name)))
                except OSError:  # Removed meanwhile, or a link to nothing.
                    version = ""
                yield Entry(name, False, version)

    def join(self, folder: str, name: str) -> str:
        """Return the path of a name in a folder."""
        return os.path.join(folder, name)


def _scan_records(scan: Iterable[os.DirEntry[str]]) -> Iterator[bytes]:
    """Yield the names in a folder, each with a slash behind a folder's and a dot behind a file's.

    Both are below the letters of names, so that the order is that of the names.
    """
    for entry in scan:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            yield os.fsencode(entry.name) + b"/"
        elif not entry.is_dir() and not _is_special(entry):
            yield os.fsencode(entry.name) + b"."


def _is_special(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a device, pipe or socket; a link to nothing is none."""
    return not entry.is_file() and not entry.is_symlink()


def file_version(status: os.stat_result) -> str:
    """Return the version of a local file."""
    return f"{status.st_size}-{status.st_mtime_ns}"


class RemoteFiles:
    """The files of an fsspec file system.

    Args:
        file_system: The fsspec file system.
    """

    def __init__(self, file_system: Any) -> None:
        self._file_system = file_system

    def entries(self, folder: str) -> Iterator[Entry]:
        """Yield what a folder holds, sorted by name, without what is hidden.

        fsspec lists a folder at once: memory holds that of the one folder.
        """
        listing = self._file_system.ls(folder, detail=True)
        self._file_system.invalidate_cache()
        listing.sort(key=_info_name)
        for info in listing:
            name = _info_name(info)
            # Some stores list the folder itself, as an empty file.
            is_itself = info["name"].strip("/") == folder.strip("/")
            if name.startswith(".") or not name or is_itself:
                continue
            if info["type"] == "directory":
                yield Entry(name, True, "")
            elif info["type"] == "file":
                yield Entry(name, False, info_version(info))

    def join(self, folder: str, name: str) -> str:
        """Return the name, in the file system, of a name in a folder."""
        if not folder:
            return name
        return f"{folder.rstrip('/')}/{name}"


def _info_name(info: dict[str, Any]) -> str:
    return info["name"].rstrip("/").rpartition("/")[2]


def info_version(info: dict[str, Any]) -> str:
    """Return the version of a file by what fsspec tells of it."""
    for field in _VERSION_FIELDS:
        if info.get(field) is not None:
            return f"{info.get('size')}-{info[field]}"
    return str(info.get("size"))


@lru_cache(maxsize=64)
def open_file_system(address: str) -> tuple[Any, str]:
    """Return the fsspec file system of an address, and what it calls the address.

    Raises:
        PicaptionError: It cannot be opened, as without its package.
    """
    from fsspec.core import url_to_fs

    with remote_errors(address):
        # Listings are not remembered: they would fill the memory.
        file_system, name = url_to_fs(address, use_listings_cache=False)
    return file_system, name


@contextmanager
def remote_errors(address: str) -> Iterator[None]:
    """Turn what fsspec and the stores' own packages raise into PicaptionError, one line.

    Args:
        address: What the error calls the file; secrets in it are not shown.
    """
    shown = without_secrets(address)
    try:
        yield
    except PicaptionError:
        raise
    except FileNotFoundError:
        raise PicaptionError(f"there is nothing at {shown}; check the address") from None
    except ImportError as error:
        if error.name == "fsspec":
            raise
        raise PicaptionError(f"{shown}: {_first_line(error)}") from None
    except Exception as error:  # Each store has exceptions of its own.
        raise PicaptionError(f"{shown}: {_explain(error, address)}") from None


def _explain(error: Exception, address: str) -> str:
    name = type(error).__name__
    text = _first_line(error)
    if "Credential" in name or isinstance(error, PermissionError) or "credential" in text.lower():
        scheme = scheme_of(address)
        if scheme in ("s3", "s3a"):
            return (
                f"no access ({text}); set AWS_PROFILE, or AWS_ACCESS_KEY_ID and "
                "AWS_SECRET_ACCESS_KEY, or FSSPEC_S3_ANON=true for a public bucket"
            )
        if scheme in ("gs", "gcs"):
            return (
                f"no access ({text}); set GOOGLE_APPLICATION_CREDENTIALS, or "
                "FSSPEC_GS_TOKEN=anon for a public bucket"
            )
        return f"no access ({text}); check its credentials"
    return f"it cannot be used ({name}: {text}); check the address"


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0]
