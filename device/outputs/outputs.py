"""The outputs of the live loop, by name.

A new output is a module with a class that is a Sink, SETTINGS and `open_output`, and a line in
OUTPUTS. Such a module imports what is heavy, or may be missing, only when it opens the output.
"""

from collections.abc import Mapping
from typing import Protocol

from ..config.settings import Config
from . import jsonl, terminal, video, window
from .events import output as events
from .history import output as history
from .mqtt import output as mqtt
from .sink import OutputContext, Sink
from .web import output as web


class OutputModule(Protocol):
    """A module of OUTPUTS."""

    @property
    def SETTINGS(self) -> tuple[str, ...]:
        """The names of the settings that the output is made of: a change of one reopens it."""

    def open_output(self, config: Config, context: OutputContext) -> Sink | None:
        """Return the output; None if the settings ask for none.

        Raises:
            PicaptionError: The output cannot be opened.
        """


#: In the order in which they take a frame.
OUTPUTS: Mapping[str, OutputModule] = {
    "json": jsonl,
    "video": video,
    "web": web,
    "mqtt": mqtt,
    "events": events,
    "history": history,
    "window": window,
    "terminal": terminal,
}
