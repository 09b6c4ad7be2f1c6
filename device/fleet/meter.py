"""Counts what the live loop's frames say, for the next status of this device."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..log import one_line
from ..outputs.sink import RecognizedFrame
from .status import MAX_TEXT


@dataclass(frozen=True)
class Measured:
    """What the frames since the last reading were like; None: there were too few.

    Attributes:
        fps: Frames a second.
        age_ms: Milliseconds from a frame's capture to its result, on average.
        silent_s: Seconds since the last result.
        unsure: The share of frames without a certain class.
    """

    fps: float | None
    age_ms: float | None
    silent_s: float | None
    unsure: float | None


class FrameMeter:
    """Counts frames in the loop's thread; another thread reads.

    Args:
        clock: Returns seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._newest_at: float | None = None
        self._frames = 0
        self._classified = 0
        self._unsure = 0
        self._age_ms = 0.0

    def add(self, recognized: RecognizedFrame) -> None:
        """Count a frame."""
        recognition = recognized.recognition
        timings = recognition.timings
        now = self._clock()
        with self._lock:
            self._newest_at = now
            self._frames += 1
            self._age_ms += timings.get("queue", 0.0) + timings.get("total", 0.0)
            # In a frame in which there is nothing to see, nothing can be certain.
            if recognition.silence is None and recognition.classes:
                self._classified += 1
                self._unsure += bool(recognition.unsure)

    def read(self) -> Measured:
        """Return what was measured since the last call, and start over."""
        now = self._clock()
        with self._lock:
            seconds = now - self._since
            fps = round(self._frames / seconds, 2) if seconds > 0 else None
            age_ms = round(self._age_ms / self._frames, 1) if self._frames else None
            unsure = round(self._unsure / self._classified, 3) if self._classified else None
            silent = None if self._newest_at is None else round(now - self._newest_at, 1)
            self._since = now
            self._frames = 0
            self._classified = 0
            self._unsure = 0
            self._age_ms = 0.0
        return Measured(fps, age_ms, silent, unsure)


class LastError(logging.Handler):
    """Remembers the last error that was logged, as one line without secrets.

    Attributes:
        line: The line; empty: there was none.
    """

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.line = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        self.line = one_line(record.getMessage())[:MAX_TEXT]
