"""Searches the history for requests: one at a time, by the bundle that is in use."""

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from ....bundle.bundle import default_bundle
from ....history.reader import HistoryReader, SceneFilter

if TYPE_CHECKING:
    from ....history.search.search import HistorySearch, Hit


class Searcher:
    """Searches the history; what a search reads of the bundle and the file is kept for the next.

    Args:
        get_bundle: Returns the path of the bundle in use; empty: the shipped one.
    """

    def __init__(self, get_bundle: Callable[[], str]) -> None:
        self._get_bundle = get_bundle
        self._lock = threading.Lock()
        self._search: HistorySearch | None = None
        self._opened: tuple[str, int, int] | None = None

    def by_text(
        self,
        reader: HistoryReader,
        text: str,
        wanted: SceneFilter,
        limit: int,
        like: int | None = None,
    ) -> "list[Hit]":
        """Return the scenes that a text describes, best first.

        Args:
            reader: The history.
            text: A sentence, or some words.
            wanted: Which scenes.
            limit: How many at most.
            like: A scene that they are to be like as well; None: none.

        Raises:
            PicaptionError: The bundle or the history cannot be read.
        """
        with self._lock:
            return self._open().by_text(reader, text, wanted, limit, like)

    def like(
        self, reader: HistoryReader, scene_id: int, wanted: SceneFilter, limit: int
    ) -> "list[Hit]":
        """Return the scenes whose picture is like that of a scene, the most similar first.

        Args:
            reader: The history.
            scene_id: The scene.
            wanted: Which scenes.
            limit: How many at most.

        Raises:
            PicaptionError: The bundle or the history cannot be read.
        """
        with self._lock:
            restriction = None if wanted == SceneFilter() else wanted
            return self._open().like(reader, scene_id, restriction, limit)

    def _open(self) -> "HistorySearch":
        from ....history.search.search import HistorySearch

        path = self._get_bundle() or str(default_bundle())
        status = os.stat(path) if os.path.exists(path) else None
        state = (path, status.st_ino, status.st_mtime_ns) if status else (path, 0, 0)
        if self._search is None or state != self._opened:
            self._search = HistorySearch(path)
            self._opened = state
        return self._search
