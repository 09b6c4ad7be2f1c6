"""Times as people write them."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from picaption.device.outputs.web.history.times import parse_time

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1700000000.25", 1_700_000_000_250),
        ("2023-11-14T22:13:20Z", 1_700_000_000_000),
        ("2023-11-14t23:13:20", 1_700_000_000_000),
        (" 2023-11-14 23:13:20 ", 1_700_000_000_000),
        ("2023-11-15", 1_700_000_000_000 + 2_800_000),
        ("", None),
    ],
)
def test_seconds_and_iso_8601(text, milliseconds):
    assert parse_time(text, "since", BERLIN) == milliseconds


def test_days_by_name_begin_at_midnight_there():
    today = datetime.now(BERLIN).date()
    for name, day in (("today", today), ("Yesterday", today - timedelta(days=1))):
        moment = parse_time(name, "since", BERLIN) / 1000
        assert datetime.fromtimestamp(moment, BERLIN).isoformat()[:19] == f"{day}T00:00:00"


@pytest.mark.parametrize(
    "text", ["soon", "-1", "inf", "nan", "1e300", "9999999999999", "2026-13-1"]
)
def test_what_is_no_time(text):
    with pytest.raises(ValueError, match="since is a time: seconds since the epoch, such as 2026"):
        parse_time(text, "since", BERLIN)
