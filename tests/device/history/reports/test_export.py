"""Files with scenes: complete, in pieces of bounded size, and harmless."""

import io
import json
import zipfile
from contextlib import closing

import pytest

from picaption.device.history.reader import HistoryReader, SceneFilter
from picaption.device.history.reports import export as module
from picaption.device.history.reports.export import TooManyScenesError, export, export_name
from picaption.device.history.reports.ics import LINE_OCTETS, calendar_lines
from picaption.device.history.reports.visits import Visit
from picaption.device.history.scene import Scene
from picaption.device.history.store import HistoryStore
from tests.device.fakes.histories import THUMBNAIL, make_history, scene

ALL = SceneFilter()


@pytest.fixture
def open_history(tmp_path):
    """Returns a reader of a history with scenes."""
    readers = []

    def open_history(scenes):
        readers.append(HistoryReader(make_history(tmp_path / "history.db", scenes)))
        return readers[-1]

    yield open_history
    for reader in readers:
        reader.close()


def test_pieces_are_bounded_and_make_up_the_file(open_history, monkeypatch):
    monkeypatch.setattr(module, "PIECE_BYTES", 1000)
    scenes = [Scene(number, number + 5, caption=f"scene {number}") for number in range(450)]
    reader = open_history(scenes)
    for form in ("csv", "jsonl"):
        pieces = list(export(reader, ALL, form))
        assert len(pieces) > 20 and all(1000 <= len(piece) < 1500 for piece in pieces[:-1])
    lines = b"".join(pieces).splitlines()
    assert [json.loads(line)["id"] for line in lines] == list(range(450))


def test_a_zip_takes_scenes_of_1970_and_no_more_than_it_may(open_history, monkeypatch):
    old = Scene(86_400_000, 86_400_001, classes=scene("8:00", "9:00", "", "cat").classes)
    reader = open_history([old, scene("8:00", "9:00")])
    with zipfile.ZipFile(io.BytesIO(b"".join(export(reader, ALL, "zip")))) as archive:
        assert archive.read("thumbnails/86400000.jpg") == THUMBNAIL
        assert archive.getinfo("thumbnails/86400000.jpg").date_time[0] == 1980
    monkeypatch.setattr(module, "MAX_ZIP_IMAGES", 1)
    with pytest.raises(TooManyScenesError, match="a zip holds 1 scenes at most, these are 2;"):
        export(reader, ALL, "zip")


def test_a_slow_reader_keeps_nothing_open(open_history, tmp_path):
    reader = open_history([Scene(number, number) for number in range(450)])
    pieces = reader.walk(ALL)
    next(pieces)
    # Were a transaction open, the log could not be emptied.
    with closing(HistoryStore(tmp_path / "history.db")) as store:
        assert store.erase(0, 100) == 100
    assert [scene.id for scene in pieces][199:] == list(range(200, 450))


def test_a_file_is_called_after_its_first_day():
    assert export_name("csv", ALL) == "picaption.csv"
    noon = SceneFilter(since=1_764_331_200_000)
    assert export_name("zip", noon) == "picaption-2025-11-28.zip"


def test_a_calendar_is_folded_and_no_name_breaks_out_of_it():
    name = "cat;\r\nBEGIN:VALARM, " + "ü" * 60
    visit = Visit(name, 1_700_000_000, 1_700_000_000, 0.97, 2)
    lines = b"".join(calendar_lines([visit])).split(b"\r\n")
    assert all(len(line) <= LINE_OCTETS for line in lines)
    assert lines.count(b"BEGIN:VEVENT") == 1
    assert not any(line.startswith(b"BEGIN:VALARM") for line in lines)
    text = b"\r\n".join(lines).replace(b"\r\n ", b"").decode()
    assert f"SUMMARY:cat\\;  BEGIN:VALARM\\, {'ü' * 60}\r\n" in text
    assert "DESCRIPTION:certain in 2 scenes\\, at most 97%\r\n" in text
    # No event is shorter than a second.
    assert "DTSTART:20231114T221320Z\r\nDTEND:20231114T221321Z\r\n" in text
