"""The history's file: a SQLite database, as another program, a bad card or anyone left it."""

import json
import sqlite3
from contextlib import closing
from datetime import date
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from picaption.device.history.database import reading_errors
from picaption.device.history.reader import HistoryReader, SceneFilter
from picaption.device.history.reports.days import count_days
from picaption.device.history.reports.digest import make_digest
from picaption.device.history.reports.export import export
from picaption.device.history.reports.forms import scene_json
from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.search.search import HistorySearch
from picaption.device.history.store import HistoryStore
from picaption.device.recognition.result import Score
from tests.tiny import TINY_BUNDLE

from .kind import Kind
from .mutation import mutate_bytes

_NAME = "history.db"
_DAY = date(2026, 11, 28)
#: Milliseconds since the epoch on that day.
_BEGIN = 1_795_860_000_000
#: What takes the place of a value in a row: SQLite keeps any type in any column.
_VALUES: tuple[Any, ...] = (
    *(None, 0, -1, 2**63 - 1, -(2**63), 1.5, float("inf"), "", "?", "[]", "{}", "[[]]", '["a"]'),
    *('[["cat","much"]]', '[["cat",1e999]]', "[" * 2000, "\x1b[31m", "é" * 300, b"", b"\xff\xfe"),
)


def _seeds(folder: Path) -> list[bytes]:
    path = folder / _NAME
    random = np.random.default_rng(0)
    with closing(HistoryStore(path)) as store, store.transaction():
        ids = []
        for number in range(6):
            scene = Scene(
                _BEGIN + number * 60_000,
                _BEGIN + number * 60_000 + 30_000,
                "usb:0",
                f"a cat on table {number}",
                0.5 + number / 20,
                alternatives=("a dog",),
                tags=(Score("cat", 0.8),),
                classes=(Score("cat", 0.9), Score("cup", 0.7)),
            )
            features = quantize(random.normal(size=32).astype(np.float32))
            ids.append(store.add(scene, SceneImage(features, b"\xff\xd8\xff\xd9")))
        store.index(ids)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
    return [path.read_bytes()]


@cache
def _search() -> HistorySearch:
    return HistorySearch(TINY_BUNDLE)


def _use(content: bytes, folder: Path) -> None:
    """Ask all that the page and the commands ask, and then write as the live loop does."""
    path = folder / _NAME
    for file in folder.glob(f"{_NAME}*"):
        file.unlink()
    path.write_bytes(content)
    with closing(HistoryReader(path)) as reader:
        everything = SceneFilter()
        reader.summary()
        reader.last_scenes(everything)
        reader.cameras()
        count_days(reader, everything, _DAY, _DAY)
        make_digest(reader.scenes(everything), _DAY)
        for scene in reader.scenes(SceneFilter(word="cat", class_name="cat", confidence=0.1)):
            json.dumps(scene_json(scene))
            reader.image(scene.id)
        for form in ("csv", "jsonl", "zip"):
            for _ in export(reader, everything, form):
                continue
        _search().by_text(reader, "a cat on a table")
        for scene_id in reader.ids(everything)[:2]:
            _search().like(reader, scene_id)
    with reading_errors(path), closing(HistoryStore(path)) as store:
        with store.transaction():
            store.index(store.unindexed())
            store.add(Scene(_BEGIN, _BEGIN + 1000, caption="a dog"), SceneImage())
        store.erase(_BEGIN, _BEGIN + 90_000)
        store.prune(30, 0.01, _BEGIN / 1000 + 86_400)


def _mutate(seed: bytes, random: Random) -> bytes:
    """Return a history with other values in its rows, or, as often, with other bytes."""
    if random.random() < 0.5:
        return mutate_bytes(seed, random)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(seed)
        for _ in range(random.randint(1, 3)):
            table = random.choice(("scene", "scene", "scene", "image", "state", "written"))
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            row = connection.execute(
                f"SELECT * FROM {table} LIMIT 1 OFFSET ?", (random.randrange(6),)
            ).fetchone()
            if row is None:
                continue
            try:
                connection.execute(
                    f"UPDATE {table} SET {random.choice(columns)} = ? WHERE {columns[0]} = ?",
                    (random.choice(_VALUES), row[0]),
                )
            except sqlite3.Error:  # What the column does not take.
                continue
        connection.commit()
        return connection.serialize()


KINDS = (Kind("history", _seeds, _use, _mutate),)
