"""Times as people write them: "yesterday", "2 hours ago", "2026-11-28 14:30"."""

import re
from datetime import datetime, timedelta

from ...errors import PicaptionError

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_AGO = re.compile(r"(\d{1,5}) ?(m|h|d|w|minutes?|hours?|days?|weeks?)( ago)?")
_DAY = timedelta(days=1)


def parse_time(text: str, now: datetime, is_end: bool = False) -> int:
    """Return a time in milliseconds since the epoch.

    Args:
        text: "now", "today", "yesterday", a day, a time of this day, both, or how long ago.
        now: The present, in local time.
        is_end: A day is its end, and not its beginning.

    Raises:
        PicaptionError: It is none of these.
    """
    words = " ".join(text.lower().split())
    moment = _parse_day(words, now)
    if moment is not None and is_end:
        moment += _DAY
    if moment is None:
        moment = _parse_moment(words, now)
    if moment is None:
        raise PicaptionError(
            f"{text!r} is not a time: write today, yesterday, 2026-11-28, '2026-11-28 14:30', "
            "14:30, or 2 hours ago"
        )
    try:
        return round(moment.timestamp() * 1000)
    except (OverflowError, OSError, ValueError):
        raise PicaptionError(f"{text!r} is beyond all times that are known here") from None


def _parse_day(text: str, now: datetime) -> datetime | None:
    """Return the beginning of a day."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    if text == "today":
        return today
    if text == "yesterday":
        return today - _DAY
    return _parse(text, "%Y-%m-%d")


def _parse_moment(text: str, now: datetime) -> datetime | None:
    if text == "now":
        return now
    ago = _AGO.fullmatch(text)
    if ago:
        try:
            return now - timedelta(**{_UNITS[ago[2][0]]: int(ago[1])})
        except OverflowError:
            return None
    for form in ("%H:%M", "%H:%M:%S"):
        time_of_day = _parse(text, form)
        if time_of_day is not None:
            return datetime.combine(now.date(), time_of_day.time())
    for form in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dt%H:%M", "%Y-%m-%dt%H:%M:%S"):
        moment = _parse(text, form)
        if moment is not None:
            return moment
    return None


def _parse(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form)
    except ValueError:
        return None
