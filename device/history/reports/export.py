"""The history as CSV, JSON lines or a zip with thumbnails, piece by piece, in bounded memory."""

import csv
import io
import json
import zipfile
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from ...errors import PicaptionError
from ..reader import HistoryReader, SceneFilter
from .forms import COLUMNS, local_time, scene_json, scene_row

#: The forms, and what a browser calls them.
MEDIA_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "jsonl": "application/jsonl",
    "zip": "application/zip",
}
#: The list of a zip's files is written at its end, so it is kept until then.
MAX_ZIP_IMAGES = 20_000
#: Zips know no time before 1980; a Pi without a network believes that it is 1970.
_FIRST_SECOND = 315_700_000
#: Bytes after which a piece is handed on.
PIECE_BYTES = 32_768


class TooManyScenesError(PicaptionError):
    """There are more scenes than the form can hold."""


def export(
    reader: HistoryReader, wanted: SceneFilter, form: str, zone: tzinfo | None = None
) -> Iterator[bytes]:
    """Return the pieces of a file with scenes, the oldest first.

    Args:
        reader: The history, which has to stay open.
        wanted: Which scenes.
        form: One of MEDIA_TYPES.
        zone: Where times are local; None: here.

    Raises:
        TooManyScenesError: A zip would have too many images.
    """
    if form == "zip":
        count = reader.count(wanted)
        if count > MAX_ZIP_IMAGES:
            raise TooManyScenesError(
                f"a zip holds {MAX_ZIP_IMAGES:,} scenes at most, these are {count:,}; "
                "choose a shorter time, or csv or jsonl"
            )
        return _zip_pieces(reader, wanted)
    if form == "csv":
        return _joined(_csv_lines(reader, wanted, zone))
    return _joined(_json_lines(reader, wanted))


def _csv_lines(reader: HistoryReader, wanted: SceneFilter, zone: tzinfo | None) -> Iterator[bytes]:
    """Yield the lines of a CSV file as RFC 4180 has them."""
    yield _csv_line(COLUMNS)
    for scene in reader.walk(wanted):
        yield _csv_line(scene_row(scene, zone))


def _csv_line(values: Iterable[str]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(values)
    return buffer.getvalue().encode()


def _json_lines(reader: HistoryReader, wanted: SceneFilter) -> Iterator[bytes]:
    for scene in reader.walk(wanted):
        yield json.dumps(scene_json(scene), ensure_ascii=False).encode() + b"\n"


def _joined(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield lines in pieces of about PIECE_BYTES."""
    piece = bytearray()
    for line in lines:
        piece += line
        if len(piece) >= PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


class _Outbox(io.RawIOBase):
    """What a ZipFile writes to; it hands on what was written."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def writable(self) -> bool:
        """Return that it is."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        """Take bytes."""
        self._bytes += data
        return len(data)

    def take(self, least: int = 1) -> Iterator[bytes]:
        """Yield what was written, if it is at least so many bytes."""
        if len(self._bytes) >= least:
            yield bytes(self._bytes)
            self._bytes.clear()


def _zip_pieces(reader: HistoryReader, wanted: SceneFilter) -> Iterator[bytes]:
    """Yield a zip of scenes.jsonl and the thumbnails that there are, as thumbnails/ID.jpg."""
    outbox = _Outbox()
    now = datetime.now().timetuple()[:6]
    with zipfile.ZipFile(outbox, "w") as archive:
        listing = zipfile.ZipInfo("scenes.jsonl", now)
        listing.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(listing, "w") as file:
            for line in _json_lines(reader, wanted):
                file.write(line)
                yield from outbox.take(PIECE_BYTES)
        images = 0
        for scene in reader.walk(wanted):
            thumbnail = reader.thumbnail(scene.id)
            if thumbnail is None or images == MAX_ZIP_IMAGES:
                continue
            images += 1
            began = datetime.fromtimestamp(max(scene.begin_seconds, _FIRST_SECOND))
            entry = zipfile.ZipInfo(f"thumbnails/{scene.id}.jpg", began.timetuple()[:6])
            archive.writestr(entry, thumbnail)
            yield from outbox.take(PIECE_BYTES)
    yield from outbox.take()


def export_name(form: str, wanted: SceneFilter, zone: tzinfo | None = None) -> str:
    """Return what a file is called that is saved, such as "picaption-2026-11-28.csv"."""
    if wanted.since is None:
        return f"picaption.{form}"
    return f"picaption-{local_time(wanted.since / 1000, zone)[:10]}.{form}"
