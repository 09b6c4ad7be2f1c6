"""The newest frame: how often it is copied, and what is made of it when somebody asks."""

import cv2
import numpy as np
import pytest

from picaption.device.outputs.web.live import newest as module
from picaption.device.outputs.web.live.newest import NewestFrame, shrink_to_width
from tests.device.fakes.standins import FRAME, recognized


@pytest.fixture
def clock(monkeypatch):
    """The time, in a list of one number of seconds."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def copies(newest, clock, seconds, rate):
    """Return how many of the frames of so many seconds are copied."""
    count = 0
    for _ in range(round(seconds * rate)):
        clock[0] += 1 / rate
        frame = recognized()
        newest.write(frame)
        count += frame.image is not FRAME
    return count


def test_a_frame_a_second_is_copied_and_more_while_somebody_asks(clock):
    newest = NewestFrame()
    assert copies(newest, clock, 10, rate=64) == 10
    newest.snapshot()
    # 15 a second at most, for 10 s: of 64 a second, every fifth.
    assert copies(newest, clock, 9.5, rate=64) in range(115, 125)
    copies(newest, clock, 1, rate=64)
    assert copies(newest, clock, 10, rate=64) == 10


def test_a_snapshot_is_the_frame_as_a_jpeg_and_made_once(clock):
    newest = NewestFrame()
    assert newest.snapshot() is None and newest.state() is None
    newest.write(recognized())
    data = newest.snapshot()
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert image.shape == FRAME.shape and np.abs(image.astype(int) - FRAME).mean() < 3
    assert newest.snapshot() is data
    overlay = newest.snapshot(has_overlay=True)
    assert overlay != data and newest.snapshot(has_overlay=True) is overlay
    clock[0] += 1
    newest.write(recognized())
    assert newest.snapshot() is not data


def test_the_loop_may_write_over_the_frame(clock):
    newest = NewestFrame()
    frame = FRAME.copy()
    newest.write(recognized(image=frame))
    frame[:] = 0
    image = cv2.imdecode(np.frombuffer(newest.snapshot(), np.uint8), cv2.IMREAD_COLOR)
    assert image[0, 0].tolist() == pytest.approx([20, 10, 200], abs=6)


def test_a_frame_is_old_after_ten_seconds_or_three_pauses(clock):
    newest = NewestFrame()
    assert newest.problem() == "there is no frame yet" and newest.age() is None
    newest.write(recognized())
    assert newest.problem() is None
    clock[0] += 9.9
    assert newest.problem() is None
    clock[0] += 0.2
    assert newest.problem() == "the last frame came 10 s ago"
    # Frames that come every 20 s, as max_fps = 0.05 asks, are old after 60.
    newest.write(recognized())
    clock[0] += 20
    newest.write(recognized())
    clock[0] += 59
    assert newest.problem() is None
    clock[0] += 2
    assert newest.problem() == "the last frame came 61 s ago"


@pytest.mark.parametrize(
    "width, shape", [(0, (240, 480)), (480, (240, 480)), (4096, (240, 480)), (120, (60, 120))]
)
def test_a_snapshot_is_as_wide_as_asked_for(width, shape):
    assert shrink_to_width(FRAME, width).shape[:2] == shape
