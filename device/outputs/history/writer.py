"""The thread that writes scenes to the history, so that the loop never waits for the disk."""

import contextlib
import logging
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ...errors import PicaptionError
from ...history.captioner.sketch import Sketcher, open_sketcher
from ...history.scene import SceneImage, quantize
from ...history.store import HistoryStore
from ...images import encode_image, shrink_to_fit
from ..sink import RecognizedFrame
from .collector import WriteRequest

logger = logging.getLogger(__name__)

#: Scenes that wait to be written at most.
MAX_WAITING = 64
#: The words of so many scenes go into the index at a time.
INDEX_SCENES = 128
#: How long `close` waits for the scenes that wait.
CLOSE_SECONDS = 5.0
#: Old scenes are removed so often: the fewer times, the less is written.
PRUNE_SECONDS = 6 * 3600.0
#: The longer side of a thumbnail in pixels, and the quality of its JPEG.
THUMBNAIL_SIDE = 240
THUMBNAIL_QUALITY = 60
#: The longer side of a blurred image in pixels: colours remain, no face or letter does.
BLURRED_SIDE = 12


class HistoryWriter:
    """Writes scenes from a thread of its own, indexes them, and removes old ones.

    What SQLite reports ends the writing, with one line in the log: a full disk, say.

    Args:
        store: The history; it is closed with this one.
        path: What to call it in the log.
        days: How long scenes are remembered; 0: for ever.
        megabytes: How large the file may be; 0: as it likes.
        images: "full", "blurred" or "none": what is remembered of the images.

    Attributes:
        is_running: Whether scenes are written still.
    """

    def __init__(
        self, store: HistoryStore, path: str, days: float, megabytes: float, images: str
    ) -> None:
        self._store = store
        self._path = path
        self._days = days
        self._megabytes = megabytes
        self._images = images
        # Of every camera, by its name, the scene that goes on and is written already.
        self._open_ids: dict[str, int] = {}
        self._unindexed: list[int] = []
        self._written = 0
        self._prune_due = 0.0
        self._is_slow = False
        self.is_running = True
        self._queue: queue.Queue[WriteRequest | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def put(self, request: WriteRequest) -> None:
        """Have a scene written, without waiting; if too many wait, it is left out."""
        try:
            self._queue.put_nowait(request)
            self._is_slow = False
        except queue.Full:
            if not self._is_slow:
                logger.warning("history: the disk is too slow: scenes are left out")
            self._is_slow = True

    def close(self) -> None:
        """Write what waits, for a moment, and close the history."""
        if self.is_running:
            try:
                self._queue.put(None, timeout=CLOSE_SECONDS)
            except queue.Full:
                return
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        try:
            self._unindexed = self._store.unindexed()
            self._maintain()
            while self._write_waiting():
                self._maintain()
            self._finish()
        except (sqlite3.Error, OSError, PicaptionError) as error:
            logger.error("history: %s: %s; no more scenes are remembered", self._path, error)
        finally:
            self.is_running = False
            self._close_store()

    def _close_store(self) -> None:
        try:
            self._store.close()
        except sqlite3.Error as error:
            logger.debug("history: %s: %s", self._path, error)

    def _write_waiting(self) -> bool:
        """Wait for scenes and commit them together; return whether more will come."""
        requests = []
        with contextlib.suppress(queue.Empty):
            requests.append(self._queue.get(timeout=PRUNE_SECONDS))
            while requests[-1] is not None and len(requests) < MAX_WAITING:
                requests.append(self._queue.get_nowait())
        scenes = [request for request in requests if request is not None]
        if scenes:
            self._retry_while_locked(lambda: self._commit(scenes))
        return None not in requests

    def _commit(self, requests: list[WriteRequest]) -> None:
        open_ids = dict(self._open_ids)
        completed: list[int] = []
        with self._store.transaction():
            for request in requests:
                camera = request.scene.origin.camera
                scene_id = self._write(request, open_ids.pop(camera, None))
                if request.is_complete:
                    completed.append(scene_id)
                else:
                    open_ids[camera] = scene_id
        self._open_ids = open_ids
        self._unindexed += completed

    def _write(self, request: WriteRequest, open_id: int | None) -> int:
        """Write a scene, which is in the history already if it is open; return its id."""
        open_scene = request.scene
        encoded = open_scene.best.recognition.encoded
        sketcher = None
        if encoded is not None and open_scene.origin.bundle:
            sketcher = open_sketcher(open_scene.origin.bundle)
        encoder = sketcher.encoder if sketcher else ""
        scene = replace(open_scene.to_scene(), encoder=encoder)
        image = None
        if open_id is None or open_scene.best_changed:
            image = make_scene_image(open_scene.best, self._images, sketcher)
        if open_id is None:
            return self._store.add(scene, image or SceneImage())
        self._store.update(replace(scene, id=open_id), image)
        return open_id

    def _maintain(self) -> None:
        """Index the scenes that are complete once they are many, and remove old ones."""
        is_much = len(self._unindexed) >= INDEX_SCENES
        if is_much:
            self._retry_while_locked(self._index)
        is_due = time.monotonic() >= self._prune_due
        if is_due:
            self._prune_due = time.monotonic() + PRUNE_SECONDS
        if is_due or is_much:  # Scenes that come fast fill the file before they are old.
            days = self._days if is_due else 0
            self._retry_while_locked(lambda: self._store.prune(days, self._megabytes))

    def _index(self) -> None:
        with self._store.transaction():
            self._store.index(self._unindexed)
            self._note_written()
        self._unindexed = []

    def _finish(self) -> None:
        """Index the last scenes, and copy the log into the file, so that this counts too."""
        self._retry_while_locked(self._index)
        self._store.copy_log()
        with self._store.transaction():
            self._note_written()

    def _note_written(self) -> None:
        written = bytes_written()
        if written is not None:
            self._store.note_written(written - self._written)
            self._written = written

    def _retry_while_locked(self, write: Callable[[], object]) -> None:
        """Write, and again for as long as another process holds the history."""
        while True:
            try:
                write()
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                    raise
                logger.warning("history: %s is in use by another process", self._path)


def make_scene_image(
    recognized: RecognizedFrame, images: str, sketcher: Sketcher | None
) -> SceneImage:
    """Return what is remembered of a frame's image.

    Args:
        recognized: The frame.
        images: "full", "blurred" or "none".
        sketcher: Of the bundle that recognised it; None: that is not known.
    """
    encoded = recognized.recognition.encoded
    thumbnail = make_thumbnail(recognized, images)
    if encoded is None:
        return SceneImage(thumbnail=thumbnail)
    features = encoded.features[0]
    sketch = sketcher.sketch(features) if sketcher else None
    return SceneImage(quantize(features), thumbnail, sketch)


def make_thumbnail(recognized: RecognizedFrame, images: str) -> bytes | None:
    """Return the JPEG that is remembered of a frame; None for images = "none"."""
    if images == "none":
        return None
    side = THUMBNAIL_SIDE if images == "full" else BLURRED_SIDE
    small = shrink_to_fit(recognized.image, side)
    return encode_image(small, ".jpg", THUMBNAIL_QUALITY)


def bytes_written() -> int | None:
    """Return how many bytes this thread has sent to disks; None where Linux does not tell."""
    try:
        text = Path("/proc/thread-self/io").read_text()
    except OSError:
        return None
    fields = dict(line.split(": ") for line in text.splitlines())
    return int(fields["write_bytes"]) - int(fields["cancelled_write_bytes"])
