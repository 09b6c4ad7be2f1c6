"""Hours of the day, maybe past midnight."""

from datetime import time

import pytest

from picaption.device.config.hours import parse_hours
from picaption.device.errors import PicaptionError


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("09:00-17:30", [time(9), time(17, 29, 59)], [time(8, 59), time(17, 30), time(0)]),
        ("22:00-07:00", [time(22), time(0), time(6, 59)], [time(7), time(21, 59), time(12)]),
        ("00:00-23:59", [time(0), time(23, 58)], [time(23, 59)]),
    ],
)
def test_hours_begin_with_their_first_minute_and_end_before_the_last(text, inside, outside):
    hours = parse_hours(text)
    assert all(hours.contains(moment) for moment in inside)
    assert not any(hours.contains(moment) for moment in outside)


def test_never_and_nothing_are_no_hours():
    assert parse_hours("") is None and parse_hours("never") is None


@pytest.mark.parametrize(
    "text", ["22-7", "24:00-07:00", "22:00", "22:00 - 07:00", "2:00-3:00", "٢"]
)
def test_what_is_no_time_of_the_day(text):
    with pytest.raises(PicaptionError, match="write it as 22:00-07:00, or never"):
        parse_hours(text)


def test_hours_that_begin_when_they_end():
    with pytest.raises(PicaptionError, match="two different times"):
        parse_hours("07:00-07:00")
