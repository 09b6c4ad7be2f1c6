"""Tar shards in WebDataset's layout: the images among their members, which never touch the disk.

Only headers are read for the listing of a local shard; a worker then reads a member's bytes where
they lie. A shard that is compressed, or at an address, is one item: a worker reads it through.
Nothing is unpacked, so that a member's name can lead nowhere; it is refused all the same where it
would, since programs that read the rows may use it.
"""

import io
import os
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

from ...errors import PicaptionError
from ...images import IMAGE_SUFFIXES, MAX_IMAGE_BYTES
from .filesystems import file_version, open_file_system, remote_errors
from .items import Item

#: The endings of tar shards, and of those that cannot be read from the middle.
TAR_SUFFIXES = (".tar",)
COMPRESSED_SUFFIXES = (".tar.gz", ".tgz")
#: Bytes that a header may have: names and attributes of a member are far below.
MAX_HEADER_BYTES = 1 << 20


class _HeaderFile(io.BufferedReader):
    """A file of which headers are read: whoever asks for more at once is refused.

    tarfile reads an extended header at once, of whatever size the file says.
    """

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next bytes."""
        if size is None or size < 0 or size > MAX_HEADER_BYTES:
            raise tarfile.ReadError("a header is too large")
        return super().read(size)


def is_tar(name: str) -> bool:
    """Return whether a file is a tar shard, by its ending."""
    return name.lower().endswith(TAR_SUFFIXES + COMPRESSED_SUFFIXES)


def is_read_through(item: Item) -> bool:
    """Return whether a shard can only be read from its beginning to its end."""
    return bool(item.root) or item.address.lower().endswith(COMPRESSED_SUFFIXES)


def list_members(shard: Item) -> Iterator[Item]:
    """Yield the images of a local shard, by its headers alone.

    Args:
        shard: The shard, a local file that is not compressed.
    """
    try:
        with _HeaderFile(io.FileIO(shard.address)) as file:
            version = file_version(os.fstat(file.fileno()))
            with tarfile.open(fileobj=file, mode="r:") as tar:
                for member in _members(tar):
                    item = _to_item(shard, member, version)
                    if item is not None:
                        yield item
    except (tarfile.TarError, OSError, ValueError, RecursionError) as error:
        yield replace(shard, is_shard=False, problem=_damaged(shard, error))


def read_members(shard: Item) -> Iterator[tuple[Item, bytes | PicaptionError]]:
    """Yield the images of a shard that is read from its beginning to its end, with their bytes."""
    try:
        with _open_stream(shard) as file, tarfile.open(fileobj=file, mode="r|*") as tar:
            for member in _members(tar):
                item = _to_item(shard, member, "")
                if item is None:
                    continue
                if item.problem:
                    yield item, PicaptionError(item.problem)
                    continue
                stream = tar.extractfile(member)
                assert stream is not None, "it is a regular file"
                data = stream.read()
                if len(data) != member.size:
                    raise tarfile.ReadError("unexpected end of data")
                yield item, data
    except (tarfile.TarError, OSError, EOFError, ValueError, RecursionError) as error:
        yield shard, PicaptionError(_damaged(shard, error))


def _open_stream(shard: Item) -> Any:
    """Return the open file of a shard."""
    if not shard.root:
        return open(shard.address, "rb")
    file_system, _ = open_file_system(shard.root)
    with remote_errors(shard.path):
        return file_system.open(shard.address, "rb", cache_type="readahead")


def _members(tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive, without holding on to those before."""
    while (member := tar.next()) is not None:
        yield member
        tar.members.clear()  # type: ignore[attr-defined]


def _to_item(shard: Item, member: tarfile.TarInfo, version: str) -> Item | None:
    """Return a member as an item; None if it is no image."""
    name = member.name
    if PurePosixPath(name).suffix.lower() not in IMAGE_SUFFIXES or member.isdir():
        return None
    if PurePosixPath(name).name.startswith("."):  # As macOS puts its attributes there.
        return None
    item = replace(
        shard,
        path=f"{shard.path}/{name}",
        relative=f"{shard.relative}.d/{name}",
        version=version,
        offset=member.offset_data,
        size=member.size,
        is_shard=False,
    )
    problem = ""
    if name.startswith("/") or ".." in PurePosixPath(name).parts:
        problem = "its name leads out of the archive; pack it under another"
    elif member.issym() or member.islnk():
        problem = "it is a link in the archive and no picture; pack the file itself"
    elif not member.isreg() or member.issparse():
        problem = "it is not a plain file in the archive; pack the picture itself"
    elif member.size > MAX_IMAGE_BYTES:
        problem = f"it has more than {MAX_IMAGE_BYTES >> 20} MB; scale it down first"
    if problem:
        safe = shard.relative
        return replace(item, relative=safe, problem=f"{item.path}: {problem}")
    return item


def _damaged(shard: Item, error: BaseException) -> str:
    reason = str(error).partition("\n")[0] or type(error).__name__
    return f"{shard.path} is cut short or no tar ({reason}); make it again"
