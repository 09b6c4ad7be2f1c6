"""The measurement of several cameras: real streams, one of which stalls and one of which dies."""

from picaption.device.config.settings import Config
from tests.tiny import TINY_BUNDLE
from tools.several_cameras import Streams, measure

#: Small streams, so that a busy computer keeps up.
STREAMS = Streams(cameras=4, rate=10.0, size=(64, 48), stalled=1, dead=1, fault_after=1.5)


def test_a_stream_that_stalls_and_one_that_dies_leave_the_others_alone():
    config = Config(bundle=str(TINY_BUNDLE), threads=1, quiet=True, stall=0.5)
    figures = measure(STREAMS, 5.0, config)
    cameras = figures["cameras"]
    assert list(cameras) == [f"camera {number}" for number in range(4)]
    # The last but one dies, the last one stalls; both are noticed, and the other two go on.
    assert [camera["failures"] > 0 for camera in cameras.values()] == [False, False, True, True]
    healthy = [cameras["camera 0"]["frames"], cameras["camera 1"]["frames"]]
    faulty = [cameras["camera 2"]["frames"], cameras["camera 3"]["frames"]]
    assert min(healthy) > max(faulty)
    # Fair: neither of the two has much more than the other.
    assert max(healthy) <= 1.5 * min(healthy)
    assert figures["after_fault"]["age_ms"]["p50"] < 1000
