"""How many scenes began in each hour of each day."""

from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Any

from ..reader import HistoryReader, SceneFilter
from .digest import day_span

#: Scenes are counted by so many seconds: time zones differ by multiples of it.
SLOT_SECONDS = 900


@dataclass(frozen=True)
class DayCount:
    """The scenes of a day.

    Attributes:
        day: The day, such as "2026-11-28".
        scenes: How many began on it.
        hours: How many began in each of its 24 hours; an hour that comes twice in autumn has both.
    """

    day: str
    scenes: int
    hours: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as plain strings, numbers and lists."""
        return asdict(self)


def count_days(
    reader: HistoryReader,
    wanted: SceneFilter,
    first: date,
    last: date,
    zone: tzinfo | None = None,
) -> list[DayCount]:
    """Return the counts of days, also of those without scenes, the first one first.

    Args:
        reader: The history.
        wanted: Which scenes, at whatever time.
        first: The first day.
        last: The last day.
        zone: Where it is that day; None: here.
    """
    hours = {first + timedelta(days=index): [0] * 24 for index in range((last - first).days + 1)}
    begin, _ = day_span(first, zone)
    _, end = day_span(last, zone)
    slots = reader.slots(wanted, round(begin * 1000), round(end * 1000), SLOT_SECONDS * 1000)
    for start, count in slots.items():
        moment = datetime.fromtimestamp(start / 1000, zone)
        if moment.date() in hours:  # Of a damaged file anything may be read.
            hours[moment.date()][moment.hour] += count
    return [DayCount(day.isoformat(), sum(counts), tuple(counts)) for day, counts in hours.items()]
