"""Readers: every frame of a source, or the newest frame of a camera that may fail and come back."""

import logging
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import numpy as np

from ..errors import CameraError
from ..log import one_line
from .source import Frame, NoFrameYet, Reader, Source

logger = logging.getLogger(__name__)

#: A camera that is being opened may take so much longer than one that runs.
OPENING_SECONDS = 10.0
#: The pause before a camera that failed is opened again; every further one is twice the last.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
MAX_DOUBLINGS = 60
#: How long `close` waits for a thread that reads, and for one whose camera has already failed.
CLOSE_SECONDS = 2.0
FAILED_CLOSE_SECONDS = 0.1


#: Returns an image as the model takes it; the dict keeps memory for the next call.
Prepare = Callable[[np.ndarray, dict[str, np.ndarray]], np.ndarray]


class _Slot:
    """A frame that a thread has read, or the error that it met, and the memory to read into."""

    def __init__(self) -> None:
        self.image: np.ndarray | None = None
        self.camera: dict[str, Any] | None = None
        self.file: str | None = None
        self.error: BaseException | None = None
        self.prepare: Prepare | None = None
        self.prepared: np.ndarray | None = None
        self.buffers: dict[str, np.ndarray] = {}

    def fill(self, source: Source, prepare: Prepare | None) -> None:
        """Read the next frame of a source and prepare it."""
        # Images of a folder differ in size: their memory is better freed than kept to write over.
        into = None if source.stills else self.image
        self.image = self.prepared = None
        try:
            self.image = source.read(into)
            self.camera = source.metadata
            self.file = getattr(source, "file", None)
            self.prepare = prepare
            if self.image is not None and prepare is not None:
                self.prepared = prepare(self.image, self.buffers)
        except BaseException as error:  # it belongs to the main thread, which raises it
            self.error = error


class SequentialReader:
    """Every frame of a source that waits for its reader.

    While a frame is in use, a thread reads the next one and prepares it for the model. A camera's
    frames are not prepared ahead (LatestFrameReader): most of them might never be taken.

    Args:
        source: The source; the thread closes it.

    Attributes:
        prepare: Prepares images for the model; None: they are not prepared.
        problem: None: what is wrong with such a source ends the run.
        failures: None of them: the first one ends it.
    """

    problem = None
    failures = 0

    def __init__(self, source: Source) -> None:
        self.prepare: Prepare | None = None
        self._source = source
        self._next_number = 0
        self._seconds: float | None = None
        self._used = _Slot()
        self._requests: SimpleQueue[_Slot | None] = SimpleQueue()
        self._filled: SimpleQueue[_Slot] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def _run(self) -> None:
        try:
            while (slot := self._requests.get()) is not None:
                slot.fill(self._source, self.prepare)
                self._filled.put(slot)
        finally:
            self._source.close()

    def next(self, timeout: float) -> Frame | None:
        """Return the next Frame, however long it takes, or None at the end.

        It is valid until the next call.

        Raises:
            Exception: Whatever reading the source raised.
        """
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="read", daemon=True)
            self._thread.start()
            self._requests.put(_Slot())
        slot = self._filled.get()
        if slot.image is None:
            self._filled.put(slot)  # The end lasts.
            if slot.error is not None:
                raise slot.error
            return None
        self._requests.put(self._used)
        self._used = slot
        self._next_number += 1
        number = self._next_number - 1
        if self._source.rate:
            self._seconds = number / self._source.rate
        return Frame(
            slot.image,
            number,
            time.time(),
            time.monotonic(),
            slot.camera,
            slot.prepared if slot.prepare == self.prepare else None,
            slot.file,
            self._seconds,
            self._source.stills,
        )

    def clock(self) -> float:
        """Return the seconds of the frame in use: results depend on no computer's speed."""
        return time.monotonic() if self._seconds is None else self._seconds

    def close(self) -> None:
        """Close the source; a thread that hangs in read() is left alone after a moment."""
        if self._thread is None:
            self._source.close()
            return
        self._requests.put(None)
        self._thread.join(CLOSE_SECONDS)


class LatestFrameReader:
    """The newest frame of a source that does not wait: a thread opens, reads and closes it.

    Frames that nobody took are counted in their numbers, and their memory is read into again:
    three images go round, one being filled, one waiting and one in use.

    Args:
        open_source: Returns the source; it is called in the thread.
        first_number: The number of the first frame.
        changed: Is notified of every frame and of the end; None: a condition of its own.

    Attributes:
        next_number: The number of the next frame that the source delivers.
        problem: None: what is wrong is raised, once.
        failures: None of them: the first one is raised.
    """

    problem = None
    failures = 0

    def __init__(
        self,
        open_source: Callable[[], Source],
        first_number: int = 0,
        changed: threading.Condition | None = None,
    ) -> None:
        self.next_number = first_number
        self._open_source = open_source
        self._changed = changed or threading.Condition()
        self._frame: Frame | None = None
        self._spare: np.ndarray | None = None
        self._used: Frame | None = None
        self._error: BaseException | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            source = self._open_source()
            try:
                self._capture(source)
            finally:
                source.close()
        except BaseException as error:  # it belongs to the main thread, which raises it
            self._error = error
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _capture(self, source: Source) -> None:
        while not self._stopped:
            with self._changed:
                spare = self._spare
                self._spare = None
            image = source.read(spare)
            if image is None:
                break
            frame = Frame(image, self.next_number, time.time(), time.monotonic(), source.metadata)
            self.next_number += 1
            with self._changed:
                if self._frame is not None:
                    self._spare = self._frame.image
                self._frame = frame
                self._changed.notify()

    def next(self, timeout: float) -> Frame | None:
        """Return the newest Frame, which is valid until the next call, or None at the end.

        Raises:
            NoFrameYet: None came for `timeout` seconds.
            Exception: Whatever opening and reading the source raised.
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
            self._used = self._frame
            self._frame = None
            return self._used

    @property
    def has_news(self) -> bool:
        """Whether `next` has something to say at once."""
        return self._frame is not None or self._stopped

    def stop(self) -> None:
        """Have the thread end after the frame that it reads."""
        self._stopped = True

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Stop the thread, which closes the source.

        A thread that hangs in read() is left alone after `timeout` seconds; it still closes its
        source if it ever comes back.
        """
        self.stop()
        self._thread.join(timeout)


class ReconnectingReader:
    """The newest frames of a camera that may fail: it is then opened again, after a pause.

    Args:
        source: The camera, open; or the error that opening it raised, which is its first failure;
            or what opens it, which is called in a thread.
        reopen: Opens it again.
        stall: A camera without a frame for so many seconds has failed.
        retries: A camera that fails so often without a frame in between is given up, at the first
            failure with 0 too.
        first_pause: Seconds before it is opened again; every further pause is twice the last.
        longest_pause: Seconds of a pause at most.
        opening: Seconds that the first frame may take beyond `stall`.
        failed_close: How long a camera that failed is waited for until it is left alone.
        changed: Is notified when there is a frame, or an end; None: nobody wants to know.
        label: What stands before a line of the log that the camera has failed.

    Attributes:
        problem: Why the camera failed last, until it gives a frame again.
        failures: How often it has failed so far.
        failures_in_row: How often since its last frame.

    Raises:
        CameraError: The camera did not open, and is given up after that.
    """

    def __init__(
        self,
        source: Source | CameraError | Callable[[], Source],
        reopen: Callable[[], Source],
        stall: float = 5.0,
        retries: int = 8,
        *,
        first_pause: float = FIRST_PAUSE_SECONDS,
        longest_pause: float = LONGEST_PAUSE_SECONDS,
        opening: float = OPENING_SECONDS,
        failed_close: float = FAILED_CLOSE_SECONDS,
        changed: threading.Condition | None = None,
        label: str = "",
    ) -> None:
        self.problem: str | None = None
        self.failures = 0
        self._reopen = reopen
        self._stall = stall
        self._retries = retries
        self._first_pause = first_pause
        self._longest_pause = longest_pause
        self._opening = opening
        self._failed_close = failed_close
        self._changed = changed
        self._label = label
        self.failures_in_row = 0
        self._next_number = 0
        self._reopen_at = 0.0
        self._reader: LatestFrameReader | None = None
        if isinstance(source, CameraError):
            self._fail(None, source)
        elif callable(source):
            self._start(source)
        else:
            self._start(lambda: source)

    def _start(self, open_source: Callable[[], Source]) -> LatestFrameReader:
        self._reader = LatestFrameReader(open_source, self._next_number, self._changed)
        self._frame_due = time.monotonic() + self._stall + self._opening
        return self._reader

    @property
    def has_news(self) -> bool:
        """Whether `next` has something to say at once."""
        return self._reader is not None and self._reader.has_news

    def stop(self) -> None:
        """Have the thread end after the frame that it reads; `close` is to follow."""
        if self._reader is not None:
            self._reader.stop()

    def next(self, timeout: float) -> Frame | None:
        """Return the newest Frame, which is valid until the next call, or None at the end.

        Raises:
            NoFrameYet: None came for `timeout` seconds.
            CameraError: The camera is given up.
        """
        reader = self._reader
        if reader is None:
            time.sleep(max(0.0, min(timeout, self._reopen_at - time.monotonic())))
            if time.monotonic() < self._reopen_at:
                raise NoFrameYet
            reader = self._start(self._reopen)
        try:
            frame = reader.next(timeout)
        except NoFrameYet:
            if time.monotonic() < self._frame_due:
                raise
            self._fail(
                reader,
                CameraError(
                    f"the camera gives no frame for {self._stall:g} s; "
                    "check its cable and its power"
                ),
            )
        except CameraError as error:
            self._fail(reader, error)
        else:
            self.failures_in_row = 0
            self.problem = None
            self._frame_due = time.monotonic() + self._stall
            return frame
        raise NoFrameYet

    def _fail(self, reader: LatestFrameReader | None, error: CameraError) -> None:
        """Close the camera and set when to open it again; raises CameraError instead at the end."""
        self.failures_in_row += 1
        self.failures += 1
        if reader is not None:
            reader.close(self._failed_close)
            self._next_number = reader.next_number
        if self.failures_in_row >= self._retries:
            times = "failure" if self.failures_in_row == 1 else "failures in a row"
            raise CameraError(f"{error}; given up after {self.failures_in_row} {times}") from None
        # A camera may be gone for years: the power has a bound, as a float has.
        doublings = min(self.failures_in_row - 1, MAX_DOUBLINGS)
        pause = min(self._longest_pause, self._first_pause * 2.0**doublings)
        logger.warning("%s; tried again in %g s", f"{self._label}{error}", pause)
        self.problem = one_line(str(error))
        self._reopen_at = time.monotonic() + pause
        self._reader = None

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Close the camera; one that hangs is left alone after `timeout` seconds."""
        if self._reader is not None:
            self._reader.close(timeout)


def open_reader(source: Source, reopen: Callable[[], Source], stall: float, retries: int) -> Reader:
    """Return a reader for the source: its newest frames if it is live, every one if it waits."""
    if source.live:
        return ReconnectingReader(source, reopen, stall, retries)
    return SequentialReader(source)
