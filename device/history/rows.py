"""Scenes as rows of the history's tables, and back."""

import json
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

INSERT_SCENE = (
    f"INSERT INTO scene({COLUMN_LIST}) VALUES({', '.join(f':{name}' for name in COLUMNS)})"
)
UPDATE_SCENE = (
    f"UPDATE scene SET {', '.join(f'{name} = :{name}' for name in COLUMNS[1:])} WHERE id = :id"
)


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
    """Return the Scene of a row, its values in the order of COLUMNS."""
    values = dict(zip(COLUMNS, row))
    return Scene(
        **values
        | {
            "unsure": bool(values["unsure"]),
            "alternatives": tuple(json.loads(values["alternatives"])),
            "tags": _to_scores(values["tags"]),
            "classes": _to_scores(values["classes"]),
        }
    )


def image_row(scene_id: int, image: SceneImage) -> tuple[Any, ...]:
    """Return the values of a row of the table `image`."""
    if image.features is None:
        return scene_id, None, None, image.thumbnail
    values = zlib.compress(image.features.values.tobytes())
    return scene_id, image.features.scale, values, image.thumbnail


def to_features(scale: float | None, values: bytes | None) -> QuantizedFeatures | None:
    """Return the features of a row of the table `image`."""
    if scale is None or values is None:
        return None
    # No more than features take, whatever the file holds.
    data = zlib.decompressobj().decompress(values, MAX_FEATURES)
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
    return tuple(Score(name, score) for name, score in json.loads(text))
