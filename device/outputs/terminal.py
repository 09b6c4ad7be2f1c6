"""Where recognitions go: the terminal, JSON lines, an annotated video file, a window.

A sink takes `write(frame, recognition)`, the frame being uint8 RGB [height, width, 3], and `close()`, which
finishes what it wrote. A frame is the sink's to read only until `write` returns.
"""

import logging
import shutil
import sys
import time

log = logging.getLogger("picaption")


class Terminal:
    """One line, rewritten in place on a terminal; elsewhere a new line when caption or best class change."""

    def __init__(self, stream=None):
        self._stream = stream or sys.stdout
        self._in_place = self._stream.isatty()
        self._said, self._last, self._interval = None, None, None

    def write(self, recognized):
        """Show caption, best class, frames per second and milliseconds a frame."""
        recognition = recognized.recognition
        now = time.monotonic()
        if self._last is not None:
            interval = now - self._last
            self._interval = (
                interval if self._interval is None else 0.9 * self._interval + 0.1 * interval
            )
        self._last = now
        said = (
            recognition.caption and recognition.caption.text,
            recognition.classes and recognition.classes[0].name,
        )
        if self._in_place:
            line = summary_line(recognition, self._interval, shutil.get_terminal_size().columns - 1)
            print(f"\r{line}\x1b[K", end="", file=self._stream, flush=True)
        elif said != self._said:
            print(summary_line(recognition, self._interval), file=self._stream, flush=True)
        self._said = said

    def close(self):
        """Leave the line standing."""
        if self._in_place and self._said is not None:
            print(file=self._stream, flush=True)


def summary_line(recognition, interval=None, width=None):
    """Return one line of at most `width` characters: caption, best class and figures; the caption gives way first."""
    parts = []
    if recognition.classes:
        best = recognition.classes[0]
        parts.append(f"{best.name}{'?' * recognition.unsure} {best.score:.2f}")
    if interval:
        parts.append(f"{1 / interval:.1f} fps")
    parts.append(f"{recognition.timings['total']:.0f} ms")
    figures = " | ".join(parts)
    if not recognition.caption:
        return figures[:width]
    caption, room = (
        recognition.caption.text,
        None if width is None else max(0, width - len(figures) - 3),
    )
    if room is not None and len(caption) > room:
        caption = caption[: max(0, room - 3)] + "..."
    return f"{caption} | {figures}"[:width]
