"""Scenes are written, found by filters, and removed without a trace."""

import sqlite3
import time
from contextlib import closing
from datetime import datetime

import numpy as np
import pytest

from picaption.device.history.reader import HistoryReader, SceneFilter
from picaption.device.history.scene import Scene, SceneImage, dequantize, quantize
from picaption.device.history.store import HistoryStore, erase_span
from picaption.device.recognition.result import Score

MINUTE = 60_000
#: Noon of a day, local time, in milliseconds.
NOON = int(datetime(2026, 11, 28, 12).timestamp() * 1000)

CAT = Scene(
    NOON,
    NOON + 5000,
    "desk",
    "a cat on a table",
    0.9,
    alternatives=("a cat lying down", "ein Kätzchen"),
    tags=(Score("cat", 0.9871),),
    classes=(Score("cat", 0.97), Score('the "big" one', 0.6)),
    encoder="0123",
)
DARK = Scene(NOON + MINUTE, NOON + 3 * MINUTE, "desk", silence="too dark to tell")
DOG = Scene(
    NOON + 60 * MINUTE,
    NOON + 61 * MINUTE,
    "door",
    "two dogs",
    0.4,
    True,
    classes=(Score("dog", 0.7),),
)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "history.db"


@pytest.fixture
def store(path):
    with closing(HistoryStore(path)) as store:
        yield store


@pytest.fixture
def filled(store):
    """The store with the three scenes, of which the last one is not indexed."""
    with store.transaction():
        for scene in (CAT, DARK, DOG):
            features = quantize(np.arange(4, dtype=np.float32))
            store.add(scene, SceneImage(features, b"JPEG", b"sketch"))
        store.index([CAT.id, DARK.id])
    return store


@pytest.fixture
def reader(filled, path):
    with closing(HistoryReader(path)) as reader:
        yield reader


def texts(scenes):
    return [scene.text for scene in scenes]


def test_a_scene_comes_back_as_it_was(reader):
    assert reader.scene(CAT.id) == CAT.__class__(
        **CAT.__dict__ | {"tags": (Score("cat", 0.987),)}  # To three places.
    )
    assert reader.scene(DARK.id) == DARK
    assert reader.scene(1) is None
    assert reader.thumbnail(CAT.id) == b"JPEG"
    assert reader.thumbnail(1) is None
    features = reader.image(CAT.id).features
    assert dequantize(features).tolist() == pytest.approx([0, 1, 2, 3], abs=3 / 254)


def test_quantized_features_are_off_by_half_a_step_at_most():
    features = np.array([-1.27, 0.5, 0.004, 0.006], np.float32)
    quantized = quantize(features)
    assert quantized.values.tolist() == [-127, 50, 0, 1]
    assert quantized.scale == pytest.approx(0.01)
    assert quantize(np.zeros(3, np.float32)).values.tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (SceneFilter(), ["two dogs", "too dark to tell", "a cat on a table"]),
        (SceneFilter(since=NOON + 2 * MINUTE), ["two dogs", "too dark to tell"]),
        (SceneFilter(until=NOON + MINUTE), ["a cat on a table"]),
        (SceneFilter(camera="door"), ["two dogs"]),
        (SceneFilter(class_name="cat"), ["a cat on a table"]),
        (SceneFilter(class_name='the "big" one'), ["a cat on a table"]),
        (SceneFilter(class_name="ca"), []),
        (SceneFilter(class_name="%"), []),
        (SceneFilter(confidence=0.5), ["a cat on a table"]),
        (SceneFilter(word="cats"), ["a cat on a table"]),
        (SceneFilter(word="dogs"), ["two dogs"]),  # Not in the index yet.
        (SceneFilter(word='x" OR "cat'), []),
        (SceneFilter(word="two", class_name="dog", camera="door"), ["two dogs"]),
    ],
)
def test_scenes_are_found_by_filters(reader, wanted, expected):
    assert texts(reader.scenes(wanted)) == expected
    assert reader.count(wanted) == len(expected)
    assert reader.ids(wanted) == [scene.id for scene in reversed(reader.scenes(wanted))]


def test_scenes_come_in_parts_and_are_counted_by_day_and_hour(reader):
    assert texts(reader.scenes(SceneFilter(), 1, 1)) == ["too dark to tell"]
    assert reader.days(SceneFilter()) == {"2026-11-28": 3}
    assert reader.hours(SceneFilter()) == {"2026-11-28 12": 2, "2026-11-28 13": 1}
    assert reader.cameras() == ["desk", "door"]
    summary = reader.summary()
    assert (summary.scenes, summary.begin, summary.end) == (3, NOON, DOG.end)
    assert summary.file_bytes > 10_000


def test_two_scenes_of_one_moment_are_two(store, path):
    with store.transaction():
        assert store.add(CAT, SceneImage()) == NOON
        assert store.add(CAT, SceneImage()) == NOON + 1
    with closing(HistoryReader(path)) as reader:
        assert reader.count(SceneFilter()) == 2


def test_an_open_scene_is_updated_unless_somebody_deleted_it(filled, path, reader):
    longer = Scene(**DOG.__dict__ | {"end": DOG.end + 1, "caption": "three dogs"})
    with filled.transaction():
        assert filled.update(longer)
    assert reader.scene(DOG.id) == longer
    assert reader.thumbnail(DOG.id) == b"JPEG"
    assert erase_span(path, DOG.id, DOG.id + 1) == 1
    with filled.transaction():
        assert not filled.update(longer, SceneImage())
    assert reader.scene(DOG.id) is None and reader.image(DOG.id) is None


def test_what_is_not_committed_is_not_there(filled, reader):
    with pytest.raises(ZeroDivisionError), filled.transaction():
        filled.add(CAT, SceneImage())
        raise ZeroDivisionError
    assert reader.count(SceneFilter()) == 3


def test_an_erased_span_leaves_no_trace(filled, path, reader):
    assert filled.erase(NOON + MINUTE, NOON + 2 * MINUTE) == 1  # It went on then.
    assert filled.erase(NOON, NOON + 1) == 1
    assert texts(reader.scenes(SceneFilter())) == ["two dogs"]
    reader.close()
    filled.close()
    data = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert b"two dogs" in data
    for trace in ("cat", "Kätzchen", "katzchen", "dark"):
        assert trace.encode() not in data, trace
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        connection.execute("INSERT INTO words(words) VALUES('integrity-check')")
        assert connection.execute("SELECT count(*) FROM words").fetchone() == (0,)


def test_unindexed_scenes_are_those_whose_words_are_not_in_the_index(filled, reader):
    assert filled.unindexed() == [DOG.id]
    assert reader.indexed_to() == DARK.id
    with filled.transaction():
        filled.index([DOG.id, 12345])
    assert filled.unindexed() == []
    assert reader.indexed_to() == DOG.id


def test_old_scenes_go_by_days(filled, reader):
    now = DOG.end / 1000 + 86_400
    assert filled.prune(days=1, megabytes=0, now=now) == 2
    assert texts(reader.scenes(SceneFilter())) == ["two dogs"]
    assert filled.prune(days=0, megabytes=0, now=now + 1e9) == 0


def test_the_oldest_scenes_go_by_megabytes_and_the_file_stays_as_small(store, path):
    features = quantize(np.random.default_rng(0).normal(size=1280).astype(np.float32))
    for hundred in range(10):
        with store.transaction():
            for number in range(100):
                begin = NOON + (100 * hundred + number) * MINUTE
                scene = Scene(begin, begin + 1000, caption=f"scene number {number}")
                store.add(scene, SceneImage(features))
            store.index(store.unindexed())
        store.prune(days=0, megabytes=0.5)
        assert store._count("page_count") * store._count("page_size") <= 500_000
    with closing(HistoryReader(path)) as reader:
        ids = reader.ids(SceneFilter())
        assert 50 < len(ids) < 300
        assert ids[-1] == NOON + 999 * MINUTE  # The newest ones, without a gap.
        assert ids == list(range(ids[0], ids[-1] + 1, MINUTE))
    store.copy_log()
    assert path.stat().st_size <= 500_000


def test_bytes_written_are_added_up_by_day(store, path):
    for amount, day in ((100, 1), (50, 1), (7, 2)):
        with store.transaction():
            store.note_written(amount, datetime(2026, 1, day, 12).timestamp())
    with closing(HistoryReader(path)) as reader:
        assert reader.summary().written == {"2026-01-01": 150, "2026-01-02": 7}


def test_a_store_waits_for_another_that_writes(filled, path):
    with closing(HistoryStore(path)) as other:
        with other.transaction():
            other._connection.execute("PRAGMA busy_timeout = 20")
            filled._connection.execute("PRAGMA busy_timeout = 20")
            start = time.monotonic()
            with pytest.raises(sqlite3.OperationalError, match="locked"), filled.transaction():
                pass
            assert time.monotonic() - start < 5
        with filled.transaction():
            filled.add(CAT, SceneImage())
