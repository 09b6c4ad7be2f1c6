"""The demo: its photographs, how it moves, and its pace."""

import time

import cv2
import numpy as np

from picaption.device.images import list_images, read_image
from picaption.device.sources.demo_frames import DEMO_IMAGES, Demo


def test_demo_photographs_are_small_and_named_with_their_licence():
    table = (DEMO_IMAGES / "SOURCES.md").read_text()
    paths = list_images(DEMO_IMAGES)
    assert 8 <= len(paths) <= 12
    for path in paths:
        row = next(line for line in table.splitlines() if f"`{path.name}`" in line)
        assert row.rstrip(" |").endswith(("CC0", "public domain"))
        assert b"Exif" not in path.read_bytes()
        assert path.stat().st_size < 80_000
        assert read_image(path).std() > 20


def test_a_demo_frame_depends_on_its_index_alone():
    left = Demo((320, 240))
    right = Demo((320, 240))
    for number in (0, 7, 99, 100, 12345):
        np.testing.assert_array_equal(left.frame(number), right.frame(number))
    np.testing.assert_array_equal(left.read(), right.frame(0))
    np.testing.assert_array_equal(left.read(), right.frame(1))


def test_the_demo_moves_smoothly_and_shows_every_photograph():
    demo = Demo((160, 120))
    length = demo.SECONDS * demo.rate
    frames = [cv2.blur(demo.frame(number), (9, 9)).astype(int) for number in range(length)]
    steps = [np.abs(after - before).mean() for before, after in zip(frames, frames[1:])]
    assert np.abs(frames[-1] - frames[0]).mean() > 25 and min(steps) > 0 and max(steps) < 4
    shots = {demo.frame(number * length).tobytes() for number in range(demo.count)}
    assert len(shots) == demo.count == len(list_images(DEMO_IMAGES))


def test_the_demo_starts_with_the_full_width_of_a_square_photograph():
    first = read_image(list_images(DEMO_IMAGES)[0])
    assert first.shape == (512, 512, 3)
    np.testing.assert_array_equal(Demo((512, 384)).frame(0), first[:384])


def test_the_demo_writes_over_the_frame_it_gets():
    demo = Demo((320, 240))
    spare = np.zeros((240, 320, 3), np.uint8)
    assert demo.read(spare) is spare
    np.testing.assert_array_equal(spare, demo.frame(0))
    assert demo.read(np.zeros((2, 2, 3), np.uint8)).shape == (240, 320, 3)


def test_the_demo_keeps_its_pace():
    demo = Demo((64, 48))
    start = time.monotonic()
    for _ in range(10):
        demo.read()
    assert time.monotonic() - start >= 9 / demo.rate
