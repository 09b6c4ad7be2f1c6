"""Scenes as rows of the history's tables, and back."""

import json
import math
import sqlite3
import zlib
from collections.abc import Iterable
from typing import Any

import numpy as np

from ..recognition.result import Score
from .scene import QuantizedFeatures, Scene, SceneImage

#: The columns of the table `scene`, in the order of a row.
COLUMNS = (
    *("id", "end", "camera", "caption", "confidence", "unsure", "alternatives", "tags", "classes"),
    *("silence", "encoder"),
)
COLUMN_LIST = ", ".join(COLUMNS)

#: Features of an image at most; two fifths of those of the shipped bundle are zeros.
MAX_FEATURES = 1 << 16

#: The last moment of a scene that calendars of all zones know, in milliseconds since the epoch.
MAX_TIME = 253_402_214_400_000
_TEXT_OR_NONE = (str, type(None))
#: What a row has in its columns.
_TYPES: dict[str, tuple[type, ...]] = {
    "id": (int,),
    "end": (int,),
    "camera": (str,),
    "caption": _TEXT_OR_NONE,
    "confidence": (float, int, type(None)),
    "unsure": (int,),
    "alternatives": (str,),
    "tags": (str,),
    "classes": (str,),
    "silence": _TEXT_OR_NONE,
    "encoder": (str,),
}

INSERT_SCENE = (
    f"INSERT INTO scene({COLUMN_LIST}) VALUES({', '.join(f':{name}' for name in COLUMNS)})"
)
UPDATE_SCENE = (
    f"UPDATE scene SET {', '.join(f'{name} = :{name}' for name in COLUMNS[1:])} WHERE id = :id"
)


class DamagedRowError(sqlite3.DatabaseError):
    """A scene that was not written by picaption, or not read from the disk as it was.

    Args:
        scene_id: Its id.
    """

    def __init__(self, scene_id: Any) -> None:
        super().__init__(f"scene {scene_id} is damaged")


def to_row(scene: Scene) -> dict[str, Any]:
    """Return the values of a scene's row by column."""
    return {
        "id": scene.id,
        "end": scene.end,
        "camera": scene.camera,
        "caption": scene.caption,
        "confidence": scene.confidence,
        "unsure": int(scene.unsure),
        "alternatives": _to_json(scene.alternatives),
        "tags": _to_json(_rounded(scene.tags)),
        "classes": _to_json(_rounded(scene.classes)),
        "silence": scene.silence,
        "encoder": scene.encoder,
    }


def to_scene(row: tuple[Any, ...]) -> Scene:
    """Return the Scene of a row, its values in the order of COLUMNS.

    Raises:
        DamagedRowError: The row is none that was written here: a column takes any value.
    """
    values = dict(zip(COLUMNS, row))
    for name, types in _TYPES.items():
        if not isinstance(values[name], types):
            raise DamagedRowError(values["id"])
    confidence = values["confidence"]
    is_time = 0 <= values["id"] <= MAX_TIME and 0 <= values["end"] <= MAX_TIME
    if not is_time or not (confidence is None or math.isfinite(confidence)):
        raise DamagedRowError(values["id"])
    try:
        alternatives = json.loads(values["alternatives"])
        if not all(isinstance(text, str) for text in alternatives):
            raise DamagedRowError(values["id"])
        lists = {
            "alternatives": tuple(alternatives),
            "tags": _to_scores(values["tags"]),
            "classes": _to_scores(values["classes"]),
        }
    except (ValueError, TypeError, RecursionError):
        raise DamagedRowError(values["id"]) from None
    return Scene(**values | lists | {"unsure": bool(values["unsure"])})


def image_row(scene_id: int, image: SceneImage) -> tuple[Any, ...]:
    """Return the values of a row of the table `image`."""
    if image.features is None:
        return scene_id, None, None, image.thumbnail
    values = zlib.compress(image.features.values.tobytes())
    return scene_id, image.features.scale, values, image.thumbnail


def to_features(scale: float | None, values: bytes | None) -> QuantizedFeatures | None:
    """Return the features of a row of the table `image`.

    Raises:
        ValueError: The row is none that was written here.
        zlib.error: Likewise.
    """
    if scale is None or values is None:
        return None
    if not isinstance(scale, float) or not isinstance(values, bytes) or not math.isfinite(scale):
        raise ValueError("the features of a scene are damaged")
    # No more than features take, whatever the file holds.
    decompressor = zlib.decompressobj()
    data = decompressor.decompress(values, MAX_FEATURES)
    if not decompressor.eof:
        raise ValueError("the features of a scene are damaged")
    return QuantizedFeatures(np.frombuffer(data, np.int8), scale)


def index_row(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return what the full-text index holds of a scene: its id, and a text for each column.

    Args:
        row: Values in the order of COLUMNS.
    """
    scene = to_scene(row)
    names = dict.fromkeys(score.name for score in (*scene.classes, *scene.tags))
    return scene.id, scene.text or "", "\n".join(scene.alternatives), "\n".join(names)


def class_pattern(name: str) -> str:
    """Return the text that is in the column `classes` if, and only if, a class is among them."""
    return f"[{_to_json(name)},"


def select_scenes(
    connection: sqlite3.Connection, condition: str, values: Iterable[Any] = ()
) -> list[Scene]:
    """Return the scenes that a condition in SQL holds for."""
    query = f"SELECT {COLUMN_LIST} FROM scene WHERE {condition}"
    return [to_scene(row) for row in connection.execute(query, tuple(values))]


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _rounded(scores: tuple[Score, ...]) -> list[tuple[str, float]]:
    return [(score.name, round(score.score, 3)) for score in scores]


def _to_scores(text: str) -> tuple[Score, ...]:
    """Return the scores of a column.

    Raises:
        ValueError: It holds something else.
        TypeError: Likewise.
    """
    scores = tuple(Score(name, score) for name, score in json.loads(text))
    for name, score in scores:
        if not isinstance(name, str) or not math.isfinite(score):
            raise ValueError(name)
    return scores
