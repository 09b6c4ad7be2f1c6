"""The live loop: the newest frame, recognised, to every sink, until it is stopped."""

import signal
import threading
import time
from collections import deque
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np

#: How often, in seconds, a loop that waits for a frame looks whether it is to stop.
STEP = 0.1
#: The summary's latencies are those of at most this many last frames.
REMEMBERED = 10_000


@dataclass(frozen=True)
class Frame:
    """A picture with its number and when it was taken: seconds since the epoch, and on the monotonic clock."""

    image: np.ndarray
    number: int
    captured_at: float
    clock: float


@dataclass(frozen=True)
class Summary:
    """What a live run did: frames recognised, seconds, and milliseconds from a frame's capture to its result."""

    frames: int
    seconds: float
    latencies: tuple[float, ...]

    def __str__(self):
        if not self.frames:
            return "no frame was recognised"
        middle, tail = np.percentile(self.latencies, (50, 90))
        rate = self.frames / self.seconds
        return (f"{self.frames} frames in {self.seconds:.1f} s: {rate:.1f} fps, "
                f"latency {middle:.0f} ms (90th percentile {tail:.0f} ms)")


class NoFrameYet(Exception):
    """The source goes on, but has no new frame."""


class InTurn:
    """Frames of a source that waits: each one, when it is asked for."""

    def __init__(self, source):
        self._source, self._number = source, 0

    def next(self, timeout):
        """Return the next Frame at once, or None at the end."""
        image = self._source.read()
        if image is None:
            return None
        self._number += 1
        return Frame(image, self._number - 1, time.time(), time.monotonic())

    def close(self):
        """Close the source."""
        self._source.close()


class Newest:
    """Frames of a source that does not wait: a thread reads it and keeps the newest only.

    Frames that nobody took are counted in their numbers, and their memory is read into again: three
    pictures go round, one being filled, one waiting and one in use.
    """

    def __init__(self, source):
        self._source, self._changed = source, threading.Condition()
        self._frame, self._spare, self._used, self._error, self._stopped = None, None, None, None, False
        self._thread = threading.Thread(target=self._capture, name="capture", daemon=True)
        self._thread.start()

    def _capture(self):
        number = 0
        try:
            while not self._stopped:
                with self._changed:
                    spare, self._spare = self._spare, None
                image = self._source.read(spare)
                if image is None:
                    break
                frame = Frame(image, number, time.time(), time.monotonic())
                number += 1
                with self._changed:
                    if self._frame is not None:
                        self._spare = self._frame.image
                    self._frame = frame
                    self._changed.notify()
        except BaseException as error:  # it belongs to the main thread, which raises it
            self._error = error
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def next(self, timeout):
        """Return the newest Frame, which is valid until the next call, or None at the end.

        Raises NoFrameYet where none comes for `timeout` seconds, and what the source's reading raised.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._stopped, timeout)
            if self._frame is None:
                if self._error is not None:
                    raise self._error
                if self._stopped:
                    return None
                raise NoFrameYet
            if self._used is not None:
                self._spare = self._used.image
            self._used, self._frame = self._frame, None
            return self._used

    def close(self):
        """Stop the thread and close the source."""
        self._stopped = True
        self._thread.join(timeout=2)
        # A source that hangs in read() cannot be closed under its feet; the process' end will do it.
        if not self._thread.is_alive():
            self._source.close()


def run(source, recognizer, sinks, frames=None, seconds=None, max_fps=None):
    """Recognise the source's frames and write them to `sinks`; return the Summary.

    Between the beginnings of two frames lies at least 1 / max_fps seconds; a live source goes on meanwhile, and what is
    recognised then is its newest frame. Ends with the source, after `frames` frames or `seconds` seconds, or at SIGINT or
    SIGTERM; source and sinks are closed however it ends. Raises what source, recognizer or sinks raise.
    """
    count, latencies = 0, deque(maxlen=REMEMBERED)
    with stopping() as stopped, ExitStack() as stack:
        for sink in sinks:
            stack.callback(sink.close)
        reader = (Newest if source.live else InTurn)(source)
        stack.callback(reader.close)
        start = due = time.monotonic()
        while not stopped.is_set() and (frames is None or count < frames):
            if seconds is not None and time.monotonic() - start >= seconds:
                break
            if (early := due - time.monotonic()) > 0:
                stopped.wait(min(early, STEP))
                continue
            try:
                frame = reader.next(STEP)
            except NoFrameYet:
                continue
            if frame is None:
                break
            due = time.monotonic() + (1 / max_fps if max_fps else 0)
            recognition = recognizer(frame.image, frame.number, frame.captured_at)
            latencies.append((time.monotonic() - frame.clock) * 1e3)
            count += 1
            for sink in sinks:
                sink.write(frame.image, recognition)
        elapsed = time.monotonic() - start
    return Summary(count, elapsed, tuple(latencies))


@contextmanager
def stopping():
    """Give an event that SIGINT (ctrl-C) and SIGTERM set, instead of ending the process."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # only the main thread may handle signals
        yield event
        return
    previous = {number: signal.signal(number, lambda *_: event.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
