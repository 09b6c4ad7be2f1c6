"""The range of pixels that a network takes, from a text."""

import numpy as np
import pytest

from picaption.device import PicaptionError
from picaption.models.pixels import PIXELS, mean_and_std, parse_pixels

IMAGE = np.array([[[0, 51, 255]]], np.uint8)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0..255", [0, 51, 255]),
        ("0..1", [0, 0.2, 1]),
        ("-1..1", [-1, -0.6, 1]),
        ("-1..1 bgr", [1, -0.6, -1]),
        ("mean=0.5 std=0.5", [-1, -0.6, 1]),
        ("mean=0.5,0.2,0 std=0.25,0.5,1", [-2, 0, 1]),
        ("mean=127.5 std=127.5", [-1, -0.6, 1]),  # Above 1: of pixels from 0 to 255.
        ("mean=100,50,1 std=1 bgr", [155, 1, -1]),
        ("std=255", [0, 0.2, 1]),
    ],
)
def test_a_range_brings_pixels_to_the_network(text, expected):
    np.testing.assert_allclose(parse_pixels(text).apply(IMAGE)[0, 0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "'' is none of these"),
        ("0..2", "'0..2' is none of these"),
        ("mean=a", "'a' are not numbers with commas between"),
        ("mean=1,2", "give one number, or one for each of three colours"),
        ("mean=nan", "give one number"),
        ("mean=0 std=0", "a standard deviation of 0 is none"),
        ("0..1 mean=0.5", "a range and a mean are two"),
        ("bgr", "there is no range in it"),
    ],
)
def test_what_is_no_range_is_named(text, message):
    with pytest.raises(PicaptionError, match=message) as raised:
        parse_pixels(text)
    assert "mean=R,G,B std=R,G,B" in str(raised.value)


def test_named_ranges_are_their_means_and_deviations():
    assert mean_and_std([0.0], [1.0], largest=255.0) == PIXELS["0..255"]
    assert mean_and_std([127.5], [127.5]) == PIXELS["-1..1"]
