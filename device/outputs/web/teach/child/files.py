"""Files and folders of the page's class folders: real ones only, written completely or not at all.

Whoever filled the folder may have put links into it. None is followed: a link is left out where
something is read, and refused or removed where something is written.
"""

import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from .....atomic import partial_path
from .....errors import PicaptionError


def is_real_folder(path: Path) -> bool:
    """Return whether a folder is there, and no link to one."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def make_folder(path: Path) -> None:
    """Make a folder in one that is there, if it is not there itself.

    Raises:
        PicaptionError: Something else is there, such as a link to a folder.
        OSError: It cannot be made.
    """
    with suppress(FileExistsError):
        os.mkdir(path)
    if not is_real_folder(path):
        raise PicaptionError(f"{path} is a link, or no folder; move it away")


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with all that is in it, if it is there."""
    if is_real_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_new(path: Path, data: bytes) -> None:
    """Write a file to a path where none is, completely or not at all.

    Raises:
        OSError: It cannot be written.
    """
    partial = partial_path(path)
    remove(partial)
    # A link that appears there meanwhile is not followed.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    descriptor = os.open(partial, flags, 0o666)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.rename(partial, path)
    finally:
        partial.unlink(missing_ok=True)
