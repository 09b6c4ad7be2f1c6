"""Writing the history: scenes come, are indexed many at a time, and go when they are old.

Connections of several processes may write, one after the other: the live loop adds scenes, and the
page or a command deletes some.
"""

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime

from .database import connect_to_write, reading_errors
from .rows import (
    COLUMN_LIST,
    INSERT_SCENE,
    UPDATE_SCENE,
    image_row,
    index_row,
    to_row,
)
from .scene import Scene, SceneImage

#: Scenes that are deleted in one transaction at most.
DELETE_AT_ONCE = 500
#: Scenes are removed until there is room for so many bytes, or this share of the bound: what comes
#: next takes the pages that they leave, and none is moved.
PRUNED_BYTES = 1e6
PRUNED_SHARE = 0.05
#: Once so much of the file is unused, it is made smaller.
UNUSED_SHARE = 0.25
#: Pages by which it gets smaller in one transaction at most.
VACUUM_PAGES = 2000
#: The last scene that the index holds, among the history's own values.
INDEXED_TO = "indexed_to"

_MILLISECONDS_A_DAY = 86_400_000


class HistoryStore:
    """A history that is open to be written to, by one thread at a time.

    Args:
        path: The file; it is made if it is not there.

    Raises:
        PicaptionError: Something else is there, or it cannot be made.
        sqlite3.Error: It is damaged, or the disk is full; so may every method.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._connection = connect_to_write(path)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is written in the context, completely or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.rollback()
            raise

    def add(self, scene: Scene, image: SceneImage) -> int:
        """Add a scene.

        Returns:
            Its id: the scene's own, or the next that is not taken.
        """
        row = to_row(scene)
        query = "SELECT 1 FROM scene WHERE id = ?"
        while self._connection.execute(query, (row["id"],)).fetchone():
            row["id"] += 1
        self._connection.execute(INSERT_SCENE, row)
        self._write_image(row["id"], image)
        return row["id"]

    def update(self, scene: Scene, image: SceneImage | None = None) -> bool:
        """Write a scene that was added, and is not indexed, as it is now.

        Args:
            scene: It has the id that `add` returned.
            image: What is remembered of its image now; None: what was.

        Returns:
            Whether it is there: it may have been deleted.
        """
        if not self._connection.execute(UPDATE_SCENE, to_row(scene)).rowcount:
            return False
        if image is not None:
            self._write_image(scene.id, image)
        return True

    def unindexed(self) -> list[int]:
        """Return the ids of all scenes whose words are not in the index."""
        query = "SELECT id FROM scene WHERE id NOT IN (SELECT rowid FROM words) ORDER BY id"
        return [row[0] for row in self._connection.execute(query)]

    def index(self, ids: Iterable[int]) -> None:
        """Put the words of scenes that are complete into the index; those that are gone are not."""
        rows = self._rows(ids)
        if not rows:
            return
        self._connection.executemany(
            "INSERT INTO words(rowid, caption, alternatives, names) VALUES(?, ?, ?, ?)",
            map(index_row, rows),
        )
        self._connection.execute(
            "INSERT INTO state VALUES(:name, :id) "
            "ON CONFLICT(name) DO UPDATE SET value = max(value, :id)",
            {"name": INDEXED_TO, "id": max(row[0] for row in rows)},
        )

    def delete(self, ids: Sequence[int]) -> int:
        """Delete scenes; return how many there were."""
        count = 0
        for start in range(0, len(ids), DELETE_AT_ONCE):
            with self.transaction():
                count += self._delete(ids[start : start + DELETE_AT_ONCE])
        return count

    def erase(self, begin: int, end: int) -> int:
        """Delete what was seen in a span, so that no trace of it is left in the file.

        Args:
            begin: In milliseconds since the epoch; a scene that went on then is deleted too.
            end: Likewise, exclusive.

        Returns:
            How many scenes there were.
        """
        query = "SELECT id FROM scene WHERE id < ? AND end >= ?"
        ids = [row[0] for row in self._connection.execute(query, (end, begin))]
        return self.erase_scenes(ids)

    def erase_scenes(self, ids: Sequence[int]) -> int:
        """Delete scenes, so that no trace of them is left in the file; return their number."""
        self._connection.execute("PRAGMA secure_delete = ON")
        count = self.delete(ids)
        if count:
            # Words of what was deleted stay in the index until its parts are merged.
            self._connection.execute("INSERT INTO words(words) VALUES('optimize')")
            self._vacuum(target=0)
            self.copy_log()
        self._connection.execute("PRAGMA secure_delete = OFF")
        return count

    def prune(self, days: float, megabytes: float, now: float | None = None) -> int:
        """Delete the oldest scenes.

        Args:
            days: Those that ended so many days ago; 0: none.
            megabytes: So many that the file has no more bytes; 0: none.
            now: In seconds since the epoch; None: the clock's.

        Returns:
            How many.
        """
        count = 0
        if days:
            now_ms = (time.time() if now is None else now) * 1000
            query = "SELECT id FROM scene WHERE end < ? ORDER BY id"
            oldest = now_ms - days * _MILLISECONDS_A_DAY
            rows = self._connection.execute(query, (oldest,)).fetchall()
            count += self.delete([row[0] for row in rows])
        if megabytes:
            count += self._prune_bytes(megabytes * 1e6)
        self._shrink(megabytes * 1e6)
        return count

    def note_written(self, amount: int, now: float | None = None) -> None:
        """Add to the bytes that were written to the disk on the day of `now`."""
        day = datetime.fromtimestamp(time.time() if now is None else now).date().isoformat()
        self._connection.execute(
            "INSERT INTO written VALUES(:day, :bytes) "
            "ON CONFLICT(day) DO UPDATE SET bytes = bytes + :bytes",
            {"day": day, "bytes": amount},
        )

    def sync_commits(self) -> None:
        """Have every commit written to the disk at once, to measure what each takes."""
        self._connection.execute("PRAGMA synchronous = FULL")

    def copy_log(self) -> None:
        """Copy the write-ahead log into the file, unless another process reads or writes."""
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _write_image(self, scene_id: int, image: SceneImage) -> None:
        values = image_row(scene_id, image)
        self._connection.execute("INSERT OR REPLACE INTO image VALUES(?, ?, ?, ?)", values)
        if image.sketch is not None:
            values = (scene_id, image.sketch)
            self._connection.execute("INSERT OR REPLACE INTO sketch VALUES(?, ?)", values)

    def _rows(self, ids: Iterable[int]) -> list[tuple]:
        query = f"SELECT {COLUMN_LIST} FROM scene WHERE id = ?"
        rows = (self._connection.execute(query, (number,)).fetchone() for number in ids)
        return [row for row in rows if row is not None]

    def _delete(self, ids: Sequence[int]) -> int:
        rows = self._rows(ids)
        for row in rows:
            if self._connection.execute("SELECT 1 FROM words WHERE rowid = ?", row[:1]).fetchone():
                self._connection.execute(
                    "INSERT INTO words(words, rowid, caption, alternatives, names) "
                    "VALUES('delete', ?, ?, ?, ?)",
                    index_row(row),
                )
            self._connection.execute("DELETE FROM scene WHERE id = ?", row[:1])
            self._connection.execute("DELETE FROM image WHERE scene = ?", row[:1])
            self._connection.execute("DELETE FROM sketch WHERE scene = ?", row[:1])
        return len(rows)

    def _prune_bytes(self, most: float) -> int:
        """Delete the oldest scenes until the pages in use are fewer; return how many."""
        count = 0
        page_bytes = self._count("page_size")
        room = min(max(PRUNED_BYTES, most * PRUNED_SHARE), most / 2)
        # Before the file is too large: pages would be moved to make it smaller.
        if self._used_pages() * page_bytes <= most - room / 2:
            return 0
        query = f"SELECT id FROM scene ORDER BY id LIMIT {DELETE_AT_ONCE // 4}"
        while self._used_pages() * page_bytes > most - room:
            ids = [row[0] for row in self._connection.execute(query)]
            if not ids:
                break
            count += self.delete(ids)
        return count

    def _shrink(self, most: float) -> None:
        """Give unused pages back to the disk where they are many, or the file too large."""
        pages = self._count("page_count")
        target = pages
        if most:
            target = int(most / self._count("page_size"))
        if self._count("freelist_count") > pages * UNUSED_SHARE:
            target = 0
        self._vacuum(target)

    def _vacuum(self, target: int) -> None:
        """Give unused pages back to the disk until the file has `target` pages, or none is left."""
        pages = self._count("page_count")
        while pages > target and self._count("freelist_count"):
            count = min(pages - target, VACUUM_PAGES)
            self._connection.execute(f"PRAGMA incremental_vacuum({count})").fetchall()
            remaining = self._count("page_count")
            if remaining == pages:
                return
            pages = remaining

    def _used_pages(self) -> int:
        return self._count("page_count") - self._count("freelist_count")

    def _count(self, name: str) -> int:
        return self._connection.execute(f"PRAGMA {name}").fetchone()[0]


def erase_span(path: str | os.PathLike[str], begin: int, end: int) -> int:
    """Delete what a history holds of a span of time (see HistoryStore.erase).

    Raises:
        PicaptionError: It cannot be read or written.
    """
    with reading_errors(path), closing(HistoryStore(path)) as store:
        return store.erase(begin, end)
