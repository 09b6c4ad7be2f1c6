"""Options that contradict each other, and the bounds of a bundle."""

import math

import pytest

from picaption.convert.options import Agreement, ConversionOptions
from picaption.device import PicaptionError

BOUNDS = Agreement(features=0.05, words=0.08, classes=0.02, caption=0.0, top=0.0)


@pytest.mark.parametrize("precision", ["float16", "float32"])
def test_floating_point_has_no_scale_a_tensor(precision):
    with pytest.raises(PicaptionError, match=f"{precision} gives weights no scale"):
        ConversionOptions(precision, per_tensor=True).check()


@pytest.mark.parametrize("precision", ["float16", "int16", "dynamic"])
def test_only_int8_is_tuned(precision):
    with pytest.raises(
        PicaptionError,
        match=f"--max-loss tunes to activations and weights of 8 bits, and {precision} has others",
    ):
        ConversionOptions(precision, max_loss=1.0).check()
    ConversionOptions("int8", max_loss=1.0, per_tensor=True).check()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (ConversionOptions("float16"), "float16, no scales"),
        (ConversionOptions("int8", per_tensor=True), "a scale a tensor"),
        (ConversionOptions("dynamic"), "a scale a channel"),
        (
            ConversionOptions("int8", runtime="tflite-runtime"),
            "a scale a channel, dense layers one a tensor",
        ),
    ],
)
def test_what_scales_stand_for(options, expected):
    assert options.weight_scales == expected


def test_what_is_beyond_the_bounds():
    assert Agreement(0.05, 0.08, 0.02, caption=0.0, top=0.0).beyond(BOUNDS) == []
    assert Agreement(0.06, 0.0, 0.03, caption=1.0, top=1.0).beyond(BOUNDS) == [
        "features",
        "classes",
    ]
    assert Agreement(0.0, math.nan, 0.0, caption=1.0, top=1.0).beyond(BOUNDS) == ["words"]
