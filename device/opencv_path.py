"""Paths as OpenCV and FFmpeg can open them.

OpenCV's bindings end the process with a segmentation fault for a text that is not Unicode, as a
path is in Python whose bytes are not UTF-8: old cameras, zips of Windows and Samba write such
names. FFmpeg takes what stands before a colon for a protocol: "10:30.mp4" has none called 10.
"""

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def opencv_path(path: str | os.PathLike[str]) -> Iterator[str]:
    """Yield an absolute path of UTF-8 at which OpenCV and FFmpeg find the file.

    Where the file's own path is none, a link in a temporary folder leads to it. What was opened by
    then stays open when the context ends. The file need not exist: through the link it is made.

    Raises:
        OSError: there is no folder for a link, or no current one.
    """
    # Not normalized: a/../b is another file where a is a link.
    path = Path(path)
    if not path.is_absolute():  # The current folder may have been removed.
        path = Path(os.getcwd(), path)
    if is_utf8(path):
        yield str(path)
        return
    with tempfile.TemporaryDirectory(prefix="picaption-") as folder:
        suffix = path.suffix if is_utf8(path.suffix) else ""
        link = Path(folder, f"file{suffix}")
        if not is_utf8(link):
            raise OSError(errno.EILSEQ, "TMPDIR is not UTF-8")
        link.symlink_to(path)
        yield str(link)


def is_utf8(path: str | os.PathLike[str]) -> bool:
    """Return whether a path's bytes are the UTF-8 of its text, which is what OpenCV opens."""
    try:
        return os.fsencode(path) == str(path).encode()
    except UnicodeEncodeError:
        return False
