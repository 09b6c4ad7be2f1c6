"""Times as people write them."""

from datetime import datetime

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.history.search.times import parse_time

NOW = datetime(2026, 11, 28, 14, 30, 15)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("now", NOW),
        ("today", datetime(2026, 11, 28)),
        (" Yesterday", datetime(2026, 11, 27)),
        ("2026-02-28", datetime(2026, 2, 28)),
        ("9:05", datetime(2026, 11, 28, 9, 5)),
        ("2026-02-28 09:05", datetime(2026, 2, 28, 9, 5)),
        ("2026-02-28T09:05:07", datetime(2026, 2, 28, 9, 5, 7)),
        ("2h", datetime(2026, 11, 28, 12, 30, 15)),
        ("2 hours ago", datetime(2026, 11, 28, 12, 30, 15)),
        ("1 week", datetime(2026, 11, 21, 14, 30, 15)),
        ("90 minutes", datetime(2026, 11, 28, 13, 0, 15)),
    ],
)
def test_times_are_understood(text, expected):
    assert parse_time(text, NOW) == expected.timestamp() * 1000


def test_the_end_of_a_day_is_the_next_ones_beginning():
    assert parse_time("yesterday", NOW, is_end=True) == parse_time("today", NOW)
    assert parse_time("14:00", NOW, is_end=True) == parse_time("14:00", NOW)


@pytest.mark.parametrize("text", ["", "soon", "2026-13-01", "25:00", "-1 h", "٣h x"])
def test_what_is_no_time_is_one_line(text):
    with pytest.raises(PicaptionError, match="is not a time: write today, yesterday"):
        parse_time(text, NOW)
