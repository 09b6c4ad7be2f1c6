"""Finding scenes whose picture is like another scene's: by the cosine of their features."""

import numpy as np

from ..database import reading_errors
from ..reader import HistoryReader
from ..rows import to_features
from ..scene import dequantize
from .meaning import BLOCK_SCENES, MeaningIndex, Ranking, best_rows

#: Scenes whose features are compared, where there are sketches to choose them by.
CANDIDATES = 1000


def rank_by_likeness(
    reader: HistoryReader,
    scene_id: int,
    index: MeaningIndex | None,
    allowed: list[int] | None = None,
) -> Ranking:
    """Return the scenes whose features are like those of a scene, the most similar first.

    Args:
        reader: The history.
        scene_id: The scene to compare with; it is not among the result.
        index: The sketches, by which the scenes to compare are chosen; None: all are compared.
        allowed: The ids of scenes that may be among them; None: all.

    Returns:
        Their ids and cosines; none where nothing is remembered of the scene's picture.
    """
    image = reader.image(scene_id)
    scene = reader.scene(scene_id)
    if image is None or image.features is None or scene is None:
        return Ranking(np.empty(0, np.int64), np.empty(0, np.float32))
    target = dequantize(image.features)
    target /= max(float(np.linalg.norm(target)), 1e-6)
    ids = _candidates(scene_id, index)
    if ids is None:
        ids = np.array(_ids_of_encoder(reader, scene.encoder), np.int64)
    if allowed is not None:
        ids = ids[np.isin(ids, allowed)]
    ids = ids[ids != scene_id]
    cosines = np.full(len(ids), -np.inf, np.float32)
    for start in range(0, len(ids), BLOCK_SCENES):
        for row, features in enumerate(_features(reader, ids[start : start + BLOCK_SCENES]), start):
            if features is not None and features.shape == target.shape:
                cosines[row] = features @ target / max(float(np.linalg.norm(features)), 1e-6)
    order = np.argsort(-cosines, kind="stable")
    order = order[np.isfinite(cosines[order])]
    return Ranking(ids[order], cosines[order])


def _candidates(scene_id: int, index: MeaningIndex | None) -> np.ndarray | None:
    """Return the ids of scenes that are similar by their sketches; None if that is not known."""
    if index is None:
        return None
    [rows] = np.nonzero(index.ids == scene_id)
    if not len(rows):
        return None
    sketch = index.sketches.floats(rows)[0]
    lengths = index.lengths()
    return index.ids[best_rows(index.products(sketch) / lengths, CANDIDATES)]


def _ids_of_encoder(reader: HistoryReader, encoder: str) -> list[int]:
    with reading_errors(reader.path):
        rows = reader.connection.execute("SELECT id FROM scene WHERE encoder = ?", [encoder])
        return [row[0] for row in rows]


def _features(reader: HistoryReader, ids: np.ndarray) -> list[np.ndarray | None]:
    """Return the features of scenes, float32 [F] each; None for those without."""
    query = "SELECT scale, features FROM image WHERE scene = ?"
    result: list[np.ndarray | None] = []
    with reading_errors(reader.path):
        for scene_id in ids.tolist():
            row = reader.connection.execute(query, [scene_id]).fetchone()
            features = to_features(*row) if row else None
            result.append(None if features is None else dequantize(features))
    return result
