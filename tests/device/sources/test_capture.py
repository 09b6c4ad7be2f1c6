"""Frames in turn, the newest ones, and those of a camera that fails and comes back."""

import contextlib
import threading
import time

import numpy as np
import pytest

from picaption.device.errors import CameraError
from picaption.device.sources.capture import (
    LatestFrameReader,
    NoFrameYet,
    ReconnectingReader,
    SequentialReader,
)
from tests.device.fakes.servers import wait_for
from tests.device.fakes.standins import Counter


class Failing(Counter):
    """A camera that has `count` frames, hangs until `released`, an event, if any, and is gone."""

    def __init__(self, count, released=None):
        super().__init__(count, pause=0.005)
        self.released = released

    def read(self, into=None):
        if self.number == self.count:
            if self.released:
                self.released.wait()
            raise CameraError("the camera is gone")
        return super().read(into)


def frames(reader, seconds, most=10**9):
    """Return the numbers of the frames that a reader returns in so many seconds."""
    numbers = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(numbers) < most:
        with contextlib.suppress(NoFrameYet):
            numbers.append(reader.next(0.05).number)
    return numbers


#: Pauses between two tries are short.
HASTY = {"longest_pause": 0.05, "opening": 0.2}


def test_three_images_go_round():
    source = Counter(300, pause=0.001)
    reader = LatestFrameReader(lambda: source)
    while (frame := reader.next(60)) is not None:
        value = frame.image[0, 0, 0]
        time.sleep(0.004)
        assert (frame.image == value).all()
    reader.close()
    assert 1 <= len(source.buffers) <= 3 and source.closed == 1


def test_a_frame_knows_when_it_was_taken():
    before = time.time()
    clock = time.monotonic()
    reader = LatestFrameReader(lambda: Counter(1, pause=0.01))
    frame = reader.next(60)
    assert before < frame.captured_at <= time.time() and clock < frame.clock <= time.monotonic()
    reader.close()


def test_a_camera_that_is_unplugged_and_comes_back_goes_on(caplog):
    cameras = [Failing(5), Failing(5), Counter(10**9, pause=0.005)]
    opened = iter(cameras[1:])
    reader = ReconnectingReader(cameras[0], lambda: next(opened), stall=1, **HASTY)
    got = frames(reader, 60, most=30)
    reader.close()
    assert got == sorted(set(got)) and got[-1] > 12
    assert [camera.closed for camera in cameras] == [1, 1, 1]
    assert [record.getMessage() for record in caplog.records] == [
        "the camera is gone; tried again in 0.05 s"
    ] * 2


def test_the_problem_of_a_camera_is_known_until_it_gives_frames_and_has_no_password():
    gone = CameraError("rtsp://me:secret@cam/ is\ngone")
    released = threading.Event()
    reader = ReconnectingReader(gone, lambda: Failing(2, released), stall=60, retries=9, **HASTY)
    assert reader.problem == "rtsp://***@cam/ is gone"
    assert frames(reader, 60, most=2) == [0, 1]
    assert reader.problem is None
    released.set()
    deadline = time.monotonic() + 60
    while reader.problem is None and time.monotonic() < deadline:
        with contextlib.suppress(NoFrameYet):
            reader.next(0.01)
    assert reader.problem == "the camera is gone"
    reader.close()


def test_a_camera_that_blocks_is_left_alone_and_opened_again():
    released = threading.Event()
    stuck = Failing(3, released)
    fresh = Counter(10**9, pause=0.005)
    reader = ReconnectingReader(stuck, lambda: fresh, stall=0.5, **HASTY)
    assert len(frames(reader, 60, most=20)) == 20
    assert stuck.closed == 0  # what hangs in read() is not closed under its feet
    reader.close()
    released.set()
    assert wait_for(lambda: stuck.closed)
    assert stuck.closed == fresh.closed == 1


def test_a_camera_that_does_not_come_back_is_given_up():
    tried = []

    def reopen():
        tried.append(time.monotonic())
        raise CameraError("there is no camera")

    reader = ReconnectingReader(Failing(2), reopen, stall=0.5, retries=3, **HASTY)
    with pytest.raises(CameraError, match="there is no camera; given up after 3 failures in a row"):
        frames(reader, 60)
    assert len(tried) == 2
    reader.close()


def test_pauses_double_up_to_the_longest(caplog):
    reader = ReconnectingReader(
        Failing(0), lambda: Failing(0), retries=5, first_pause=0.01, longest_pause=0.05
    )
    with pytest.raises(CameraError, match="given up after 5 failures"):
        frames(reader, 60)
    assert [record.args[1] for record in caplog.records] == [0.01, 0.02, 0.04, 0.05]


def test_a_frame_ends_a_row_of_failures():
    reader = ReconnectingReader(Failing(1), lambda: Failing(1), stall=1, retries=2, **HASTY)
    assert len(frames(reader, 60, most=6)) == 6
    reader.close()


def test_an_error_that_is_not_the_cameras_is_raised():
    class Broken(Counter):
        def read(self, into=None):
            raise np.exceptions.AxisError("a mistake")

    reader = ReconnectingReader(Broken(1), None)
    with pytest.raises(np.exceptions.AxisError, match="a mistake"):
        frames(reader, 2)


def test_no_thread_is_left():
    before = threading.active_count()
    for _ in range(3):
        reader = ReconnectingReader(Counter(10**9, pause=0.001), None)
        reader.next(60)
        reader.close()
    assert threading.active_count() == before


def test_a_source_that_waits_is_read_a_frame_ahead_into_two_images():
    source = Counter(20, live=False)
    reader = SequentialReader(source)
    for number in range(20):
        frame = reader.next(60)
        assert frame.number == number
        time.sleep(0.002)
        assert (frame.image == number).all()
        assert source.number <= number + 2
    assert reader.next(60) is None and reader.next(60) is None
    reader.close()
    assert len(source.buffers) == 2 and source.closed == 1


def test_an_error_of_a_source_that_waits_comes_in_its_turn_and_lasts():
    reader = SequentialReader(Counter(2, live=False, error="the file is gone"))
    assert [reader.next(60).number for _ in range(2)] == [0, 1]
    for _ in range(2):
        with pytest.raises(CameraError, match="the file is gone"):
            reader.next(60)
    reader.close()


def test_the_next_frame_is_prepared_meanwhile():
    reader = SequentialReader(Counter(4, live=False))
    last_is_prepared = threading.Event()

    def prepare(image, buffers):
        if (image == 3).all():
            last_is_prepared.set()
        return image[:1, :1] + 100

    reader.prepare = prepare
    prepared = [reader.next(60).prepared for _ in range(3)]
    assert [image.tolist() for image in prepared] == [[[[100 + n] * 3]] for n in range(3)]
    # What was prepared for another model is not used.
    assert last_is_prepared.wait(60)
    reader.prepare = lambda image, buffers: image
    frame = reader.next(60)
    assert frame.prepared is None and (frame.image == 3).all()
    reader.close()


def test_a_reader_that_was_never_asked_closes_its_source():
    source = Counter(4, live=False)
    SequentialReader(source).close()
    assert source.number == 0 and source.closed == 1


def test_a_camera_that_is_not_there_yet_is_opened_later():
    error = CameraError("there is no camera")
    reader = ReconnectingReader(error, lambda: Counter(1), stall=1, retries=2, **HASTY)
    assert frames(reader, 60, most=1) == [0]
    reader.close()
    for retries in (0, 1):
        with pytest.raises(CameraError, match="no camera; given up after 1 failure$"):
            ReconnectingReader(error, lambda: Counter(2), retries=retries)


def test_frames_of_a_file_have_its_name_and_their_time():
    class Film(Counter):
        rate = 4
        file = "film.mp4"

    reader = SequentialReader(Film(3, live=False))
    read = [reader.next(60) for _ in range(3)]
    assert [frame.seconds for frame in read] == [0, 0.25, 0.5] and reader.clock() == 0.5
    assert {frame.file for frame in read} == {"film.mp4"} and not read[0].is_still
    reader.close()
