"""The history's file: made, opened, and never written over something else."""

import os
import sqlite3
from contextlib import closing

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.history.database import connect_to_read, connect_to_write


def test_a_history_is_made_for_its_owner_alone_and_opened_again(tmp_path):
    path = tmp_path / "history.db"
    with closing(connect_to_write(path)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
        # While it is open, its tables may be in the log alone.
        with closing(connect_to_read(path)) as reader:
            assert reader.execute("SELECT count(*) FROM scene").fetchone() == (0,)
    assert path.stat().st_mode & 0o777 == 0o600
    with closing(connect_to_write(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def make_foreign(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE states(state TEXT)")
        connection.commit()


def make_foreign_with_log(path):
    """A database of another program whose last writes are in its log, as while that runs."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE states(state TEXT)")
        connection.commit()
        log = (path.parent / f"{path.name}-wal").read_bytes()
        data = path.read_bytes()
    path.write_bytes(data)
    (path.parent / f"{path.name}-wal").write_bytes(log)


def make_text(path):
    path.write_text("remember the milk\n" * 9)


def make_newer(path):
    with closing(connect_to_write(path)) as connection:
        connection.execute("PRAGMA user_version = 99")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (make_foreign, "is not a history of picaption, or damaged"),
        (make_foreign_with_log, "is not a history of picaption, or damaged"),
        (make_text, "is not a history of picaption, or damaged"),
        (make_newer, "is of version 99, this picaption reads 1"),
        (lambda path: path.mkdir(), "is (no|not a) file"),
    ],
)
@pytest.mark.parametrize("connect", [connect_to_write, connect_to_read])
def test_what_is_no_history_is_left_as_it_is(tmp_path, make, problem, connect):
    path = tmp_path / "data.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(PicaptionError, match=problem) as error:
        connect(path)
    assert "\n" not in str(error.value)
    if before is not None:
        assert path.read_bytes() == before


def test_where_no_file_can_be_there_is_one_line(tmp_path):
    with pytest.raises(PicaptionError, match="cannot be written .* check the folder"):
        connect_to_write(tmp_path / "missing" / "history.db")
    with pytest.raises(PicaptionError, match="there is no file"):
        connect_to_read(tmp_path / "history.db")
    assert os.listdir(tmp_path) == []


def test_names_that_mean_something_in_an_address_are_names(tmp_path):
    path = tmp_path / "a?mode=memory&b#c%20.db"
    connect_to_write(path).close()
    assert path.is_file()
    connect_to_read(path).close()
