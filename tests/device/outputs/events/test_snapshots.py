"""Snapshots: complete files, for so long or so much, and nothing else is touched."""

import json
import os
import resource
import signal
from datetime import datetime

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import read_image
from picaption.device.outputs.events.snapshots import SnapshotFolder
from tests.device.fakes.servers import wait_for
from tests.device.fakes.standins import recognized

CAT = {"class": "cat"}


def frame(second, text="a cat"):
    return recognized(text, captured_at=datetime(2027, 3, 1, 8, 0, second).timestamp() + 0.25)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def snapshot(second, name="cat"):
    return [f"20270301-08000{second}-250_{name}{suffix}" for suffix in (".jpg", ".json")]


def test_a_snapshot_is_a_picture_and_what_was_recognised(tmp_path):
    folder = SnapshotFolder(str(tmp_path / "new"), 0, 0)
    taken = frame(1)
    image = taken.image.copy()
    folder.save(taken, "../ca t\n猫", {"word": "../ca t\n猫"})
    assert wait_for(lambda: len(names(tmp_path / "new")) == 2)
    folder.close()
    assert names(tmp_path / "new") == snapshot(1, "ca_t")
    jpeg, record = sorted((tmp_path / "new").iterdir())
    assert read_image(jpeg).shape == image.shape
    assert np.abs(read_image(jpeg).astype(int) - image).max() < 20
    written = json.loads(record.read_text())
    assert written.pop("event") == {"word": "../ca t\n猫"}
    assert written.pop("picture") == jpeg.name and written == json.loads(json.dumps(taken.json()))


def test_the_image_is_copied_since_its_memory_is_used_again(tmp_path):
    folder = SnapshotFolder(str(tmp_path), 0, 0)
    taken = frame(1)
    shared = taken.image
    folder.save(taken, "cat", CAT)
    assert taken.image is not shared
    folder.close()


def test_old_snapshots_go_after_days_and_other_files_stay(tmp_path):
    now = 1_800_000_000.0
    others = ("cat.jpg", "20270301-080001-250.jpg", "20270301-080001-250_cat.png", ".hidden.jpg")
    for name in (*snapshot(1), *snapshot(2), *others):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (now - 3 * 86_400,) * 2)
    for name in snapshot(2):
        os.utime(tmp_path / name, (now - 86_400,) * 2)
    SnapshotFolder(str(tmp_path), 2, 0, clock=lambda: now).close()
    assert names(tmp_path) == sorted((*snapshot(2), *others))
    SnapshotFolder(str(tmp_path), 0, 0, clock=lambda: now + 1e9).close()
    assert names(tmp_path) == sorted((*snapshot(2), *others))


def test_the_oldest_snapshots_go_where_there_are_too_many_megabytes(tmp_path):
    folder = SnapshotFolder(str(tmp_path / "one"), 0, 0)
    folder.save(frame(0), "cat", CAT)
    folder.close()
    size = sum(path.stat().st_size for path in (tmp_path / "one").iterdir())
    room = SnapshotFolder(str(tmp_path / "many"), 0, 2.5 * size / 1e6)
    for second in range(5):
        room.save(frame(second), "cat", CAT)
    room.close()
    assert names(tmp_path / "many") == sorted(snapshot(3) + snapshot(4))
    # What was there before counts, and one stays however small the room is.
    SnapshotFolder(str(tmp_path / "many"), 0, size / 2e6).close()
    assert names(tmp_path / "many") == snapshot(4)


def test_a_full_disk_leaves_snapshots_out_with_one_line(tmp_path, caplog):
    folder = SnapshotFolder(str(tmp_path), 0, 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:  # A limit on a file's size cuts a write short as a full disk does.
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, limits[1]))
        for second in range(3):
            folder.save(frame(second), "cat", CAT)
        assert wait_for(lambda: caplog.messages and folder._queue.empty())
        folder.save(frame(3), "cat", CAT)
        assert wait_for(folder._queue.empty)
        folder.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert names(tmp_path) == []
    (line,) = caplog.messages
    assert "they are left out until it can be written" in line
    again = SnapshotFolder(str(tmp_path), 0, 0)
    again.save(frame(4), "cat", CAT)
    again.close()
    assert names(tmp_path) == snapshot(4)


def test_what_cannot_be_a_folder_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "absent" / "snapshots"):
        with pytest.raises(PicaptionError, match="cannot be a folder of snapshots"):
            SnapshotFolder(str(path), 0, 0)
