"""Rows as bytes: Parquet, JSON lines, Hugging Face's metadata.jsonl."""

import io
import json
from collections.abc import Callable, Sequence
from typing import Any

from ..rows import Row

#: What rows are written as, by the name of the format: the files' ending of a batch.
SUFFIXES = {"parquet": ".parquet", "jsonl": ".jsonl", "metadata": ".jsonl", "xmp": ".jsonl"}
#: Formats that are made of the rows once all are there, or beside them: rows stay out of sight.
HIDDEN_ROWS = frozenset(("metadata", "xmp"))


def encode_rows(rows: Sequence[Row], output_format: str, feature_size: int) -> bytes:
    """Return a batch's rows as the bytes of a file.

    Args:
        rows: The rows.
        output_format: A key of SUFFIXES.
        feature_size: Numbers of an image's features; 0: there is no column for them.
    """
    if output_format == "parquet":
        return to_parquet(rows, feature_size)
    return to_json_lines(rows)


def count_rows(data: bytes, output_format: str) -> int:
    """Return how many rows the bytes of a file hold."""
    if output_format != "parquet":
        return data.count(b"\n")
    if not data:
        return 0
    from pyarrow import parquet

    return parquet.read_metadata(io.BytesIO(data)).num_rows


def to_json_lines(rows: Sequence[Row]) -> bytes:
    """Return rows as JSON lines."""
    return "".join(json.dumps(row.to_json()) + "\n" for row in rows).encode()


def to_parquet(rows: Sequence[Row], feature_size: int = 0) -> bytes:
    """Return rows as a Parquet file; features as a list of fixed size."""
    import pyarrow
    from pyarrow import parquet

    schema = _schema(pyarrow, feature_size)
    columns = []
    for field in schema:
        values = [getattr(row, field.name) for row in rows]
        columns.append(pyarrow.array(values, field.type))
    file = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_arrays(columns, schema=schema), file)
    return file.getvalue()


def _schema(pyarrow: Any, feature_size: int) -> Any:
    """Return the columns of a table and their types."""
    text = pyarrow.string()
    score = pyarrow.float32()
    types = {
        "path": text,
        "size": pyarrow.int64(),
        "hash": text,
        "caption": text,
        "confidence": score,
        "unsure": pyarrow.bool_(),
        "tags": pyarrow.list_(text),
        "tag_scores": pyarrow.list_(score),
        "classes": pyarrow.list_(text),
        "scores": pyarrow.list_(score),
        "certain": pyarrow.list_(pyarrow.bool_()),
        "names": pyarrow.list_(text),
        "silence": text,
    }
    if feature_size:
        types["features"] = pyarrow.list_(pyarrow.float32(), feature_size)
    return pyarrow.schema(list(types.items()))


def to_metadata(line: bytes, file_name: Callable[[str], str]) -> bytes:
    """Return a row, a line of JSON, as one of Hugging Face's metadata.jsonl.

    Args:
        line: The row.
        file_name: Returns the name of a row's file, relative to the metadata's folder.
    """
    row = json.loads(line)
    return json.dumps({"file_name": file_name(row.pop("path"))} | row).encode()
