"""Scenes in the forms that leave the history: JSON, and rows of a table."""

from datetime import datetime, tzinfo
from typing import Any

from ..scene import Scene

#: The columns of a table of scenes.
COLUMNS = (
    *("id", "begin", "end", "camera", "caption", "confidence", "unsure", "classes", "tags"),
    "silence",
)
#: How a text begins that spreadsheets take for a formula.
_FORMULA_MARKS = ("=", "+", "-", "@", "\t", "\r")


def scene_json(scene: Scene) -> dict[str, Any]:
    """Return the JSON form of a scene; times are in seconds since the epoch."""
    return {
        "id": scene.id,
        "begin": round(scene.begin_seconds, 3),
        "end": round(scene.end_seconds, 3),
        "camera": scene.camera,
        "caption": scene.caption,
        "confidence": scene.confidence,
        "unsure": scene.unsure,
        "alternatives": list(scene.alternatives),
        "tags": [score._asdict() for score in scene.tags],
        "classes": [score._asdict() for score in scene.classes],
        "silence": scene.silence,
    }


def scene_row(scene: Scene, zone: tzinfo | None = None) -> list[str]:
    """Return the row of a scene, a text for each of COLUMNS; times are local, as ISO 8601 has them.

    Args:
        scene: The scene.
        zone: Where; None: here.
    """
    confidence = "" if scene.confidence is None else f"{scene.confidence:.3f}"
    texts = [
        scene.camera,
        scene.caption or "",
        confidence,
        "yes" if scene.unsure else "no",
        "; ".join(f"{name} {score:.2f}" for name, score in scene.classes),
        "; ".join(f"{name} {score:.2f}" for name, score in scene.tags),
        scene.silence or "",
    ]
    times = [local_time(seconds, zone) for seconds in (scene.begin_seconds, scene.end_seconds)]
    return [str(scene.id), *times, *map(_plain, texts)]


def local_time(seconds: float, zone: tzinfo | None = None) -> str:
    """Return a time in seconds since the epoch as "2026-11-28T14:02:07+01:00"."""
    return datetime.fromtimestamp(seconds, zone).astimezone(zone).isoformat(timespec="seconds")


def _plain(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: names and captions are anyone's."""
    return f"'{text}" if text.startswith(_FORMULA_MARKS) else text
