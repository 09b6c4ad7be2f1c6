"""The bundles that this machine knows: by their hashes, in a small file in the cache folder."""

import contextlib
import os
from pathlib import Path

from ..archive import Identity
from ..runtime import runtime_name

#: The folder in the cache folder, and the file in it: a hash a line.
FOLDER = "picaption"
FILE = "checked_bundles.txt"
#: The most hashes that are remembered; the file then starts again, empty.
MAX_REMEMBERED = 1000

_LINE_BYTES = 256


def cache_folder() -> Path:
    """Return the folder for what can be made again: systemd's for a service, or the user's own."""
    service = os.environ.get("CACHE_DIRECTORY")
    if service:
        return Path(service)
    user = os.environ.get("XDG_CACHE_HOME")
    if user and os.path.isabs(user):
        return Path(user, FOLDER)
    return Path(os.path.expanduser("~"), ".cache", FOLDER)


def is_remembered(identity: Identity) -> bool:
    """Return whether a bundle was checked before, by the runtime that is used now."""
    try:
        with open(cache_folder() / FILE, "rb", opener=_open_without_waiting) as file:
            # Another user's word is not taken: root may run with the home of someone else.
            if os.fstat(file.fileno()).st_uid != os.geteuid():
                return False
            text = file.read(MAX_REMEMBERED * _LINE_BYTES) or b""
    except OSError:
        return False
    return _line(identity).encode() in text.splitlines()


def _open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe would wait for a program at its other end."""
    return os.open(path, flags | os.O_NONBLOCK)


def remember(identity: Identity) -> None:
    """Note that a bundle was checked; where that cannot be written, it is checked again."""
    folder = cache_folder()
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / FILE
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
        descriptor = os.open(path, flags, 0o600)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid():
                return
            if status.st_size > (MAX_REMEMBERED - 1) * _LINE_BYTES:
                os.ftruncate(descriptor, 0)
            # A line in one call: several processes may do so at once.
            os.write(descriptor, f"{_line(identity)}\n".encode())
        finally:
            os.close(descriptor)


def _line(identity: Identity) -> str:
    """Return a bundle's line; another runtime may not survive what this one does."""
    return f"{identity.sha256} {identity.graph_bytes} {runtime_name()}"[: _LINE_BYTES - 1]
