"""The simulated fleet, small: a bad bundle is taken back, a good one reaches all."""

import pytest

pytest.importorskip("cryptography")
pytest.importorskip("paho")

from tests.device.fakes.servers import MOSQUITTO
from tools.fleet import simulate as simulate_module
from tools.fleet.simulate import Scale, simulate


@pytest.mark.skipif(not MOSQUITTO, reason="mosquitto is not installed")
def test_a_fleet_of_25_at_a_broker_that_is_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(simulate_module, "AWAY_SECONDS", 0.2)
    scale = Scale(devices=25, interval=0.3, soak=1.5, shares="50,100", round_seconds=0.02)
    figures = simulate(scale, tmp_path)
    assert 0 < figures.bad_touched < 25 and figures.away == 2
    assert figures.peak_messages > 0 and figures.broker_mb > 0 and figures.tool_mb > 0
    assert 0 < figures.good_taken_s < 60
