"""Visits as a calendar, in the form of RFC 5545, which calendars of all sorts subscribe to."""

import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from .visits import Visit

MEDIA_TYPE = "text/calendar; charset=utf-8"
#: Octets of a line at most.
LINE_OCTETS = 75


def calendar_lines(visits: Iterable[Visit]) -> Iterator[bytes]:
    """Yield the lines of a calendar with an event for each visit."""
    yield b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//picaption//history//EN\r\n"
    for visit in visits:
        begin = _utc(visit.begin)
        # An event that ends as it begins is none to some calendars.
        end = _utc(max(visit.end, visit.begin + 1))
        scenes = "1 scene" if visit.scenes == 1 else f"{visit.scenes} scenes"
        lines = [
            "BEGIN:VEVENT",
            f"UID:{begin}-{visit.name.encode().hex()[:64]}@picaption",
            f"DTSTAMP:{begin}",
            f"DTSTART:{begin}",
            f"DTEND:{end}",
            f"SUMMARY:{_escaped(visit.name)}",
            f"DESCRIPTION:{_escaped(f'certain in {scenes}, at most {visit.score:.0%}')}",
            "END:VEVENT",
        ]
        yield b"".join(map(_folded, lines))
    yield b"END:VCALENDAR\r\n"


def _utc(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y%m%dT%H%M%SZ}"


def _escaped(text: str) -> str:
    """Return a text as a value: names are anyone's, and a new line would begin a property."""
    text = re.sub(r"([\\;,])", r"\\\1", text)
    return re.sub(r"[\x00-\x1f\x7f]", " ", text)


def _folded(line: str) -> bytes:
    """Return a line's octets; a long one goes on in lines that begin with a space."""
    octets = bytearray()
    length = 0
    for character in line:
        encoded = character.encode()
        if length + len(encoded) > LINE_OCTETS:
            octets += b"\r\n "
            length = 1
        octets += encoded
        length += len(encoded)
    return bytes(octets) + b"\r\n"
