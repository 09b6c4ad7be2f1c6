"""Opens the history, if its file is set."""

import logging
import sqlite3
from functools import partial

from ...config.settings import Config
from ...history.store import HistoryStore
from ..sink import OutputContext, RecognizedFrame, Sink
from .collector import Origin, SceneCollector, WriteRequest
from .writer import HistoryWriter

logger = logging.getLogger(__name__)

SETTINGS = ("history", "history_days", "history_megabytes", "history_images")


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return a HistoryOutput if a file is set, and not damaged."""
    if not config.history:
        return None
    try:
        store = HistoryStore(config.history)
    except sqlite3.Error as error:
        # A camera goes on without its memory: a card may be full, or worn out.
        logger.error("history: %s: %s; no scenes are remembered", config.history, error)
        return None
    writer = HistoryWriter(
        store,
        config.history,
        config.history_days,
        config.history_megabytes,
        config.history_images,
    )
    return HistoryOutput(writer, context, config.history_images != "none")


class HistoryOutput:
    """Remembers scenes.

    Args:
        writer: Writes them; it is closed with this one.
        context: What is known of the run.
        retain_images: Whether images are remembered.
    """

    def __init__(self, writer: HistoryWriter, context: OutputContext, retain_images: bool) -> None:
        self._writer = writer
        self._context = context
        self._retain_images = retain_images
        self._collectors: dict[str | None, SceneCollector] = {}

    def write(self, recognized: RecognizedFrame) -> None:
        """Note what the frame shows, and have scenes written that are complete."""
        if not self._writer.is_running:
            return
        control = self._context.control
        # Every bundle that is opened has words of its own.
        bundle = control.state.words if control else None
        for request in self._collector(recognized).add(recognized, bundle):
            self._writer.put(request)

    def _collector(self, recognized: RecognizedFrame) -> SceneCollector:
        """Return what gathers the scenes of a frame's camera."""
        name = recognized.recognition.camera_name
        if name not in self._collectors:
            origin = partial(self._find_origin, name)
            self._collectors[name] = SceneCollector(self._retain_images, origin)
        return self._collectors[name]

    def close(self) -> None:
        """Have the last scene of every camera written, and close the history."""
        for collector in self._collectors.values():
            scene = collector.finish()
            if scene is not None and self._writer.is_running:
                self._writer.put(WriteRequest(scene, True))
        self._writer.close()

    def _find_origin(self, camera_name: str | None) -> Origin:
        status = self._context.source_status
        control = self._context.control
        name = camera_name or (status().name if status else "")
        return Origin(name, control.state.path if control else "")
