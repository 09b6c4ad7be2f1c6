"""Times as programs write them: seconds, ISO 8601, or today and yesterday, in any time zone."""

import math
from datetime import datetime, timedelta, tzinfo

#: The last second of the year 9999, which is the last that a calendar has.
_LAST_SECOND = 253_402_300_799
#: How many days ago a word's day begins.
_DAYS_AGO = {"today": 0, "yesterday": 1}


def parse_time(text: str, name: str, zone: tzinfo | None = None) -> int | None:
    """Return a time in milliseconds since the epoch; None: the text is empty.

    Args:
        text: Seconds since the epoch, a date or a time of ISO 8601, or "today" or "yesterday",
            which are the begin of that day.
        name: What it is called.
        zone: Where a time without an offset is meant; None: here.

    Raises:
        ValueError: It is none of these.
    """
    if not text:
        return None
    try:
        seconds = _seconds(text.strip().lower(), zone)
    except (ValueError, OverflowError):
        seconds = math.nan
    if not 0 <= seconds <= _LAST_SECOND:
        raise ValueError(
            f"{name} is a time: seconds since the epoch, such as 2026-11-28T14:00, or yesterday"
        )
    return round(seconds * 1000)


def _seconds(text: str, zone: tzinfo | None) -> float:
    """Return a time in seconds since the epoch; raises ValueError if it is none."""
    if text in _DAYS_AGO:
        today = datetime.now(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        # Without its offset: the clocks may have been changed since.
        begin = (today - timedelta(days=_DAYS_AGO[text])).replace(tzinfo=zone)
        return begin.timestamp()
    try:
        return float(text)
    except ValueError:
        moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    return moment.timestamp()
