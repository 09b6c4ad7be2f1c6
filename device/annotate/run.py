"""A run: the settings that its rows depend on, and the record of them beside the rows.

The record refuses what would mix rows of two bundles in one folder, or remove those of another
collection; and it shows a worker of a cluster that it writes where the client reads.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..addresses import scheme_of, without_secrets
from ..atomic import read_file
from ..bundle.bundle import default_bundle
from ..errors import PicaptionError
from ..parsing import MalformedError, parse_json
from .annotator import Annotator
from .collection.patterns import split_pattern
from .storage.formats import HIDDEN_ROWS, SUFFIXES
from .storage.store import LocalStore, Store, open_store

#: Version of the record; a change means that batches or rows are made otherwise.
RECORD_VERSION = 1
#: The folder of what is needed to go on, and the record in it.
STATE = ".annotate"
RECORD = f"{STATE}/run.json"
#: Where the errors of single images are listed.
ERRORS = "annotate-errors.jsonl"
#: Images of a batch, on average.
DEFAULT_BATCH = 128

_ROWS_PREFIX = "rows-"
_ERRORS_PREFIX = "errors-"


@dataclass(frozen=True)
class Run:
    """What a worker needs to know to annotate a batch and write its rows.

    Attributes:
        output: The absolute path or the address of the output.
        output_format: A key of SUFFIXES.
        annotator: Makes the rows.
        bundle_hash: SHA-256 of the bundle's file.
        feature_size: Numbers of an image's features; 0: rows have none.
        record: The text of the record.
    """

    output: str
    output_format: str
    annotator: Annotator
    bundle_hash: str
    feature_size: int
    record: str

    @property
    def identity(self) -> str:
        """Hexadecimal digits that stand for the run's settings and its output."""
        return hashlib.sha256(f"{self.output}\n{self.record}".encode()).hexdigest()[:24]

    @property
    def rows_folder(self) -> str:
        """The folder of the rows' files, in the output."""
        return STATE if self.output_format in HIDDEN_ROWS else ""

    def rows_name(self, batch: str) -> str:
        """Return the name of the file of a batch's rows, in the output."""
        name = f"{_ROWS_PREFIX}{batch}{SUFFIXES[self.output_format]}"
        return f"{self.rows_folder}/{name}".lstrip("/")

    def batch_of(self, name: str) -> str | None:
        """Return the batch of a file in the folder of the rows; None if it holds no rows."""
        suffix = SUFFIXES[self.output_format]
        if not name.startswith(_ROWS_PREFIX) or not name.endswith(suffix):
            return None
        return name.removeprefix(_ROWS_PREFIX).removesuffix(suffix)


def errors_name(batch: str) -> str:
    """Return the name of the file of a batch's errors, in the output."""
    return f"{STATE}/{_ERRORS_PREFIX}{batch}.jsonl"


def is_errors_name(name: str) -> bool:
    """Return whether a file in STATE holds a batch's errors."""
    return name.startswith(_ERRORS_PREFIX) and name.endswith(".jsonl")


def create_run(
    sources: Sequence[str],
    output: str,
    output_format: str,
    annotator: Annotator,
    batch_size: int = DEFAULT_BATCH,
) -> Run:
    """Return a run; its bundle is opened and checked.

    Args:
        sources: What the command line calls the collection's parts.
        output: The folder or address of the rows.
        output_format: A key of SUFFIXES.
        annotator: Makes the rows.
        batch_size: Images of a batch, on average.

    Raises:
        PicaptionError: The bundle is unusable, or the format does not fit.
    """
    if not scheme_of(output):
        output = os.path.abspath(output)
    if annotator.bundle is not None:
        annotator.bundle = os.path.abspath(annotator.bundle)
    if output_format == "metadata":
        _require_below(sources, output)
    bundle_hash = hash_bundle(annotator)
    recognizer = annotator.recognizer
    feature_size = 0
    if annotator.features:
        shape = recognizer.model.metadata.input
        blank = np.zeros((shape.height, shape.width, 3), np.uint8)
        feature_size = recognizer.encode(blank).features.shape[1]
    record: dict[str, Any] = {
        "version": RECORD_VERSION,
        "sources": [without_secrets(source) for source in sources],
        "bundle": bundle_hash,
        "format": output_format,
        "features": annotator.features,
        "scaled": annotator.scaled,
        "beam": annotator.beam,
        "batch": batch_size,
    }
    if not all(scheme_of(source) or os.path.isabs(source) for source in sources):
        record["folder"] = os.getcwd()
    text = json.dumps(record, indent=1)
    return Run(output, output_format, annotator, bundle_hash, feature_size, text)


def hash_bundle(annotator: Annotator) -> str:
    """Return the SHA-256 of an annotator's bundle.

    Raises:
        PicaptionError: It cannot be read.
    """
    path = annotator.bundle or default_bundle()
    try:
        return hashlib.sha256(read_file(path)).hexdigest()
    except OSError as error:
        raise PicaptionError(
            f"the bundle {path} cannot be read ({error.strerror}); check the path"
        ) from None


def _require_below(sources: Sequence[str], output: str) -> None:
    """Check that all sources are local and below the output, where metadata.jsonl stands."""
    for source in sources:
        folder = os.path.abspath(split_pattern(source)[0] or ".")
        if scheme_of(source) or scheme_of(output) or not f"{folder}/".startswith(f"{output}/"):
            raise PicaptionError(
                f"--format metadata writes metadata.jsonl above the pictures, and {source} is "
                f"not below {output}: give --output {without_secrets(source)}"
            )


def claim_output(run: Run, store: Store) -> None:
    """Write the record of a run, or check that it goes on where the one that is there ended.

    Args:
        run: The run.
        store: Its output.

    Raises:
        PicaptionError: The output holds the rows of a run with other settings.
    """
    present = store.read(RECORD)
    if present is None:
        store.write(RECORD, run.record.encode())
        return
    changed = _changed_settings(present, run.record)
    if changed:
        raise PicaptionError(
            f"{without_secrets(run.output)} holds the rows of a run with another "
            f"{' and '.join(changed)}; give another --output, or the settings of that run, which "
            f"stand in {RECORD}"
        )


def _changed_settings(present: bytes, record: str) -> list[str]:
    """Return the names of the settings in which two records differ."""
    try:
        settings = parse_json(present)
    except (MalformedError, UnicodeDecodeError):
        settings = None
    if not isinstance(settings, dict):
        return ["record, which is damaged"]
    expected = json.loads(record)
    names = sorted(settings.keys() | expected.keys())
    return [str(name) for name in names if settings.get(name) != expected.get(name)]


def open_output(run: Run) -> Store:
    """Return the store that a run's rows are written to."""
    return open_store(run.output)


def require_same_output(run: Run, store: Store) -> None:
    """Check that a worker reads the record that the client has written.

    Raises:
        PicaptionError: It does not: its output is another folder.
    """
    if store.read(RECORD) != run.record.encode():
        advice = "share that folder between all workers, or give an address such as s3://"
        if not isinstance(store, LocalStore):
            advice = "give an address that all workers reach"
        raise PicaptionError(
            f"a worker does not find the run's record in {without_secrets(run.output)}; {advice}"
        )
