"""Spoiled frames: of the same shape, spoiled as much as they say, the same each time."""

import numpy as np
import pytest

from picaption.models.data.corruptions import CORRUPTIONS, low_light, motion_blur, sensor_noise


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_a_frame_stays_a_frame_and_the_seed_decides(name, photos):
    before = photos["cat"].copy()
    first, again = (CORRUPTIONS[name](photos["cat"], np.random.default_rng(4)) for _ in range(2))
    assert first.shape == before.shape and first.dtype == np.uint8
    assert (first == again).all() and (photos["cat"] == before).all()
    assert 1 < np.abs(first.astype(int) - before).mean() < 130


def test_noise_and_light_by_their_figures():
    grey, random = np.full((200, 200, 3), 120, np.uint8), np.random.default_rng(0)
    noisy, dark = sensor_noise(grey, random).astype(float), low_light(grey, random).astype(float)
    assert noisy.mean() == pytest.approx(120, abs=0.5) and noisy.std() == pytest.approx(
        25.5, abs=0.5
    )
    assert dark.mean() == pytest.approx(24, abs=0.5) and dark.std() == pytest.approx(5, abs=0.2)


def test_a_blurred_point_becomes_a_line_of_the_same_light():
    dot = np.zeros((101, 101, 3), np.uint8)
    dot[50, 50] = 250
    line = motion_blur(dot, np.random.default_rng(2))
    assert line.max() <= 90 and 3 <= (line[..., 0] > 0).sum() <= 9
    assert line.sum() == pytest.approx(dot.sum(), rel=0.05)
