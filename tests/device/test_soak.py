"""The loop measured: a short run here, the long ones by the command in the README."""

import numpy as np

from device.config import Config
from device.soak import SETTLED, Prepared, soak

CONFIG = Config(size="320x240", threads=1, quiet=True)


def test_a_run_stays_as_it_is_and_costs_little_beside_its_model(monkeypatch):
    monkeypatch.setattr("device.soak.SETTLED", 150)
    figures = soak(Config(size="320x240", threads=1, quiet=True, frames=600))
    assert figures["frames"] == 600
    assert figures["grown_bytes"] < 2_000_000
    assert figures["descriptors"][0] == figures["descriptors"][1] and figures["threads"][0] == figures["threads"][1]
    assert 1 < figures["overhead"] < 1.6 and figures["invoke_ms"] < figures["frame_ms"]


def test_the_age_of_a_frame_is_below_two_inferences():
    figures = soak(Config(size="320x240", threads=1, quiet=True, frames=300), rate=60)
    assert figures["age_ms"]["p50"] < 2 * figures["inference_ms"]["p50"]


def test_prepared_frames_are_the_demos(photos):
    frames, spare = Prepared((64, 48)), np.zeros((48, 64, 3), np.uint8)
    first = frames.read()
    assert frames.read(spare) is spare and (spare != first).any() and not frames.live
    assert SETTLED == 1000
