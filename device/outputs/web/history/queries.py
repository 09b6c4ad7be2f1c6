"""What requests ask of the history: the values of a query or a body, checked and bounded."""

import json
import math
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any

from ....history.reader import SceneFilter
from .times import parse_time

#: Scenes of one answer: by default, and at most.
PAGE_SCENES = 50
MAX_SCENES = 200
#: Scenes that are left out before them at most.
MAX_OFFSET = 1_000_000
#: Days that are counted at once: by default, and at most.
COUNTED_DAYS = 28
MAX_DAYS = 92
#: Characters of a text at most.
MAX_TEXT = 200
#: Scenes that are deleted by their ids at once.
MAX_IDS = 1000


@dataclass(frozen=True)
class Paging:
    """Which part of the scenes is wanted."""

    limit: int = PAGE_SCENES
    offset: int = 0


def parse_filter(query: Mapping[str, str], zone: tzinfo | None) -> SceneFilter:
    """Return which scenes a query wants.

    Raises:
        ValueError: It says what cannot be.
    """
    confidence = query.get("confidence", "")
    return SceneFilter(
        since=parse_time(query.get("since", ""), "since", zone),
        until=parse_time(query.get("until", ""), "until", zone),
        camera=parse_text(query, "camera"),
        class_name=parse_text(query, "class"),
        word=parse_text(query, "word"),
        confidence=_parse_number(confidence, "confidence", 0, 1) if confidence else None,
    )


def parse_paging(query: Mapping[str, str], max_offset: int = MAX_OFFSET) -> Paging:
    """Return which part of the scenes a query wants.

    Args:
        query: The query.
        max_offset: Scenes that are left out at most.

    Raises:
        ValueError: It says what cannot be.
    """
    return Paging(
        parse_integer(query, "limit", PAGE_SCENES, 1, MAX_SCENES),
        parse_integer(query, "offset", 0, 0, max_offset),
    )


def parse_zone(query: Mapping[str, str]) -> tzinfo | None:
    """Return the time zone of a query's `tz`, such as Europe/Berlin; None: this computer's own.

    Raises:
        ValueError: This computer knows no such zone.
    """
    name = query.get("tz", "")
    if not name:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ValueError("tz is not a time zone that this computer knows") from None


def parse_day(query: Mapping[str, str], name: str, zone: tzinfo | None) -> date:
    """Return the day of a query; today if it has none.

    Raises:
        ValueError: It is no day of a calendar.
    """
    text = query.get(name, "")
    if not text:
        return datetime.now(zone).date()
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = date.min
    if not 1970 < day.year < 9999:
        raise ValueError(f"{name} is a day such as 2026-11-28")
    return day


def parse_integer(query: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """Return a whole number of a query.

    Raises:
        ValueError: It is none, or beyond its bounds.
    """
    text = query.get(name, "")
    if not text:
        return default
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(high))
    if not is_number or not low <= int(text) <= high:
        raise ValueError(f"{name} is a whole number from {low} to {high}")
    return int(text)


def parse_text(query: Mapping[str, str], name: str) -> str | None:
    """Return a text of a query; None if it has none.

    Raises:
        ValueError: It is too long, or no text.
    """
    text = query.get(name, "").strip()
    if len(text) > MAX_TEXT:
        raise ValueError(f"{name} has at most {MAX_TEXT} characters")
    if not text.isprintable():
        raise ValueError(f"{name} is one line without control characters")
    return text or None


@dataclass(frozen=True)
class Deletion:
    """What is to be deleted: a span in milliseconds since the epoch, or the ids of scenes."""

    span: tuple[int, int] | None
    ids: tuple[int, ...] = ()


def parse_deletion(body: bytes) -> Deletion:
    """Return what a body, as JSON, wants to be deleted.

    Raises:
        ValueError: It says what cannot be.
    """
    try:
        values = json.loads(body)
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise ValueError('the body is JSON such as {"ids": [1764338400000]}')
    if set(values) == {"ids"}:
        return Deletion(None, _parse_ids(values["ids"]))
    if set(values) == {"since", "until"}:
        begin, end = [_parse_moment(values[name], name) for name in ("since", "until")]
        if begin >= end:
            raise ValueError("since is before until")
        return Deletion((begin, end))
    raise ValueError("the body has either ids, or since and until")


def _parse_ids(values: Any) -> tuple[int, ...]:
    is_list = isinstance(values, list) and 0 < len(values) <= MAX_IDS
    if not is_list or not all(type(value) is int and 0 <= value < 2**63 for value in values):
        raise ValueError(f"ids are a list of 1 to {MAX_IDS} ids of scenes")
    return tuple(values)


def _parse_moment(value: Any, name: str) -> int:
    text = "" if isinstance(value, bool) else str(value)
    moment = parse_time(text[:MAX_TEXT], name, None)
    if moment is None:
        raise ValueError(f"{name} is a time")
    return moment


def _parse_number(text: str, name: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ValueError(f"{name} is a number from {low:g} to {high:g}")
    return value
