"""Several cameras in turn: the newest frame of each, and none waits for another."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from ..errors import CameraError
from .capture import CLOSE_SECONDS, ReconnectingReader
from .source import Frame, NoFrameYet, Source

#: How often it is looked whether a camera that failed is to be opened.
LOOK_SECONDS = 0.1
#: One camera that fails is tried for ever.
UNLIMITED = 2**63


class RoundRobinReader:
    """The newest frames of several cameras: the one whose turn it is, or the next that has one.

    After its frame, a camera is the last in line. So every camera with new frames gets its share,
    and one without costs the others nothing.

    Args:
        cameras: By the cameras' names, each open, or the error that opening it raised, or a
            function that opens it, which is called in a thread of its own.
        reopen: By the cameras' names, what opens each when it has failed.
        stall: By the cameras' names, seconds without a frame after which each has failed.
        retries: The run ends once all cameras have failed so often in a row.

    Attributes:
        readers: The reader of each camera, by name.
        problem: Why no camera gives frames; None: one does.
        failures: How often a camera has failed so far.
    """

    def __init__(
        self,
        cameras: Mapping[str, Source | CameraError | Callable[[], Source]],
        reopen: Mapping[str, Callable[[], Source]],
        stall: Mapping[str, float],
        retries: int = 8,
    ) -> None:
        self._changed = threading.Condition()
        self._retries = max(1, retries)
        self.readers = {
            name: ReconnectingReader(
                camera,
                reopen[name],
                stall[name],
                UNLIMITED,
                changed=self._changed,
                failed_close=0.0,
                label=f"camera {name!r}: ",
            )
            for name, camera in cameras.items()
        }
        self._line = list(self.readers)

    @property
    def problem(self) -> str | None:
        """Why no camera gives frames; None: one does."""
        problems = [self.readers[name].problem for name in self._line]
        return problems[0] if problems and all(problems) else None

    @property
    def failures(self) -> int:
        """How often a camera has failed so far."""
        return sum(reader.failures for reader in self.readers.values())

    def next(self, timeout: float) -> Frame | None:
        """Return the next camera's newest Frame, with its name, or None at the end of all.

        It is valid until the next call for that camera.

        Raises:
            NoFrameYet: None came for `timeout` seconds.
            CameraError: All cameras are given up.
        """
        end = time.monotonic() + timeout
        while True:
            frame = self._next_in_line()
            if frame is not None:
                return frame
            if not self._line:
                return None
            left = end - time.monotonic()
            if left <= 0:
                raise NoFrameYet
            with self._changed:
                self._changed.wait_for(self._has_news, min(left, LOOK_SECONDS))

    def _has_news(self) -> bool:
        return any(self.readers[name].has_news for name in self._line)

    def _next_in_line(self) -> Frame | None:
        """Return the frame of the first in line that has one; None: none has.

        Raises:
            CameraError: All cameras are given up.
        """
        for name in tuple(self._line):
            try:
                frame = self.readers[name].next(0)
            except NoFrameYet:
                continue
            self._line.remove(name)
            if frame is not None:
                self._line.append(name)
                return replace(frame, camera_name=name)
            # The end of a video file: the others go on.
        self._give_up_if_all_failed()
        return None

    def _give_up_if_all_failed(self) -> None:
        readers = [self.readers[name] for name in self._line]
        if readers and all(reader.failures_in_row >= self._retries for reader in readers):
            raise CameraError(
                f"camera {self._line[0]!r}: {readers[0].problem}; no camera gives frames; "
                f"given up after {self._retries} failures of each in a row"
            )

    def close(self) -> None:
        """Close all cameras; those that hang are left alone after a moment."""
        for reader in self.readers.values():
            reader.stop()
        end = time.monotonic() + CLOSE_SECONDS
        for reader in self.readers.values():
            reader.close(max(0.0, end - time.monotonic()))
