"""Sources that are mirrored and rotated."""

import numpy as np
import pytest

from picaption.device.images import write_image
from picaption.device.sources.demo_frames import Demo
from picaption.device.sources.rotated import RotatedSource
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
