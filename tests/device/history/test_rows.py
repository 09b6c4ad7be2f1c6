"""Rows that somebody else wrote, or a bad card changed, are one line and no traceback."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.history.reader import HistoryReader, SceneFilter
from picaption.device.history.rows import MAX_TIME
from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.store import HistoryStore
from picaption.device.recognition.result import Score


@pytest.fixture
def path(tmp_path):
    """A history with one scene."""
    path = tmp_path / "history.db"
    scene = Scene(1000, 2000, "usb:0", "a cat", 0.5, tags=(Score("cat", 0.75),))
    with closing(HistoryStore(path)) as store, store.transaction():
        store.add(scene, SceneImage(quantize(np.ones(4, np.float32)), b"\xff\xd8"))
    return path


def change(path, table, column, value):
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"UPDATE {table} SET {column} = ?", (value,))
        connection.commit()


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", -5),
        ("end", MAX_TIME + 1),
        ("end", "soon"),
        ("caption", b"\xff\xfe"),
        ("confidence", "much"),
        ("confidence", float("inf")),
        ("alternatives", "[5]"),
        ("tags", "["),
        ("tags", "[" * 5000),
        ("tags", '[["cat"]]'),
        ("classes", '[["cat", "much"]]'),
        ("classes", '[["cat", 1e999]]'),
        ("classes", "5"),
    ],
)
def test_a_damaged_row_is_one_line(path, column, value):
    change(path, "scene", column, value)
    with (
        closing(HistoryReader(path)) as reader,
        pytest.raises(PicaptionError, match=r"cannot be read \(scene -?\d+ is damaged\)"),
    ):
        reader.scenes(SceneFilter())
    # Who writes gets an error of SQLite's, as for any damage.
    with closing(HistoryStore(path)) as store, pytest.raises(sqlite3.Error):
        store.index(store.unindexed())


@pytest.mark.parametrize(
    ("column", "value"),
    [("scale", "much"), ("scale", float("inf")), ("features", 5), ("features", b"?")],
)
def test_damaged_features_are_one_line(path, column, value):
    change(path, "image", column, value)
    with closing(HistoryReader(path)) as reader:
        with pytest.raises(PicaptionError, match="cannot be read"):
            reader.image(1000)
        assert [scene.caption for scene in reader.scenes(SceneFilter())] == ["a cat"]


def test_a_damaged_thumbnail_is_none(path):
    change(path, "image", "thumbnail", "text")
    with closing(HistoryReader(path)) as reader:
        assert reader.thumbnail(1000) is None
