"""Sources that are mirrored and rotated."""

import numpy as np
import pytest

from picaption.device.images import write_image
from picaption.device.sources.demo_frames import Demo
from picaption.device.sources.rotated import CroppedSource, RotatedSource, crop_image
from picaption.device.sources.sources import open_source
from tests.device.fakes.standins import Counter


@pytest.mark.parametrize(
    "rotate, hflip, vflip, expected",
    [
        (0, True, False, [[2, 1], [4, 3]]),
        (0, False, True, [[3, 4], [1, 2]]),
        (0, True, True, [[4, 3], [2, 1]]),
        (90, False, False, [[3, 1], [4, 2]]),
        (180, False, False, [[4, 3], [2, 1]]),
        (270, False, False, [[2, 4], [1, 3]]),
        (90, True, False, [[4, 2], [3, 1]]),
    ],
)
def test_frames_rotated_by_hand(rotate, hflip, vflip, expected):
    class Four(Counter):
        def read(self, into=None):
            frame = super().read(into)
            if frame is not None:
                frame[..., 0] = [[1, 2], [3, 4]]
            return frame

    source = RotatedSource(Four(2, shape=(2, 2)), rotate, hflip, vflip)
    first = source.read()
    assert first[..., 0].tolist() == expected
    assert source.read(first) is first and first[..., 0].tolist() == expected
    assert source.read() is None
    source.close()


def test_a_frame_on_its_side_is_higher_than_wide():
    source = RotatedSource(Demo((64, 48)), rotate=270)
    np.testing.assert_array_equal(source.read(), np.rot90(Demo((64, 48)).frame(0)))
    assert source.live and source.rate == 25 and source.metadata is None


def test_what_a_source_is_it_is_rotated_too(tmp_path):
    write_image(tmp_path / "a.png", np.zeros((4, 6, 3), np.uint8))
    source = RotatedSource(open_source(tmp_path), rotate=90)
    assert source.stills and not source.live and source.name == str(tmp_path)


def test_a_crop_is_a_view_of_the_frame_and_the_source_writes_into_that_frame_again():
    source = Counter(10, shape=(40, 60))
    cropped = CroppedSource(source, (0.25, 0.5, 0.75, 1.0))
    first = cropped.read()
    assert first.shape == (20, 30, 3) and first.base is not None and (first == 0).all()
    second = cropped.read(first)
    assert np.shares_memory(first, second) and (second == 1).all()
    assert len(source.buffers) == 1


def test_a_crop_counts_in_the_picture_as_it_is_after_turning():
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 7] = 9  # Its right edge, which is the lower edge after a turn to the right.
    turned = np.rot90(image, -1)
    assert (crop_image(turned, (0.0, 0.875, 1.0, 1.0)) == 9).all()
    assert not crop_image(turned, (0.0, 0.0, 1.0, 0.875)).any()


@pytest.mark.parametrize(
    ("crop", "rows", "columns"),
    [
        ((0.0, 0.0, 1.0, 1.0), (0, 10), (0, 20)),
        ((0.1, 0.2, 0.6, 0.7), (2, 7), (2, 12)),
        ((0.999, 0.999, 1.0, 1.0), (9, 10), (19, 20)),  # Never less than a pixel.
        ((0.0, 0.0, 0.001, 0.001), (0, 1), (0, 1)),
    ],
)
def test_the_pixels_of_a_crop(crop, rows, columns):
    image = np.arange(10 * 20 * 3, dtype=np.uint16).reshape(10, 20, 3)
    expected = image[slice(*rows), slice(*columns)]
    assert np.array_equal(crop_image(image, crop), expected)
