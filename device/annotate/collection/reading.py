"""Reads the bytes of items, several ahead where they come over a network."""

import errno
import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from ...atomic import read_file
from ...errors import PicaptionError
from ...images import MAX_IMAGE_BYTES
from .filesystems import file_version, open_file_system, remote_errors
from .items import Item
from .tar_shards import read_members

#: Files of an address that are read at the same time, so that the network's delays overlap.
REMOTE_READERS = 8

#: What reading comes to: the item with its bytes, or with the error that says why there are none.
ItemBytes = tuple[Item, bytes | PicaptionError]


def read_items(items: Sequence[Item]) -> Iterator[ItemBytes]:
    """Yield items with their bytes, shards member by member."""
    if items and items[0].is_shard:
        for shard in items:
            yield from read_members(shard)
    elif any(item.root for item in items):
        yield from _read_ahead(items)
    else:
        yield from map(_try_read, items)


def _read_ahead(items: Sequence[Item]) -> Iterator[ItemBytes]:
    remaining = iter(items)
    with ThreadPoolExecutor(REMOTE_READERS) as pool:
        pending: deque[Future[ItemBytes]] = deque()
        pending.extend(pool.submit(_try_read, item) for item in islice(remaining, REMOTE_READERS))
        while pending:
            yield pending.popleft().result()
            pending.extend(pool.submit(_try_read, item) for item in islice(remaining, 1))


def _try_read(item: Item) -> ItemBytes:
    try:
        return item, read_item(item)
    except PicaptionError as error:
        return item, error


def read_item(item: Item) -> bytes:
    """Return the bytes of an item that is no shard.

    Raises:
        PicaptionError: It cannot be read.
    """
    if item.problem:
        raise PicaptionError(item.problem)
    if item.root:
        data = _read_remote(item)
    else:
        try:
            data = read_file(item.address, MAX_IMAGE_BYTES) if item.size is None else _slice(item)
        except OSError as error:
            advice = "give a smaller one" if error.errno == errno.EFBIG else "check the file"
            raise PicaptionError(
                f"{item.path} cannot be read ({error.strerror}); {advice}"
            ) from None
    if not data:
        raise PicaptionError(f"{item.path} is empty (0 bytes); copy it again")
    return data


def _slice(item: Item) -> bytes:
    """Return the bytes of a tar's member."""
    assert item.size is not None
    with open(item.address, "rb") as file:
        if file_version(os.fstat(file.fileno())) != item.version:
            # At the member's place, there may be another now.
            raise PicaptionError(
                f"{item.path}: the archive has changed since it was listed; start again"
            )
        return os.pread(file.fileno(), item.size, item.offset)


def _read_remote(item: Item) -> bytes:
    file_system, _ = open_file_system(item.root)
    with remote_errors(item.path):
        data = file_system.cat_file(item.address, end=MAX_IMAGE_BYTES + 1)
    if len(data) > MAX_IMAGE_BYTES:
        raise PicaptionError(
            f"{item.path} has more than {MAX_IMAGE_BYTES >> 20} MB; scale it down first"
        )
    return data
