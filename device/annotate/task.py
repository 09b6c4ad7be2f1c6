"""What a worker does with a batch: read, annotate, write the rows at once.

The rows' file is the commit. Whoever dies before it is written has done nothing, and whoever does
the same batch once more writes the same bytes under the same name.
"""

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import cv2

from ..errors import PicaptionError
from ..log import one_line
from ..opencv_path import is_utf8
from .collection.items import Batch, Item
from .collection.reading import read_items
from .rows import Row, to_text
from .run import Run, errors_name, hash_bundle, open_output, require_same_output
from .storage import xmp
from .storage.formats import encode_rows
from .storage.store import Store

#: Runs that a process has open at most: one, unless a cluster's worker serves several clients.
MAX_OPEN_RUNS = 4
#: What an image that nobody has thought of may raise.
_UNEXPECTED = (MemoryError, ValueError, TypeError, cv2.error)

_open_runs: dict[str, "OpenRun"] = {}
_open_lock = threading.Lock()


@dataclass(frozen=True)
class BatchResult:
    """What has become of a batch.

    Attributes:
        name: The batch's name.
        images: How many images it had.
        errors: How many of them have no row.
    """

    name: str
    images: int
    errors: int


@dataclass(frozen=True)
class OpenRun:
    """A run in a process that works on it.

    Attributes:
        run: The run, whose bundle is open.
        store: The output.
    """

    run: Run
    store: Store

    def annotate(
        self, batch: Batch, crashed: frozenset[int], on_image: Callable[[int], None]
    ) -> BatchResult:
        """Write a batch's rows; the arguments are those of `annotate_batch`."""
        rows: list[Row] = []
        errors: list[dict[str, str]] = []
        for index, (item, data) in enumerate(read_items(batch.items)):
            on_image(index)
            try:
                if index in crashed:
                    raise PicaptionError(
                        f"{item.path}: the process ends that looks at it; remove the picture"
                    )
                if isinstance(data, PicaptionError):
                    raise data
                row = self._annotate_item(item, data)
            except PicaptionError as error:
                errors.append({"path": to_text(item.path), "error": one_line(str(error))})
            else:
                rows.append(row)
        self._write(batch.name, rows, errors)
        return BatchResult(batch.name, len(rows) + len(errors), len(errors))

    def _annotate_item(self, item: Item, data: bytes) -> Row:
        """Return the row of an image, whose sidecar is written.

        Raises:
            PicaptionError: There is none.
        """
        if self.run.output_format == "metadata":
            _require_file(item)
        try:
            row = self.run.annotator.annotate(data, item.path)
        except _UNEXPECTED as error:
            # One image among millions must not end the run.
            reason = str(error).strip().partition("\n")[0]
            raise PicaptionError(
                f"{item.path} cannot be used ({type(error).__name__}: {reason}); remove it"
            ) from None
        if self.run.output_format == "xmp":
            self._write_sidecar(item, row)
        return row

    def _write_sidecar(self, item: Item, row: Row) -> None:
        name = item.relative
        base = f"{self.run.output.rstrip('/')}/"
        if not item.root and item.size is None and item.address.startswith(base):
            name = item.address.removeprefix(base)
        name += xmp.SUFFIX
        present = self.store.read(name)
        if present is not None and not xmp.is_own(present):
            raise PicaptionError(
                f"{item.path}: its sidecar {name} is another program's and stays as it is; "
                "move it away"
            )
        self.store.write(name, xmp.to_sidecar(row))

    def _write(self, batch: str, rows: list[Row], errors: list[dict[str, str]]) -> None:
        """Write a batch's errors, then its rows, with which it is done."""
        if errors:
            lines = "".join(json.dumps(error) + "\n" for error in errors)
            self.store.write(errors_name(batch), lines.encode())
        else:  # An earlier try may have had some.
            self.store.remove(errors_name(batch))
        data = encode_rows(rows, self.run.output_format, self.run.feature_size)
        self.store.write(self.run.rows_name(batch), data)


def annotate_batch(
    run: Run,
    batch: Batch,
    crashed: frozenset[int] = frozenset(),
    on_image: Callable[[int], None] | None = None,
) -> BatchResult:
    """Annotate a batch and write its rows.

    Args:
        run: The run; what it needs is opened once a process.
        batch: The batch.
        crashed: Places of images, among those of the batch, that have ended a process.
        on_image: Called with the place of each image before it is looked at.

    Raises:
        PicaptionError: The bundle or the output is not what the run says, or cannot be used.
    """
    return opened(run).annotate(batch, crashed, on_image or _ignore)


def probe_image(run: Run, batch: Batch, index: int) -> int:
    """Look at one image of a batch and write nothing: to find what ends a process.

    Args:
        run: The run.
        batch: The batch.
        index: The place of the image among those of the batch.

    Returns:
        How many images the batch has.
    """
    annotator = opened(run).run.annotator
    count = 0
    for item, data in read_items(batch.items):
        if count == index and isinstance(data, bytes):
            with suppress(PicaptionError, *_UNEXPECTED):
                annotator.annotate(data, item.path)
        count += 1
    return count


def open_run(run: Run) -> OpenRun:
    """Return a run, ready to annotate in this process.

    Raises:
        PicaptionError: The bundle or the output is not what the run says, or cannot be used.
    """
    store = open_output(run)
    require_same_output(run, store)
    if hash_bundle(run.annotator) != run.bundle_hash:
        name = run.annotator.bundle or "the shipped one"
        raise PicaptionError(
            f"a worker has another bundle ({name}); install the same picaption there, or copy the "
            "bundle to the same path"
        )
    _ = run.annotator.recognizer
    return OpenRun(run, store)


def opened(run: Run) -> OpenRun:
    """Return a run that this process has opened, now or before.

    Raises:
        PicaptionError: As `open_run` does.
    """
    with _open_lock:
        if run.identity not in _open_runs:
            while len(_open_runs) >= MAX_OPEN_RUNS:
                del _open_runs[next(iter(_open_runs))]
            cv2.setNumThreads(1)  # The processes share the cores.
            _open_runs[run.identity] = open_run(run)
        return _open_runs[run.identity]


def _ignore(index: int) -> None:
    """Take no notice of an image."""


def _require_file(item: Item) -> None:
    """Check that metadata.jsonl can name an image, which is a file beside it."""
    if item.root or item.size is not None or not is_utf8(item.path):
        raise PicaptionError(
            f"{item.path}: metadata.jsonl names files, in UTF-8; unpack or rename it, or give "
            "another --format"
        )


def current_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0))
