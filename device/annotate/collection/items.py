"""Items of a collection, and the batches that they are cut into, the same ones in every run.

A batch is cut where the hash of a path says so (content-defined chunking, as rsync and borg do
with bytes). An image that is added or removed changes the batch that it lies in, and not all that
follow. A batch is named by its items and their versions, so that its rows have the same file name
whichever worker makes them, however often.
"""

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Bytes of a batch's name: two batches of 10^9 images have the same one once in 10^16 runs.
_NAME_BYTES = 15


@dataclass(frozen=True)
class Item:
    """An image of a collection, or a tar shard that is unpacked while it is read.

    Attributes:
        path: What its row calls it.
        address: Where it is read: an absolute path, or a name in the file system of `root`.
        relative: The path below its source.
        version: A text that changes when the file does.
        root: The fsspec address whose file system holds it; empty: a local file.
        offset: Where in the file a member of a tar begins.
        size: Bytes of that member; None: the item is the whole file.
        is_shard: Whether it is a tar, whose members are read from its beginning to its end.
        problem: Why it cannot be read, if that shows in the listing; empty: it may be read.
    """

    path: str
    address: str = ""
    relative: str = ""
    version: str = ""
    root: str = ""
    offset: int = 0
    size: int | None = None
    is_shard: bool = False
    problem: str = ""


@dataclass(frozen=True)
class Batch:
    """Items that are annotated together, and whose rows are written at once.

    Attributes:
        items: The items.
        name: Hexadecimal digits that stand for the items.
    """

    items: tuple[Item, ...]
    name: str


def cut_batches(items: Iterable[Item], size: int) -> Iterator[Batch]:
    """Yield the items in batches of `size` on average, between a half of it and its double.

    A shard is a batch of its own.
    """
    batch: list[Item] = []
    for item in items:
        if item.is_shard and batch:
            yield _to_batch(batch)
            batch = []
        batch.append(item)
        if item.is_shard or _ends_batch(item, len(batch), size):
            yield _to_batch(batch)
            batch = []
    if batch:
        yield _to_batch(batch)


def _ends_batch(item: Item, count: int, size: int) -> bool:
    half = max(1, size // 2)
    if count < half:
        return False
    digest = hashlib.blake2b(os.fsencode(item.path), digest_size=8).digest()
    return count >= 2 * size or int.from_bytes(digest, "big") % half == 0


def _to_batch(items: list[Item]) -> Batch:
    digest = hashlib.blake2b(digest_size=_NAME_BYTES)
    for item in items:
        fields = (item.path, item.version, str(item.offset), item.problem)
        for field in fields:
            # No path has a zero byte in it.
            digest.update(os.fsencode(field) + b"\0")
    return Batch(tuple(items), digest.hexdigest())
