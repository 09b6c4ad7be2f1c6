"""Sources and readers fulfil their protocols."""

import pytest

from picaption.device.sources.capture import SequentialReader
from picaption.device.sources.controls import Controls
from picaption.device.sources.demo_frames import DEMO_IMAGES
from picaption.device.sources.rotated import RotatedSource
from picaption.device.sources.sources import open_source


@pytest.mark.parametrize(
    "open_one",
    [
        lambda: open_source("demo", Controls((64, 48))),
        lambda: open_source(str(DEMO_IMAGES)),
        lambda: RotatedSource(open_source("demo", Controls((48, 64))), rotate=90),
    ],
    ids=["demo", "images", "rotated"],
)
def test_a_source_delivers_frames_and_says_what_it_is(open_one):
    source = open_one()
    assert source.name and source.metadata is None
    assert isinstance(source.stills, bool) and isinstance(source.live, bool)
    frame = source.read()
    assert frame.ndim == 3 and frame.shape[2] == 3 and frame.dtype == "uint8"
    source.close()


def test_a_reader_numbers_the_frames():
    reader = SequentialReader(open_source("demo", Controls((64, 48))))
    assert [reader.next(1.0).number for _ in range(3)] == [0, 1, 2]
    reader.close()
