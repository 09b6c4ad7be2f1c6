"""Reading the history: scenes by filters, counts of days and hours, thumbnails."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from .database import connect_to_read, reading_errors
from .rows import COLUMN_LIST, class_pattern, to_features, to_scene
from .scene import Scene, SceneImage
from .store import INDEXED_TO

#: Scenes that are read at once while all are walked through.
WALKED_SCENES = 200


@dataclass(frozen=True)
class SceneFilter:
    """Which scenes; None: whatever they have.

    Attributes:
        since: In milliseconds since the epoch: those that ended then, or later.
        until: Likewise: those that began before.
        camera: What the camera is called.
        class_name: A class that was certain.
        word: A word of the caption, in any of its forms.
        confidence: The least confidence of the caption.
    """

    since: int | None = None
    until: int | None = None
    camera: str | None = None
    class_name: str | None = None
    word: str | None = None
    confidence: float | None = None


class ImageState(NamedTuple):
    """Whether a scene has a thumbnail, and features."""

    has_thumbnail: bool
    has_features: bool


class Sighting(NamedTuple):
    """A class, the last scene in which it was certain, and its end in ms since the epoch."""

    name: str
    scene: int
    end: int


@dataclass(frozen=True)
class HistorySummary:
    """What a history holds.

    Attributes:
        scenes: How many.
        begin: When the first began, in milliseconds since the epoch; None without any.
        end: When the last ended.
        file_bytes: The size of the file and its log.
        written: Bytes that were written to the disk, by day ("2026-11-28"), the last 30.
    """

    scenes: int
    begin: int | None
    end: int | None
    file_bytes: int
    written: dict[str, int]


class HistoryReader:
    """A history that is open to be read, also while the live loop writes to it.

    Args:
        path: The file.

    Raises:
        PicaptionError: There is no history, or it cannot be read; so may every method.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path
        self.connection = connect_to_read(path)

    def scenes(self, wanted: SceneFilter, limit: int = 100, offset: int = 0) -> list[Scene]:
        """Return scenes, the newest first.

        Args:
            wanted: Which.
            limit: How many at most.
            offset: How many of the newest are left out.
        """
        condition, values = self._condition(wanted)
        query = (
            f"SELECT {COLUMN_LIST} FROM scene WHERE {condition} ORDER BY id DESC LIMIT ? OFFSET ?"
        )
        return self._to_scenes(self._select(query, [*values, limit, offset]))

    def count(self, wanted: SceneFilter) -> int:
        """Return how many scenes there are."""
        condition, values = self._condition(wanted)
        return self._select(f"SELECT count(*) FROM scene WHERE {condition}", values)[0][0]

    def ids(self, wanted: SceneFilter) -> list[int]:
        """Return the ids of scenes, the oldest first."""
        condition, values = self._condition(wanted)
        rows = self._select(f"SELECT id FROM scene WHERE {condition} ORDER BY id", values)
        return [row[0] for row in rows]

    def walk(self, wanted: SceneFilter) -> Iterator[Scene]:
        """Yield scenes, the oldest first.

        Nothing is open between two of them: who takes them slowly keeps the log from being copied
        into the file by no more than WALKED_SCENES.
        """
        condition, values = self._condition(wanted)
        query = (
            f"SELECT {COLUMN_LIST} FROM scene WHERE id > ? AND {condition} "
            f"ORDER BY id LIMIT {WALKED_SCENES}"
        )
        last = -1
        while rows := self._select(query, [last, *values]):
            last = rows[-1][0]
            yield from self._to_scenes(rows)

    def slots(self, wanted: SceneFilter, begin: int, end: int, length: int) -> dict[int, int]:
        """Return how many scenes began in each slot of time that has some, by the slot's begin.

        Args:
            wanted: Which scenes.
            begin: In milliseconds since the epoch: those that began then, or later.
            end: Likewise: those that began before.
            length: The milliseconds of a slot; the slots begin at multiples of it.
        """
        condition, values = self._condition(wanted)
        query = (
            f"SELECT id / ? * ?, count(*) FROM scene WHERE id >= ? AND id < ? AND {condition} "
            "GROUP BY 1 ORDER BY 1"
        )
        return dict(self._select(query, [length, length, begin, end, *values]))

    def last_scenes(self, wanted: SceneFilter) -> list[Sighting]:
        """Return the last scene of each class that was certain, the latest class first."""
        condition, values = self._condition(wanted)
        query = (
            "SELECT json_extract(entry.value, '$[0]'), wanted.id, max(wanted.end) "
            f"FROM (SELECT id, end, classes FROM scene WHERE {condition}) AS wanted, "
            "json_each(wanted.classes) AS entry GROUP BY 1 ORDER BY 3 DESC"
        )
        return [Sighting(*row) for row in self._select(query, values)]

    def days(self, wanted: SceneFilter) -> dict[str, int]:
        """Return how many scenes began on each day that has some, by the local "2026-11-28"."""
        return self._counts(wanted, "%Y-%m-%d")

    def hours(self, wanted: SceneFilter) -> dict[str, int]:
        """Return how many scenes began in each hour that has some, by the local "2026-11-28 14"."""
        return self._counts(wanted, "%Y-%m-%d %H")

    def scene(self, scene_id: int) -> Scene | None:
        """Return a scene; None if there is none of that id."""
        rows = self._select(f"SELECT {COLUMN_LIST} FROM scene WHERE id = ?", [scene_id])
        return self._to_scenes(rows)[0] if rows else None

    def image(self, scene_id: int) -> SceneImage | None:
        """Return what is remembered of a scene's image; None if nothing is."""
        query = (
            "SELECT scale, features, sketch, thumbnail FROM image LEFT JOIN sketch USING(scene) "
            "WHERE scene = ?"
        )
        for scale, features, sketch, thumbnail in self._select(query, [scene_id]):
            with reading_errors(self.path):
                return SceneImage(to_features(scale, features), thumbnail, sketch)
        return None

    def thumbnail(self, scene_id: int) -> bytes | None:
        """Return the JPEG of a scene; None if there is none."""
        rows = self._select("SELECT thumbnail FROM image WHERE scene = ?", [scene_id])
        return rows[0][0] if rows and isinstance(rows[0][0], bytes) else None

    def image_states(self, ids: Sequence[int]) -> dict[int, ImageState]:
        """Return what is remembered of the images of scenes, by their ids."""
        marks = ", ".join("?" * len(ids))
        query = (
            "SELECT scene, thumbnail IS NOT NULL, features IS NOT NULL FROM image "
            f"WHERE scene IN ({marks})"
        )
        rows = self._select(query, list(ids))
        return {row[0]: ImageState(bool(row[1]), bool(row[2])) for row in rows}

    def cameras(self) -> list[str]:
        """Return what the cameras are called."""
        return [row[0] for row in self._select("SELECT DISTINCT camera FROM scene ORDER BY 1", [])]

    def indexed_to(self) -> int:
        """Return the id of the last scene whose words are in the index; 0: none is."""
        rows = self._select("SELECT value FROM state WHERE name = ?", [INDEXED_TO])
        return rows[0][0] if rows else 0

    def summary(self) -> HistorySummary:
        """Return what the history holds."""
        count, begin, end = self._select("SELECT count(*), min(id), max(end) FROM scene", [])[0]
        written = dict(
            self._select("SELECT day, bytes FROM written ORDER BY day DESC LIMIT 30", [])
        )
        size = 0
        for suffix in ("", "-wal"):
            file = f"{os.fspath(self.path)}{suffix}"
            if os.path.isfile(file):
                size += os.path.getsize(file)
        return HistorySummary(count, begin, end, size, written)

    def close(self) -> None:
        """Close the file."""
        self.connection.close()

    def _counts(self, wanted: SceneFilter, form: str) -> dict[str, int]:
        condition, values = self._condition(wanted)
        query = (
            "SELECT strftime(?, id / 1000, 'unixepoch', 'localtime'), count(*) FROM scene "
            f"WHERE {condition} GROUP BY 1 ORDER BY 1"
        )
        return dict(self._select(query, [form, *values]))

    def _condition(self, wanted: SceneFilter) -> tuple[str, list[Any]]:
        """Return the condition in SQL that a filter is, and its values."""
        parts = ["1"]
        values: list[Any] = []

        def add(part: str, *part_values: Any) -> None:
            parts.append(part)
            values.extend(part_values)

        if wanted.since is not None:
            add("end >= ?", wanted.since)
        if wanted.until is not None:
            add("id < ?", wanted.until)
        if wanted.camera is not None:
            add("camera = ?", wanted.camera)
        if wanted.class_name is not None:
            add("instr(classes, ?)", class_pattern(wanted.class_name))
        if wanted.confidence is not None:
            add("confidence >= ?", wanted.confidence)
        if wanted.word is not None:
            phrase = '"' + wanted.word.replace('"', '""') + '"'
            add(
                "(id IN (SELECT rowid FROM words WHERE words MATCH ?) "
                "OR (id > ? AND instr(lower(caption), lower(?))))",
                f"caption : {phrase}",
                self.indexed_to(),
                wanted.word,
            )
        return " AND ".join(parts), values

    def _to_scenes(self, rows: list[tuple]) -> list[Scene]:
        with reading_errors(self.path):
            return [to_scene(row) for row in rows]

    def _select(self, query: str, values: list[Any]) -> list[tuple]:
        with reading_errors(self.path):
            return self.connection.execute(query, values).fetchall()
