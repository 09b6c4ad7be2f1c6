"""From a source to frames: each one in turn, or the newest, of a camera that may fail and come back."""

import logging
import threading
import time
from dataclasses import dataclass

import numpy as np

from ..errors import CameraError

log = logging.getLogger("picaption")

#: A camera that is being opened may take so many seconds longer than one that runs.
OPENING = 10.0
#: The longest pause, in seconds, before a camera that failed is opened anew; the first is a second, and each twice the last.
LONGEST_PAUSE = 30.0


@dataclass(frozen=True)
class Frame:
    """A picture with its number, when it was taken (seconds since the epoch, and on the monotonic clock), and what its camera
    says of it (None: nothing)."""

    image: np.ndarray
    number: int
    captured_at: float
    clock: float
    camera: dict | None = None


class NoFrameYet(Exception):
    """The source goes on, but has no new frame."""


class SequentialReader:
    """Frames of a source that waits: each one, when it is asked for."""

    def __init__(self, source):
        self._source, self._number, self._used = source, 0, None

    def next(self, timeout):
        """Return the next Frame at once, which is valid until the next call, or None at the end."""
        self._used = image = self._source.read(self._used)
        if image is None:
            return None
        self._number += 1
        return Frame(image, self._number - 1, time.time(), time.monotonic(), self._source.metadata)

    def close(self):
        """Close the source."""
        self._source.close()


class LatestFrameReader:
    """Frames of a source that does not wait: a thread opens it, by calling `opening`, reads it, keeps the newest frame only,
    and closes it.

    Frames that nobody took are counted in their numbers, which begin with `number`, and their memory is read into again:
    three pictures go round, one being filled, one waiting and one in use.
    """

    def __init__(self, opening, number=0):
        self.number, self._opening, self._changed = number, opening, threading.Condition()
        self._frame, self._spare, self._used, self._error, self._stopped = (
            None,
            None,
            None,
            None,
            False,
        )
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def _run(self):
        try:
            source = self._opening()
            try:
                self._capture(source)
            finally:
                source.close()
        except BaseException as error:  # it belongs to the main thread, which raises it
            self._error = error
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _capture(self, source):
        while not self._stopped:
            with self._changed:
                spare, self._spare = self._spare, None
            image = source.read(spare)
            if image is None:
                break
            frame = Frame(image, self.number, time.time(), time.monotonic(), source.metadata)
            self.number += 1
            with self._changed:
                if self._frame is not None:
                    self._spare = self._frame.image
                self._frame = frame
                self._changed.notify()

    def next(self, timeout):
        """Return the newest Frame, which is valid until the next call, or None at the end.

        Raises NoFrameYet where none comes for `timeout` seconds, and what opening and reading the source raised.
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

    def close(self, patience=2.0):
        """Stop the thread, which closes the source; one that hangs in read() is not waited for longer than that, but will
        close its source if it ever comes back."""
        self._stopped = True
        self._thread.join(patience)


class ReconnectingReader:
    """The newest frames of a camera that may fail: `source` is open, `opening` opens it anew.

    Where it fails, or gives no frame for `stall` seconds, it is opened anew after a pause; a camera that has failed more than
    `retries` times without a frame between is given up.
    """

    def __init__(self, source, opening, stall=5.0, retries=8):
        self._opening, self._stall, self._retries = opening, stall, retries
        self._failures, self._due = 0, 0.0
        self._open(lambda: source, 0)

    def _open(self, opening, number):
        self._reader = LatestFrameReader(opening, number)
        self._patient_until = time.monotonic() + self._stall + OPENING

    def next(self, timeout):
        """Return the newest Frame, which is valid until the next call, or None at the end.

        Raises NoFrameYet where none comes for `timeout` seconds, and CameraError once the camera is given up.
        """
        if self._reader is None:
            time.sleep(max(0.0, min(timeout, self._due - time.monotonic())))
            if time.monotonic() < self._due:
                raise NoFrameYet
            self._open(self._opening, self._number)
        try:
            frame = self._reader.next(timeout)
        except NoFrameYet:
            if time.monotonic() < self._patient_until:
                raise
            self._fail(
                CameraError(
                    f"the camera gives no frame for {self._stall:g} s; check its cable and its power"
                )
            )
        except CameraError as error:
            self._fail(error)
        else:
            self._failures, self._patient_until = 0, time.monotonic() + self._stall
            return frame
        raise NoFrameYet

    def _fail(self, error):
        self._failures += 1
        self.close(0.1)
        if self._failures > self._retries:
            raise CameraError(
                f"{error}; given up after {self._failures} failures in a row"
            ) from None
        pause = min(LONGEST_PAUSE, 2.0 ** (self._failures - 1))
        log.warning("%s; tried again in %g s", error, pause)
        self._due, self._number, self._reader = time.monotonic() + pause, self._reader.number, None

    def close(self, patience=2.0):
        """Close the camera; one that hangs is not waited for longer than that."""
        if self._reader is not None:
            self._reader.close(patience)
