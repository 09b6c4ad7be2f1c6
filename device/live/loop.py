"""The live loop: the newest frame, recognised, to every sink, until it is stopped."""

import logging
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from ..outputs.sink import RecognizedFrame
from ..sources.capture import NoFrameYet

log = logging.getLogger("picaption")

#: How often, in seconds, a loop that waits for a frame looks whether there is something else to do.
STEP = 0.1
#: The summary's latencies are those of at most this many last frames.
REMEMBERED = 10_000
#: Saving power, a scene that has not changed for CALM seconds is looked at once in IDLE seconds.
CALM, IDLE = 10.0, 1.0


@dataclass(frozen=True)
class Summary:
    """What a live run did: frames recognised, seconds, milliseconds from each frame's capture to its result, and those of its
    stages, by name, as many.
    """

    frames: int
    seconds: float
    latencies: tuple[float, ...]
    stages: dict[str, tuple[float, ...]]

    def __str__(self):
        if not self.frames:
            return "no frame was recognised"
        middle, tail = np.percentile(self.latencies, (50, 90))
        rate = self.frames / self.seconds
        stages = ", ".join(f"{name} {np.median(spent):.1f}" for name, spent in self.stages.items())
        return (
            f"{self.frames} frames in {self.seconds:.1f} s: {rate:.1f} fps, "
            f"latency {middle:.0f} ms (90th percentile {tail:.0f} ms): {stages}"
        )


def run(parts, frames=None, seconds=None, reload=None, turn=lambda: None):
    """Recognise the frames of `parts.reader` and write them to `parts.sinks`; return the Summary.

    parts: an object with `reader` (see picaption.device.sources.capture), `recognize(image, number, captured_at) -> Recognition`, `sinks`, a
    dict, `max_fps` (0: no limit) and `power_save`, all of which `reload()`, called between two frames after SIGHUP, may change.
    `turn()` is called all the time, at least every few STEPs.

    Between the beginnings of two frames lies at least 1 / max_fps seconds; a live source goes on meanwhile, and what is
    recognised then is its newest frame. A Recognition's `timings` get what a frame `waited` for the loop, and `outputs`, the time
    that the sinks took for the frame before. Ends with the source, after `frames` frames or `seconds` seconds, or at SIGINT or
    SIGTERM; raises what reader, recognize or sinks raise. Closing the parts is the caller's.
    """
    pace, outputs, count, records = Pace(), 0.0, 0, Records()
    with signals() as (stopped, hung_up):
        start = time.monotonic()
        while not stopped.is_set() and (not frames or count < frames):
            turn()
            if hung_up.is_set():
                hung_up.clear()
                if reload:
                    reload()
            if seconds and time.monotonic() - start >= seconds:
                break
            if (early := pace.due - time.monotonic()) > 0:
                stopped.wait(min(early, STEP))
                continue
            try:
                frame = parts.reader.next(STEP)
            except NoFrameYet:
                continue
            if frame is None:
                break
            taken = time.monotonic()
            recognition = parts.recognize(frame.image, frame.number, frame.captured_at)
            told = time.monotonic()
            timings = (
                {"waited": (taken - frame.clock) * 1e3} | recognition.timings | {"outputs": outputs}
            )
            recognition = replace(
                recognition, timings=timings, camera=frame.camera and plain(frame.camera)
            )
            records.add((told - frame.clock) * 1e3, timings)
            count += 1
            recognized = RecognizedFrame(frame.image, recognition)
            for sink in parts.sinks.values():
                sink.write(recognized)
            outputs = (time.monotonic() - told) * 1e3
            pace.next(taken, recognition.scene, parts.max_fps, parts.power_save)
        elapsed = time.monotonic() - start
    return records.summary(count, elapsed)


class Records:
    """The latencies of the last REMEMBERED frames, and the times of their stages, as one table: it never grows."""

    def __init__(self):
        self._names, self._rows, self._count = (), None, 0

    def add(self, latency, timings):
        """Note a frame's latency and its stages' milliseconds."""
        if self._rows is None:
            self._names = tuple(timings)
            self._rows = np.zeros((REMEMBERED, 1 + len(timings)), np.float32)
        self._rows[self._count % REMEMBERED] = (latency, *timings.values())
        self._count += 1

    def summary(self, frames, seconds):
        """Return the Summary of a run of so many frames."""
        if self._rows is None:
            return Summary(frames, seconds, (), {})
        columns = self._rows[: self._count].T.tolist()
        stages = {
            name: tuple(column) for name, column in zip(self._names, columns[1:]) if name != "total"
        }
        return Summary(frames, seconds, tuple(columns[0]), stages)


class Pace:
    """When the next frame is due, on the monotonic clock."""

    def __init__(self):
        self.due, self._scene, self._changed_at = 0.0, None, 0.0

    def next(self, taken, scene, max_fps, power_save):
        """Set when the frame after the one that was taken at `taken`, and showed that scene, is `due`."""
        if scene != self._scene:
            self._scene, self._changed_at = scene, taken
        interval = 1 / max_fps if max_fps else 0.0
        if power_save and taken - self._changed_at >= CALM:
            interval = max(interval, IDLE)
        self.due = taken + interval


def plain(metadata):
    """Return what a camera says of a frame without what JSON has no form for."""
    return {
        name: value
        for name, value in metadata.items()
        if isinstance(value, (int, float, str, tuple, list))
    }


@contextmanager
def signals():
    """Give two events: one that SIGINT (ctrl-C) and SIGTERM set, instead of ending the process, and one for SIGHUP."""
    stopped, hung_up = threading.Event(), threading.Event()
    if (
        threading.current_thread() is not threading.main_thread()
    ):  # only the main thread may handle signals
        yield stopped, hung_up
        return
    events = {signal.SIGINT: stopped, signal.SIGTERM: stopped, signal.SIGHUP: hung_up}
    previous = {
        number: signal.signal(number, lambda number, _: events[number].set()) for number in events
    }
    try:
        yield stopped, hung_up
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
