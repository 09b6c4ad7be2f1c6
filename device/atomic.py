"""Files that are written completely or not at all, and never over what is read.

A file is written beside its place under a name of its own and renamed once it is complete, so
that a reader, or the next start after a power cut, finds the old file or the new one.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import PicaptionError


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

    Example:
        with atomic_write("figures.json") as partial:
            partial.write_text("{}")
    """
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
