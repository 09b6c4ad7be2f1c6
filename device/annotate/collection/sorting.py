"""Sorts more than fits into memory: sorted runs in a temporary file, merged as they are read."""

import heapq
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO

#: Records that are sorted in memory: some megabytes of file names.
RUN_RECORDS = 20_000
_READ_BYTES = 1 << 13


def sort_bounded(records: Iterable[bytes], run_records: int = RUN_RECORDS) -> Iterator[bytes]:
    """Yield records in ascending order, with at most `run_records` of them in memory at a time.

    Args:
        records: Byte strings without a zero byte.
        run_records: How many are sorted in memory.
    """
    iterator = iter(records)
    run = sorted(islice(iterator, run_records))
    if len(run) < run_records:
        yield from run
        return
    with tempfile.TemporaryFile(prefix="picaption-") as file:
        starts = [0]
        while run:
            file.write(b"".join(record + b"\0" for record in run))
            starts.append(file.tell())
            run = sorted(islice(iterator, run_records))
        runs = [_read_run(file, start, end) for start, end in zip(starts, starts[1:])]
        yield from heapq.merge(*runs)


def _read_run(file: IO[bytes], start: int, end: int) -> Iterator[bytes]:
    """Yield the records between two places of a file, which others read meanwhile."""
    rest = b""
    while start < end:
        file.seek(start)
        chunk = file.read(min(_READ_BYTES, end - start))
        start += len(chunk)
        *records, rest = (rest + chunk).split(b"\0")
        yield from records
