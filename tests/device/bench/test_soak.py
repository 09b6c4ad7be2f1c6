"""The loop measured: a short run here, the long ones by the command in the README."""

import numpy as np

from picaption.device.bench.soak import SETTLED_FRAMES, PreparedSource, soak
from picaption.device.config.settings import Config
from picaption.device.sources.demo_frames import Demo


def test_a_run_stays_as_it_is_and_costs_little_beside_its_model():
    config = Config(size="320x240", threads=1, quiet=True, frames=600)
    figures = soak(config, settled_frames=150)
    assert figures["frames"] == 600
    assert figures["grown_bytes"] < 2_000_000
    assert (
        figures["descriptors"][0] == figures["descriptors"][1]
        and figures["threads"][0] == figures["threads"][1]
    )
    assert 1 < figures["overhead"] < 1.6 and figures["invoke_ms"] < figures["frame_ms"]
    assert 1 < figures["cpu_overhead"] < 1.3
    assert list(figures["resident_bytes"]) == [150, 600]
    before, after = figures["resident_bytes"].values()
    assert figures["grown_bytes"] == after - before and before > 20_000_000


def test_the_age_of_a_frame_is_below_two_inferences():
    figures = soak(Config(size="320x240", threads=1, quiet=True, frames=300), rate=60)
    assert figures["age_ms"]["p50"] < 2 * figures["inference_ms"]["p50"]


def test_prepared_frames_are_the_demos_at_its_pace():
    frames, demo = PreparedSource((64, 48)), Demo((64, 48))
    shown = [frames.read() for _ in range(demo.count * 100 + 1)]
    assert shown[0] is shown[3] is shown[-1] and not frames.live
    for number in (0, 4, 100, 404):
        np.testing.assert_array_equal(shown[number], demo.frame(number))
    assert SETTLED_FRAMES == 1000
