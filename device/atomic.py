"""Files that are written completely or not at all, never over what is read, and read to their end.

A file is written beside its place under a name of its own and renamed once it is complete, so
that a reader, or the next start after a power cut, finds the old file or the new one. What is read
may be anybody's: a pipe that nobody writes to, a device without an end, a file beyond all memory.
"""

import errno
import io
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import PicaptionError

#: Bytes of a file that is read into memory, at most: of a bundle, a text, and settings.
MAX_FILE_BYTES = 1 << 30
MAX_TEXT_BYTES = 1 << 29
MAX_SETTINGS_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16


def read_file(path: str | os.PathLike[str], most: int = MAX_FILE_BYTES) -> bytes:
    """Return the content of a file, or of a pipe that a program writes to.

    Args:
        path: The file.
        most: Bytes that it may have.

    Raises:
        OSError: It cannot be read, has more bytes, or is a device.
    """
    # To open a pipe would wait for a program that writes to it.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        status = os.fstat(descriptor)
        is_device = stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)
        if is_device and not os.path.samestat(status, os.stat(os.devnull)):
            raise OSError(errno.EINVAL, "it is a device and no file")
        if status.st_size > most:
            raise _too_large(most)
        if stat.S_ISREG(status.st_mode):
            with open(descriptor, "rb", closefd=False) as file:
                return file.read()
        os.set_blocking(descriptor, True)
        content = bytearray()
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            content += chunk
            if len(content) > most:
                raise _too_large(most)
        return bytes(content)
    finally:
        os.close(descriptor)


def read_text(
    path: str | os.PathLike[str], most: int = MAX_TEXT_BYTES, encoding: str = "utf-8-sig"
) -> str:
    """Return the text of a file, a line feed for each end of a line.

    Args:
        path: The file.
        most: Bytes that it may have.
        encoding: Its encoding; a byte order mark is left out by default.

    Raises:
        OSError: As read_file does.
        UnicodeDecodeError: It is not in that encoding.
    """
    return io.StringIO(read_file(path, most).decode(encoding), newline=None).read()


def _too_large(most: int) -> OSError:
    return OSError(errno.EFBIG, f"it has more than {most >> 20} MB")


def partial_path(path: str | os.PathLike[str]) -> Path:
    """Return where the file `path` stands until it is complete: ".partial.cat.mp4" of "cat.mp4".

    The name is hidden, so that no list of images holds it, and keeps the suffix, which chooses
    the format of some files.
    """
    path = Path(path)
    return path.parent / f".partial.{path.name}"


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield the path to write to; it replaces `path` once the context ends without an error.

    Whatever happens, nothing is left at the path that was yielded.

    Raises:
        PicaptionError: There is a device or a pipe, which would be gone.

    Example:
        with atomic_write("figures.json") as partial:
            partial.write_text("{}")
    """
    require_no_device(path)
    partial = partial_path(path)
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def write_bytes(path: str | os.PathLike[str], data: bytes | memoryview) -> None:
    """Write `data` to `path`, completely or not at all."""
    with atomic_write(path) as partial:
        partial.write_bytes(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path` as UTF-8, completely or not at all.

    A file name in it that is not Unicode is written with escapes.
    """
    with atomic_write(path) as partial:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def require_no_device(*paths: str | os.PathLike[str] | None) -> None:
    """Check that no device, pipe or socket would be replaced by a file, such as /dev/null by root.

    Args:
        paths: The paths that are written; None: none.

    Raises:
        PicaptionError: One is there.
    """
    for path in paths:
        if path is not None and is_device(path):
            raise PicaptionError(f"{path} is a device or a pipe and no file; give a file's path")


def is_device(path: str | os.PathLike[str]) -> bool:
    """Return whether a device, pipe or socket is there, or a name for one, such as /dev/stdout."""
    link = os.readlink(path) if os.path.islink(path) else ""
    if link.startswith(("/dev/", "/proc/")):
        return True
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def require_other_files(outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
    """Check that no file is written over one that is read.

    Args:
        outputs: the paths that are written, by what the user calls them; None: none.
        inputs: the paths that are read, likewise.

    Raises:
        PicaptionError: an output is an input, maybe by another name or through a link.
    """
    for output_name, output in outputs.items():
        for input_name, path in inputs.items():
            if output and isinstance(path, str | os.PathLike) and _are_same(output, path):
                raise PicaptionError(
                    f"{output_name} {output} would overwrite {path}, which is read "
                    f"({input_name}); give another path"
                )


def _are_same(left: str | os.PathLike[str], right: str | os.PathLike[str]) -> bool:
    try:
        return os.path.isfile(left) and os.path.samefile(left, right)
    except (OSError, ValueError):  # No file, or a text that is no path.
        return False
