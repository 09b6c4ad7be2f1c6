"""Several cameras in turn: fair, none waits for another, and each comes back by itself."""

import threading
import time
from collections import Counter as Tally

import numpy as np
import pytest

from picaption.device.errors import CameraError
from picaption.device.sources.round_robin import RoundRobinReader
from picaption.device.sources.source import NoFrameYet
from tests.device.fakes.servers import wait_for
from tests.device.fakes.standins import Counter


@pytest.fixture
def open_cameras():
    """Opens the cameras, and closes them in the end."""
    made = []

    def open_cameras(cameras, reopen=None, stall=5.0, retries=8):
        def never():
            raise CameraError("it is gone")

        reopens = {name: (reopen or {}).get(name, never) for name in cameras}
        made.append(RoundRobinReader(cameras, reopens, dict.fromkeys(cameras, stall), retries))
        return made[-1]

    yield open_cameras
    for reader in made:
        reader.close()


class Hanging(Counter):
    """A camera that gives so many frames, and then hangs until it is let go."""

    def __init__(self, count, pause=0.0):
        super().__init__(10**9, pause=pause)
        self.frames = count
        self.let_go = threading.Event()

    def read(self, into=None):
        if self.number == self.frames:
            self.let_go.wait(20)
            return None
        return super().read(into)


def take(reader, seconds):
    """Return the frames that come in so many seconds: (name, number, first value)."""
    frames = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            frame = reader.next(0.05)
        except NoFrameYet:
            continue
        frames.append((frame.camera_name, frame.number, int(frame.image[0, 0, 0])))
    return frames


def test_cameras_that_have_frames_are_taken_in_turn(open_cameras):
    cameras = {name: Counter(10**9, pause=0.002) for name in "abc"}
    reader = open_cameras(cameras)
    assert wait_for(lambda: all(source.number > 2 for source in cameras.values()))
    frames = []
    for _ in range(12):
        frames.append(reader.next(2))
        time.sleep(0.1)  # All have a new frame by then, on a busy computer too.
    assert [frame.camera_name for frame in frames] == list("abc" * 4)
    # Each camera's newest frame: most of them are left out.
    numbers = [frame.number for frame in frames if frame.camera_name == "a"]
    assert numbers == sorted(set(numbers))


def test_a_fast_camera_does_not_starve_a_slow_one(open_cameras):
    reader = open_cameras({"fast": Counter(10**9, pause=0.001), "slow": Counter(10**9, pause=0.1)})
    frames = take(reader, 1.5)
    slow = [number for name, number, _ in frames if name == "slow"]
    # Every frame of the slow one is taken, and none twice.
    assert slow == list(range(slow[0], slow[0] + len(slow))) and len(slow) >= 3
    assert len(frames) > 3 * len(slow)


def test_a_camera_that_hangs_does_not_hold_up_the_others(open_cameras):
    hanging = Hanging(3, pause=0.01)
    reader = open_cameras({"a": Counter(10**9, pause=0.01), "hangs": hanging}, stall=0.3)
    gaps = []
    last = time.monotonic()
    while not reader.readers["hangs"].failures:
        if reader.next(1).camera_name == "a":
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
    gaps.append(time.monotonic() - last)
    # That it has failed is known after 0.3 s, and waiting for its thread took nobody any time.
    assert reader.problem is None
    assert "gives no frame for 0.3 s" in reader.readers["hangs"].problem
    assert np.median(gaps) < 0.1
    hanging.let_go.set()
    assert wait_for(lambda: hanging.closed == 1)


def test_a_camera_that_dies_comes_back_by_itself(open_cameras):
    second = Counter(10**9, pause=0.01)
    dead = Counter(2, pause=0.01, error="the camera is gone")
    reader = open_cameras({"a": Counter(10**9, pause=0.01), "dies": dead}, {"dies": lambda: second})
    assert wait_for(lambda: take(reader, 0.1) and reader.readers["dies"].failures == 1)
    assert "the camera is gone" in reader.readers["dies"].problem
    assert wait_for(lambda: "dies" in {name for name, *_ in take(reader, 0.1)})
    assert reader.readers["dies"].problem is None


def test_a_camera_that_is_being_opened_is_not_waited_for(open_cameras):
    opened = threading.Event()

    def open_later():
        opened.wait(20)
        return Counter(10**9, pause=0.01)

    reader = open_cameras({"late": open_later, "a": Counter(10**9, pause=0.01)})
    assert {name for name, *_ in take(reader, 0.3)} == {"a"}
    opened.set()
    assert wait_for(lambda: "late" in {name for name, *_ in take(reader, 0.1)})


def test_the_run_ends_with_an_error_once_no_camera_comes_back(open_cameras):
    reader = open_cameras(
        {"a": CameraError("a is gone"), "b": Counter(1, error="b is gone")}, retries=1
    )
    frame = None
    with pytest.raises(
        CameraError, match="camera 'a': a is gone; no camera gives frames; given up"
    ):
        for _ in range(200):
            try:
                frame = reader.next(0.05) or frame
            except NoFrameYet:
                continue
    assert frame.camera_name == "b"


def test_files_end_one_by_one(open_cameras):
    reader = open_cameras({"short": Counter(1), "long": Counter(30, pause=0.01)})
    names = []
    while True:
        try:
            frame = reader.next(0.05)
        except NoFrameYet:
            continue
        if frame is None:
            break
        names.append(frame.camera_name)
    tally = Tally(names)
    assert tally["short"] == 1 and tally["long"] > 1 and names[-1] == "long"
    assert reader.next(0.01) is None


def test_frames_are_read_into_the_memory_of_those_before(open_cameras):
    cameras = {name: Counter(10**9, pause=0.001) for name in "ab"}
    reader = open_cameras(cameras)
    take(reader, 0.5)
    # One in use, one ready, one to read into: nothing more per camera, whatever the others do.
    assert all(source.number > 10 for source in cameras.values())
    assert all(len(source.buffers) <= 3 for source in cameras.values())
