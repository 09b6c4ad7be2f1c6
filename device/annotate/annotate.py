"""A collection from its listing to its rows: what is done already is left out, the rest is done."""

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..addresses import scheme_of
from ..atomic import atomic_write
from ..errors import PicaptionError
from .collection.items import Batch, cut_batches
from .collection.sorting import sort_bounded
from .collection.sources import Listing
from .processes import Progress
from .progress import ProgressLine
from .run import ERRORS, STATE, Run, claim_output, errors_name, is_errors_name, open_output
from .storage.formats import count_rows, to_metadata
from .storage.store import PARTIAL_PREFIX, Store

#: Takes the run and the batches that are left, and yields how far they are.
Engine = Callable[[Run, Iterator[Batch]], Iterator[Progress]]

#: Lines of the errors' file that are sorted in memory at most; and of rows, which are longer.
_SORTED_LINES = 20_000
_METADATA = "metadata.jsonl"


@dataclass
class Summary:
    """What a run comes to.

    Attributes:
        images: How many images were looked at now.
        skipped: How many had been in earlier runs, whose rows stay.
        errors: How many of all of these have no row.
        removed: Rows' files that were removed: of batches whose images have changed.
        unreadable: How many files are of a kind that is not read, by their endings.
    """

    images: int = 0
    skipped: int = 0
    errors: int = 0
    removed: int = 0
    unreadable: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many images have a row."""
        return self.images + self.skipped - self.errors


class _Batches:
    """The batches of a collection that are not done.

    Args:
        listing: The collection.
        size: Images of a batch, on average.
        done: The batches that are done, as bytes.
        count: Returns how many images a batch that is done has.

    Attributes:
        current: The batches of the collection so far, as bytes.
        skipped: Images of batches that are done.
    """

    def __init__(
        self, listing: Listing, size: int, done: set[bytes], count: Callable[[Batch], int]
    ) -> None:
        self._count = count
        self._listing = listing
        self._size = size
        self._done = done
        self.current: set[bytes] = set()
        self.skipped = 0

    def __iter__(self) -> Iterator[Batch]:
        """Yield the batches that are left to do."""
        for batch in cut_batches(self._listing, self._size):
            name = bytes.fromhex(batch.name)
            if name in self.current:
                continue
            self.current.add(name)
            if name in self._done:
                self.skipped += self._count(batch)
            else:
                yield batch


def annotate_collection(
    listing: Listing, run: Run, batch_size: int, engine: Engine, progress: ProgressLine
) -> Summary:
    """Annotate a collection.

    Args:
        listing: The collection.
        run: The run.
        batch_size: Images of a batch, on average.
        engine: Does the batches.
        progress: Shows how far they are.

    Raises:
        PicaptionError: There is no image, or the output or the bundle cannot be used.
    """
    store = open_output(run)
    with _only_run(run):
        claim_output(run, store)
        done = _done_batches(run, store)
        batches = _Batches(listing, batch_size, done, partial(_count_images, run, store))
        summary = Summary()
        unfinished: dict[str, int] = {}
        try:
            for step in engine(run, iter(batches)):
                if step.result is None:
                    unfinished[step.batch] = step.images
                else:
                    unfinished.pop(step.batch, None)
                    summary.images += step.result.images
                    summary.errors += step.result.errors
                images = summary.images + sum(unfinished.values())
                progress.update(images, batches.skipped, summary.errors)
        finally:
            progress.clear()
        summary.skipped = batches.skipped
        summary.unreadable = dict(listing.unreadable)
        if not batches.current:
            raise PicaptionError(_nothing(summary.unreadable))
        _finish(run, store, listing, batches, summary)
        return summary


def _nothing(unreadable: dict[str, int]) -> str:
    if unreadable:
        suffixes = " ".join(sorted(unreadable))
        return f"the sources hold no pictures but {suffixes}; convert them to JPEG"
    return "the sources hold no pictures and no .tar; check the paths"


def _done_batches(run: Run, store: Store) -> set[bytes]:
    """Return the batches that are done, as bytes: a few of them for each image would be many."""
    done = set()
    for file in store.names(run.rows_folder):
        name = run.batch_of(file)
        if name is not None:
            with suppress(ValueError):  # A name of somebody else's.
                done.add(bytes.fromhex(name))
    return done


def _count_images(run: Run, store: Store, batch: Batch) -> int:
    """Return how many images a batch that is done has."""
    if not batch.items[0].is_shard:
        return len(batch.items)
    rows = count_rows(store.read(run.rows_name(batch.name)) or b"", run.output_format)
    return rows + (store.read(errors_name(batch.name)) or b"").count(b"\n")


def _finish(run: Run, store: Store, listing: Listing, batches: _Batches, summary: Summary) -> None:
    """Remove what is no part of the collection any more, and write what is made of all rows."""
    if listing.is_complete:
        for batch in _done_batches(run, store) - batches.current:
            store.remove(run.rows_name(batch.hex()))
            store.remove(errors_name(batch.hex()))
            summary.removed += 1
    for folder in {run.rows_folder, STATE}:
        for name in list(_leftovers(store, folder)):
            store.remove(f"{folder}/{name}".lstrip("/"))
    summary.errors = _write_errors(run, store, batches)
    if run.output_format == "metadata":
        _write_metadata(run, store)


def _leftovers(store: Store, folder: str) -> Iterator[str]:
    """Yield the files that processes which were killed have left."""
    return (name for name in store.names(folder) if name.startswith(PARTIAL_PREFIX))


def _write_errors(run: Run, store: Store, batches: _Batches) -> int:
    """Write the errors of all batches to one file, sorted by path, and return how many they are."""
    names = [name for name in store.names(STATE) if is_errors_name(name)]
    lines = list(sort_bounded(_lines(store, names), _SORTED_LINES))
    if lines:
        store.write(ERRORS, b"".join(line + b"\n" for line in lines))
    else:
        store.remove(ERRORS)
    return len(lines)


def _lines(store: Store, names: list[str]) -> Iterator[bytes]:
    """Yield the lines of files in STATE."""
    for name in names:
        yield from (store.read(f"{STATE}/{name}") or b"").splitlines()


def _write_metadata(run: Run, store: Store) -> None:
    """Write metadata.jsonl, which Hugging Face's datasets read beside the images."""
    names = [name for name in store.names(STATE) if run.batch_of(name) is not None]
    folder = Path(run.output)

    def file_name(path: str) -> str:
        return os.path.relpath(os.path.abspath(path), folder)

    metadata = (to_metadata(line, file_name) for line in _lines(store, names))
    with atomic_write(folder / _METADATA) as path, open(path, "wb") as file:
        for line in sort_bounded(metadata, _SORTED_LINES):
            file.write(line + b"\n")


@contextmanager
def _only_run(run: Run) -> Iterator[None]:
    """Keep other runs out of a folder for as long as this one works on it.

    Raises:
        PicaptionError: Another one does.
    """
    if scheme_of(run.output):
        yield
        return
    folder = Path(run.output, STATE)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / "lock", "wb")  # noqa: SIM115
    except OSError as error:
        raise PicaptionError(
            f"{run.output} cannot be written to ({error.strerror}); give another --output"
        ) from None
    with file:
        try:
            # Linux lets go of it when the process ends, however it does.
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise PicaptionError(
                f"another picaption annotates into {run.output}; wait for it, or give another "
                "--output"
            ) from None
        yield


def count_in_background(open_listing: Callable[[], Listing], progress: ProgressLine) -> Any:
    """Count a collection's images in a thread of its own, for the time that is left.

    Args:
        open_listing: Opens the listing once more.
        progress: Gets the number.
    """

    def count() -> None:
        with suppress(PicaptionError, OSError):
            progress.total = sum(1 for _ in open_listing())

    thread = threading.Thread(target=count, daemon=True, name="count")
    thread.start()
    return thread
