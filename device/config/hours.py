"""Hours of the day in which nothing is to happen."""

import re
from dataclasses import dataclass
from datetime import time

from ..errors import PicaptionError

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


@dataclass(frozen=True)
class Hours:
    """From one time of the day to another, maybe past midnight.

    Attributes:
        start: The first minute of them.
        end: The first minute after them.
    """

    start: time
    end: time

    def contains(self, moment: time) -> bool:
        """Return whether a time of the day is one of them."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end


def parse_hours(text: str) -> Hours | None:
    """Return the Hours of "22:00-07:00"; None of "" and "never".

    Raises:
        PicaptionError: It is anything else.
    """
    if text in ("", "never"):
        return None
    match = _HOURS.fullmatch(text)
    if match is None:
        raise PicaptionError(
            f"{text!r} is not a time of the day: write it as 22:00-07:00, or never"
        )
    first_hour, first_minute, last_hour, last_minute = map(int, match.groups())
    start = time(first_hour, first_minute)
    end = time(last_hour, last_minute)
    if start == end:
        raise PicaptionError(f"{text!r} begins when it ends: write two different times")
    return Hours(start, end)
