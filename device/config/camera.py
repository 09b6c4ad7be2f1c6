"""One of several cameras: its name, the settings of its own, and the part of its picture."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

#: The settings that a camera's table may have, beside its name.
CAMERA_SETTINGS = (
    *("source", "size", "camera_fps", "rotate", "hflip", "vflip", "crop"),
    *("focus", "exposure", "gain", "stall"),
    *("mqtt_topic", "mqtt_watch", "mqtt_area", "event"),
)

_CROP_SHARES = 4
#: So much of a long value an error repeats.
_SHOWN_CHARACTERS = 80


@dataclass(frozen=True)
class Camera:
    """One of several cameras, as a table [[camera]] describes it.

    Attributes:
        name: What it is called.
        settings: The settings of its own, by name; the others are those of the Config.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)


class Crop(click.ParamType):
    """LEFT,TOP,RIGHT,BOTTOM as four shares of the picture's sides, from 0 to 1."""

    name = "crop"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Return the shares; raise click.BadParameter if they leave nothing of the picture.

        Args:
            value: A text with commas, or a sequence of numbers; empty: all of the picture.
            param: The option.
            ctx: The command.
        """
        parts = value.split(",") if isinstance(value, str) and value else value
        is_sequence = isinstance(parts, Sequence) and not any(
            isinstance(part, bool) for part in parts
        )
        try:
            shares = tuple(map(float, parts)) if is_sequence else ()
        except (ValueError, TypeError, OverflowError):
            shares = ()
        if not shares and is_sequence and not len(parts):
            return ()
        form = "it is left, top, right and bottom as shares of the picture, such as"
        example = "[0.25, 0.0, 0.75, 1.0]"
        if len(shares) != _CROP_SHARES:
            self.fail(f"{_shorten(value)} is not a crop: {form} {example}")
        if not all(0 <= share <= 1 for share in shares):
            self.fail(f"{_shorten(value)} goes beyond the picture: {form} {example}, each 0 to 1")
        left, top, right, bottom = shares
        if left >= right or top >= bottom:
            self.fail(f"{_shorten(value)} is empty: left is below right, and top below bottom")
        return shares


def _shorten(value: Any) -> str:
    """Return a value as an error repeats it."""
    return repr(value)[:_SHOWN_CHARACTERS]


def slug(name: str) -> str:
    """Return a camera's name as a part of topics and of files' names: letters, digits and _."""
    return re.sub(r"\W+", "_", name.casefold()).strip("_")
