"""A short run of malformed requests over HTTP."""

from tests.tiny import TINY_BUNDLE
from tools import malformed_requests


def test_malformed_requests_are_answered_with_4xx():
    report = malformed_requests.run(150, str(TINY_BUNDLE))
    assert report.faults == 0, report.statuses
    assert sum(counter.total() for counter in report.statuses.values()) == 150
    # Some of each are answered as what they are.
    assert report.statuses["wrong type"][400] and report.statuses["bad picture"][415]
    assert len(report.megabytes) == 3 and min(report.megabytes[0]) > 0
