"""One line on the terminal: caption, best class and figures."""

import shutil
import sys
import time
from typing import TextIO

from ..config.settings import Config
from ..log import printable
from ..recognition.result import Recognition
from .sink import OutputContext, RecognizedFrame, Sink

SETTINGS = ("quiet", "json")

#: Clears the rest of a terminal's line.
CLEAR_LINE = "\x1b[K"
#: The weight of the last interval in the moving average of intervals between frames.
LAST_INTERVAL_WEIGHT = 0.1


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return a Terminal, unless the run is quiet or standard output belongs to JSON lines."""
    if config.quiet or config.json == "-":
        return None
    return Terminal()


class Terminal:
    """One line, rewritten in place on a terminal; elsewhere a new line when something changes.

    What counts as a change is another caption or another best class. Of several cameras, there is a
    new line everywhere when something changes before one, and it begins with that one's name.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._in_place = self._stream.isatty()
        self._shown: dict[str | None, tuple[str | None, str | None]] = {}
        self._written_at: dict[str | None, float] = {}
        self._interval: dict[str | None, float] = {}

    def write(self, recognized: RecognizedFrame) -> None:
        """Show caption, best class, frames per second and milliseconds a frame."""
        recognition = recognized.recognition
        camera = recognition.camera_name
        self._measure(camera, time.monotonic())
        interval = self._interval.get(camera)
        best = recognition.substitute_name or next(iter(recognition.classes), None)
        shown = (recognition.shown_text, best.name if best else None)
        if camera is not None:
            if shown != self._shown.get(camera):
                line = f"{printable(camera)}: {summary_line(recognition, interval)}"
                print(line, file=self._stream, flush=True)
        elif self._in_place:
            width = shutil.get_terminal_size().columns - 1
            line = summary_line(recognition, interval, width)
            print(f"\r{line}{CLEAR_LINE}", end="", file=self._stream, flush=True)
        elif shown != self._shown.get(None):
            print(summary_line(recognition, interval), file=self._stream, flush=True)
        self._shown[camera] = shown

    def _measure(self, camera: str | None, now: float) -> None:
        """Update the mean interval between frames of a camera."""
        if camera in self._written_at:
            last = now - self._written_at[camera]
            mean = self._interval.get(camera, last)
            self._interval[camera] = mean + LAST_INTERVAL_WEIGHT * (last - mean)
        self._written_at[camera] = now

    def close(self) -> None:
        """Leave the line standing."""
        if self._in_place and None in self._shown:
            print(file=self._stream, flush=True)


def summary_line(
    recognition: Recognition, interval: float | None = None, width: int | None = None
) -> str:
    """Return caption, best class and figures as one line; the caption is cut first.

    In the caption's place stands why there is none, if there is nothing to see.

    Args:
        recognition: What to show.
        interval: Seconds from one frame to the next; None: unknown.
        width: The most characters; None: any number.
    """
    parts = []
    name = recognition.substitute_name
    if name:
        parts.append(f"{name.name} {name.score:.2f}")
    elif recognition.classes:
        best = recognition.classes[0]
        doubt = "?" if recognition.unsure else ""
        parts.append(f"{best.name}{doubt} {best.score:.2f}")
    if interval:
        parts.append(f"{1 / interval:.1f} fps")
    parts.append(f"{recognition.timings['total']:.0f} ms")
    figures = printable(" | ".join(parts))
    caption = recognition.shown_text
    if caption is None:
        return figures[:width]
    caption = printable(caption)
    if width is not None:
        room = max(0, width - len(figures) - 3)
        if len(caption) > room:
            caption = caption[: max(0, room - 3)] + "..."
    return f"{caption} | {figures}"[:width]
