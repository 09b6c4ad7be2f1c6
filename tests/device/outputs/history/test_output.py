"""The history beside the loop: written by a thread, whatever happens to process and disk."""

import logging
import multiprocessing
import os
import random
import resource
import signal
import sqlite3
import time
from contextlib import closing

import cv2
import numpy as np
import pytest

from picaption.device.bundle.bundle import Encoded
from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.history.encoder_hash import encoder_hash
from picaption.device.history.reader import HistoryReader, SceneFilter
from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.store import HistoryStore
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.outputs.history import writer
from picaption.device.outputs.history.output import open_output
from picaption.device.outputs.history.writer import make_thumbnail
from picaption.device.outputs.sink import OutputContext, RecognizedFrame
from picaption.device.recognition.result import Score
from tests.device.fakes.standins import FRAME, recognition

CONTEXT = OutputContext(None, Metadata("tiny"))
FEATURES = np.linspace(0, 4, 1280, dtype=np.float32)[None]
KILLS = 10
SENTENCE = "a man woman dog is sitting standing on the grass street table with red shirt"


def frame(number, image=FRAME):
    """The frame of scene `number`, a minute after the one before."""
    encoded = Encoded(FEATURES, None, None)
    captured_at = 1_700_000_000.0 + 60 * number
    made = recognition(f"scene {number}", scene=number, captured_at=captured_at, encoded=encoded)
    return RecognizedFrame(image, made)


def config(path, **changes):
    return Config(history=str(path), history_days=0.0, **changes)


def read(path):
    """Return the captions in a history, and whether SQLite finds it sound."""
    with closing(HistoryReader(path)) as reader:
        captions = [scene.caption for scene in reversed(reader.scenes(SceneFilter(), 10_000))]
        sound = reader.connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return captions, sound


def wait_until(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_without_the_setting_there_is_no_history(tmp_path):
    assert open_output(Config(), CONTEXT) is None


def test_scenes_are_written_with_their_features_and_indexed_at_the_end(tmp_path):
    path = tmp_path / "history.db"
    for start in (0, 3):  # Two runs.
        output = open_output(config(path), CONTEXT)
        for number in range(start, start + 3):
            output.write(frame(number))
        output.close()
    assert read(path) == ([f"scene {number}" for number in range(6)], True)
    with closing(HistoryReader(path)) as reader:
        newest = reader.scenes(SceneFilter())[0]
        assert reader.indexed_to() == newest.id
        image = reader.image(newest.id)
        assert image.thumbnail is None
        assert len(image.features.values) == 1280 and image.features.values[-1] == 127
        assert reader.count(SceneFilter(word="scenes")) == 6
    with closing(HistoryStore(path)) as store:
        assert store.unindexed() == []


def test_thumbnails_are_small_or_blurred_or_none():
    checkers = np.kron([[0, 1], [1, 0]], np.ones((8, 8)))
    image = np.tile(checkers, (30, 40))[..., None].repeat(3, 2).astype(np.uint8) * 255
    recognized = frame(0, image)

    def decoded(images):
        data = np.frombuffer(make_thumbnail(recognized, images), np.uint8)
        return cv2.imdecode(data, cv2.IMREAD_COLOR)

    assert decoded("full").shape == (180, 240, 3)
    blurred = decoded("blurred")
    assert blurred.shape == (9, 12, 3) and np.ptp(blurred) < 20  # Grey: no square is left.
    assert make_thumbnail(recognized, "none") is None


def write_until_killed(path, connection):
    """Write one scene after the other, and send each one's number once it is in the history."""
    output = open_output(config(path), CONTEXT)
    # Every few scenes go into the index, and the log into the file, so that kills meet this too.
    writer.INDEX_SCENES = 8
    output._writer._store._connection.execute("PRAGMA wal_autocheckpoint = 50")
    with closing(HistoryReader(path)) as reader:
        count = reader.count(SceneFilter())
        for number in range(count, 100_000):
            output.write(frame(number + 1))
            # The scene before is complete by this one's frame.
            wait_until(lambda target=number: reader.count(SceneFilter()) >= target)
            connection.send(number)


def test_ten_kills_lose_at_most_the_scene_that_is_being_written(tmp_path):
    path = tmp_path / "history.db"
    open_output(config(path), CONTEXT).close()
    fork = multiprocessing.get_context("fork")
    chance = random.Random(1)
    for _ in range(KILLS):
        receiver, sender = fork.Pipe(duplex=False)
        process = fork.Process(target=write_until_killed, args=(path, sender))
        process.start()
        sender.close()
        reported = receiver.recv()
        for _ in range(chance.randrange(40)):
            reported = receiver.recv()
        time.sleep(chance.random() * 0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        while receiver.poll():
            try:
                reported = receiver.recv()
            except EOFError:
                break
        captions, sound = read(path)
        assert sound
        assert reported <= len(captions) <= reported + 1
        with closing(HistoryStore(path)) as store:  # The index fits what is there.
            store._connection.execute("INSERT INTO words(words) VALUES('integrity-check')")


def test_a_full_disk_stops_the_history_with_one_line_and_nothing_else(tmp_path, caplog):
    path = tmp_path / "history.db"
    output = open_output(config(path), CONTEXT)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))  # Of every file: the log's too.
    try:
        for number in range(10_000):
            output.write(frame(number))
            if not output._writer.is_running:
                break
            wait_until(lambda: output._writer._queue.empty() or not output._writer.is_running)
        output.write(frame(10_001))
        output.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert 20 < number < 10_000
    lines = [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert len(lines) == 1
    assert lines[0].startswith(f"history: {path}: ")
    assert lines[0].endswith("; no more scenes are remembered")
    captions, sound = read(path)
    assert sound and captions == [f"scene {index}" for index in range(len(captions))]
    assert len(captions) > 20
    with closing(HistoryStore(path)) as store:  # With room again, it goes on.
        assert store.unindexed()


def test_where_the_disk_is_full_at_the_start_there_is_one_line_and_no_history(tmp_path, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        assert open_output(config(tmp_path / "history.db"), CONTEXT) is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    # What is left of it is no obstacle.
    open_output(config(tmp_path / "history.db"), CONTEXT).close()


def test_a_damaged_history_is_left_as_it_is_and_the_loop_goes_on(tmp_path, caplog):
    path = tmp_path / "history.db"
    output = open_output(config(path), CONTEXT)
    for number in range(300):
        output.write(frame(number))
        wait_until(output._writer._queue.empty)
    output.close()
    damaged = bytearray(path.read_bytes())
    damaged[512:] = random.Random(0).randbytes(len(damaged) - 512)
    path.write_bytes(damaged)
    caplog.clear()
    output = open_output(config(path), CONTEXT)
    if output is not None:
        output.write(frame(1000))
        output.close()
    assert len(caplog.records) == 1 and "malformed" in caplog.text
    assert path.read_bytes() == damaged
    path.write_bytes(b"something else")
    with pytest.raises(PicaptionError, match="is not a history"):
        open_output(config(path), CONTEXT)


def test_a_disk_that_is_too_slow_never_holds_the_loop_up(tmp_path, caplog):
    path = tmp_path / "history.db"
    output = open_output(config(path), CONTEXT)
    wait_until(output._writer._thread.is_alive)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # Nobody else can write.
        start = time.monotonic()
        for number in range(3 * writer.MAX_WAITING):
            output.write(frame(number))
        assert time.monotonic() - start < 5
        other.execute("ROLLBACK")
    output.close()
    lines = [record.getMessage() for record in caplog.records]
    assert lines == ["history: the disk is too slow: scenes are left out"]
    captions, sound = read(path)
    # So many wait, and as many are in the hand of the writer.
    assert sound and writer.MAX_WAITING <= len(captions) <= 2 * writer.MAX_WAITING


def test_the_loop_remembers_what_it_recognises(tmp_path, bundle):
    path = tmp_path / "history.db"
    settings = Config(
        source="demo",
        size="64x48",
        bundle=str(bundle),
        quiet=True,
        threads=1,
        history=str(path),
        history_images="full",
    )
    pipeline = Pipeline(settings)
    try:
        run(pipeline, frames=3)
        said = pipeline.recognizer
    finally:
        pipeline.close()
    with closing(HistoryReader(path)) as reader:
        [scene] = reader.scenes(SceneFilter())
        assert scene.camera == "demo"
        assert scene.encoder == encoder_hash(bundle)
        assert scene.caption and len(scene.alternatives) == said.beam.width - 1
        assert abs(scene.end_seconds - time.time()) < 100
        image = reader.image(scene.id)
        assert image.thumbnail.startswith(b"\xff\xd8")
        assert image.features is not None


def test_a_scene_a_minute_writes_less_than_20_megabytes_a_day(tmp_path):
    """By the blocks of 4 kB that each commit touches in the log, and then by the file's growth."""
    path = tmp_path / "history.db"
    log = tmp_path / "history.db-wal"
    chance = np.random.default_rng(0)
    words = [
        "a",
        "man",
        "woman",
        "dog",
        "is",
        "sitting",
        "standing",
        "on",
        "the",
        "grass",
        "street",
        "table",
        "with",
        "red",
        "shirt",
    ]
    scenes = 60
    block = 4096
    total = 0
    with closing(HistoryStore(path)) as store:
        store.copy_log()
        size = path.stat().st_size
        end = 0
        for number in range(scenes):
            captions = [" ".join(chance.choice(words, 10)) for _ in range(3)]
            scene = Scene(
                1_700_000_000_000 + 60_000 * number,
                1_700_000_050_000 + 60_000 * number,
                "usb:0",
                captions[0],
                0.8,
                alternatives=tuple(captions[1:]),
                tags=tuple(Score(word, 0.8) for word in words[:5]),
                classes=(Score("person", 0.9), Score("dog", 0.8)),
                encoder="0123456789abcdef",
            )
            # Two fifths of a picture's features are zeros, as of the shipped bundle.
            features = np.maximum(chance.normal(0.3, 1, 1280), 0).astype(np.float32)
            sketch = chance.bytes(176)
            with store.transaction():
                store.add(scene, SceneImage(quantize(features), sketch=sketch))
            start, end = end, log.stat().st_size
            total += (end // block - start // block + 1) * block
        with store.transaction():
            store.index(store.unindexed())
        total += log.stat().st_size - end
        store.copy_log()
        total += path.stat().st_size - size
    assert 5e6 < total / scenes * 1440 < 20e6
