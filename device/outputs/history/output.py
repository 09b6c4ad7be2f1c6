"""Opens the history, if its file is set."""

import logging
import sqlite3

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
        self._collector = SceneCollector(retain_images, self._find_origin)

    def write(self, recognized: RecognizedFrame) -> None:
        """Note what the frame shows, and have scenes written that are complete."""
        if not self._writer.is_running:
            return
        control = self._context.control
        # Every bundle that is opened has words of its own.
        bundle = control.state.words if control else None
        for request in self._collector.add(recognized, bundle):
            self._writer.put(request)

    def close(self) -> None:
        """Have the last scene written, and close the history."""
        scene = self._collector.finish()
        if scene is not None and self._writer.is_running:
            self._writer.put(WriteRequest(scene, True))
        self._writer.close()

    def _find_origin(self) -> Origin:
        status = self._context.source_status
        control = self._context.control
        return Origin(status().name if status else "", control.state.path if control else "")
