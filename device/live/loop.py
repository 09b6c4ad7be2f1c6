"""The live loop: the newest frame, recognised, to every sink, until it is stopped."""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import FrameType
from typing import Any, Protocol

import numpy as np

from ..outputs.sink import RecognizedFrame, Sink
from ..recognition.result import Recognition
from ..recognition.stopwatch import Stopwatch
from ..sources.source import Frame, NoFrameYet, Reader

#: The longest that a loop which waits for a frame goes without looking for something else to do.
TICK_SECONDS = 0.1
#: The summary's latencies are those of at most this many last frames.
MAX_RECORDS = 10_000
#: Saving power, a scene that has not changed for this long is looked at rarely.
CALM_SECONDS = 10.0
#: Frames of a video that are early by this are due: their times are sums of rounded numbers.
ROUNDING_SECONDS = 1e-6
#: How often it is looked at then.
IDLE_SECONDS = 1.0


class LivePipeline(Protocol):
    """What the loop drives; picaption.device.live.pipeline.Pipeline is one.

    Attributes:
        reader: where frames come from.
        recognize: makes a Recognition of a frame's image, number, time, camera and stopwatch.
        trackers: does that for each of several cameras, by name; empty: there is one source.
        sinks: where recognised frames go, by name.
        max_fps: frames a second at most; 0: no limit.
        power_save: whether to look rarely at a scene that does not change.
    """

    @property
    def reader(self) -> Reader: ...

    @property
    def recognize(self) -> Callable[..., Recognition]: ...

    @property
    def trackers(self) -> Mapping[str, Callable[..., Recognition]]: ...

    @property
    def sinks(self) -> Mapping[Any, Sink]: ...

    @property
    def max_fps(self) -> float: ...

    @property
    def power_save(self) -> bool: ...


class LoopRequests(Protocol):
    """What outputs ask of the loop; picaption.device.live.requests.RequestHandler is one.

    Attributes:
        is_resting: whether no frame is to be recognised at the moment.
    """

    @property
    def is_resting(self) -> bool: ...

    def obey(self) -> bool:
        """Do what was asked for since the last call; return whether anything was."""

    def frame_done(self, camera_name: str | None) -> None:
        """Take note that a frame, of one of several cameras, was recognised and written."""


@dataclass(frozen=True)
class Summary:
    """What a live run did.

    Attributes:
        frames: how many were recognised.
        seconds: how long it took.
        latencies: milliseconds from each frame's capture to its result.
        stages: milliseconds of its stages, by name, as many.
    """

    frames: int
    seconds: float
    latencies: tuple[float, ...]
    stages: dict[str, tuple[float, ...]]

    def __str__(self) -> str:
        if not self.frames:
            return "no frame was recognised"
        median, tail = np.percentile(self.latencies, (50, 90))
        rate = self.frames / self.seconds
        stages = ", ".join(f"{name} {np.median(times):.1f}" for name, times in self.stages.items())
        return (
            f"{self.frames} frames in {self.seconds:.1f} s: {rate:.1f} fps, "
            f"latency {median:.0f} ms (90th percentile {tail:.0f} ms): {stages}"
        )


class Records:
    """The latencies of the last MAX_RECORDS frames and of their stages, in a table of fixed size.

    Another bundle may have other stages: then the table starts again.

    Attributes:
        count: all frames so far.
    """

    def __init__(self) -> None:
        self.count = 0
        self._stages: tuple[str, ...] = ()
        self._table: np.ndarray | None = None
        self._rows = 0

    def add(self, latency: float, timings: dict[str, float]) -> None:
        """Note a frame's latency and its stages' milliseconds."""
        if self._table is None or tuple(timings) != self._stages:
            self._stages = tuple(timings)
            self._table = np.zeros((MAX_RECORDS, 1 + len(timings)), np.float32)
            self._rows = 0
        self._table[self._rows % MAX_RECORDS] = (latency, *timings.values())
        self._rows += 1
        self.count += 1

    def summary(self, seconds: float) -> Summary:
        """Return the Summary of a run that took so many seconds."""
        if self._table is None:
            return Summary(0, seconds, (), {})
        latencies, *columns = self._table[: self._rows].T.tolist()
        stages = {stage: tuple(times) for stage, times in zip(self._stages, columns)}
        del stages["total"]
        return Summary(self.count, seconds, tuple(latencies), stages)


class Pace:
    """When the next frame is due.

    Args:
        calm_seconds: without a change after which `power_save` looks rarely.
        idle_seconds: between two frames then.

    Attributes:
        due: on the monotonic clock, in seconds.
    """

    def __init__(
        self, calm_seconds: float = CALM_SECONDS, idle_seconds: float = IDLE_SECONDS
    ) -> None:
        self.due = 0.0
        self._calm_seconds = calm_seconds
        self._idle_seconds = idle_seconds
        self._scenes: dict[str | None, int] = {}
        self._changed_at = 0.0

    def schedule_next(
        self,
        now: float,
        scene: int,
        max_fps: float,
        power_save: bool,
        camera_name: str | None = None,
    ) -> None:
        """Set when the frame is `due` that follows one.

        Args:
            now: when that one was taken.
            scene: the number of its scene.
            max_fps: frames a second at most, of all cameras together; 0: no limit.
            power_save: whether each camera is looked at rarely once nothing changes before any.
            camera_name: which of several cameras it is of.
        """
        if scene != self._scenes.get(camera_name):
            self._scenes[camera_name] = scene
            self._changed_at = now
        interval = 1 / max_fps if max_fps else 0.0
        if power_save and now - self._changed_at >= self._calm_seconds:
            interval = max(interval, self._idle_seconds / len(self._scenes))
        self.due = now + interval


def run(
    pipeline: LivePipeline,
    frames: int | None = None,
    seconds: float | None = None,
    reload: Callable[[], None] | None = None,
    on_tick: Callable[[], None] | None = None,
    pace: Pace | None = None,
    requests: LoopRequests | None = None,
) -> Summary:
    """Recognise the frames of `pipeline.reader` and write them to `pipeline.sinks`.

    Between the beginnings of two frames lie at least 1 / max_fps seconds; a live source goes on
    meanwhile, and the frame that is recognised then is its newest. Of a video these are seconds of
    its own time: frames in between are left out, and nothing waits. In a Recognition's `timings`
    are the time that the frame waited for the loop as `queue`, and the time that the sinks took
    for the frame before it as `output`. The caller closes the pipeline.

    Args:
        pipeline: what to run; `reload` may change its parts.
        frames: ends the run after so many.
        seconds: ends the run after that time.
        reload: called between two frames after SIGHUP.
        on_tick: called all the time, at least every few TICK_SECONDS.
        pace: when frames are due.
        requests: what outputs ask for, which is done between two frames.

    Returns:
        The Summary, once the source ends, the run is long enough, or SIGINT or SIGTERM arrives.
        What reader, recognize or sinks raise is raised.
    """
    pace = pace or Pace()
    records = Records()
    output = 0.0
    video_time: float | None = None
    with catch_signals() as (stop, hang_up):
        start = time.monotonic()
        while not stop.is_set() and (not frames or records.count < frames):
            if on_tick:
                on_tick()
            if hang_up.is_set():
                hang_up.clear()
                if reload:
                    reload()
                    pace.due = 0.0  # The next source may have a time of its own.
            if seconds and time.monotonic() - start >= seconds:
                break
            if requests:
                if requests.obey():
                    pace.due = 0.0  # By another rate the next frame may be due earlier.
                if requests.is_resting:
                    stop.wait(TICK_SECONDS)
                    continue
            early = pace.due - time.monotonic()
            if video_time is None and early > 0:
                stop.wait(min(early, TICK_SECONDS))
                continue
            try:
                frame = pipeline.reader.next(TICK_SECONDS)
            except NoFrameYet:
                continue
            if frame is None:
                break
            taken_at = time.monotonic()
            # A video is recognised by its own time, on a computer of any speed.
            video_time = None if frame.is_still else frame.seconds
            if video_time is not None and video_time < pace.due - ROUNDING_SECONDS:
                continue
            now = taken_at if video_time is None else video_time
            recognition = recognize(pipeline, frame, taken_at, output)
            recognized_at = time.monotonic()
            records.add((recognized_at - frame.clock) * 1e3, recognition.timings)
            recognized = RecognizedFrame(frame.image, recognition, frame.seconds)
            for sink in pipeline.sinks.values():
                sink.write(recognized)
            if requests:
                requests.frame_done(frame.camera_name)
            output = (time.monotonic() - recognized_at) * 1e3
            pace.schedule_next(
                now,
                recognition.scene,
                pipeline.max_fps,
                pipeline.power_save,
                frame.camera_name,
            )
        elapsed = time.monotonic() - start
    return records.summary(elapsed)


def recognize(pipeline: LivePipeline, frame: Frame, taken_at: float, output: float) -> Recognition:
    """Return the Recognition of a frame.

    Args:
        pipeline: what recognises it.
        frame: the frame.
        taken_at: when the loop took it, on the monotonic clock.
        output: milliseconds that the sinks took for the frame before.
    """
    stopwatch = Stopwatch(queue=(taken_at - frame.clock) * 1e3, output=output)
    image = frame.image if frame.prepared is None else frame.prepared
    camera = frame.camera and plain_values(frame.camera)
    recognize_next = pipeline.recognize
    if frame.camera_name is not None:
        recognize_next = pipeline.trackers[frame.camera_name]
    recognition = recognize_next(image, frame.number, frame.captured_at, camera, stopwatch)
    if frame.camera_name is not None:
        return replace(recognition, camera_name=frame.camera_name)
    if frame.file is None:
        return recognition
    if frame.is_still:
        return replace(recognition, file=frame.file, scene=frame.number + 1)
    return replace(recognition, file=frame.file, seconds=frame.seconds)


def plain_values(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return a camera's metadata without the values that have no form in JSON."""
    return {
        name: value
        for name, value in metadata.items()
        if isinstance(value, (int, float, str, tuple, list))
    }


@contextmanager
def catch_signals() -> Iterator[tuple[threading.Event, threading.Event]]:
    """Turn signals into events, instead of ending the process.

    Yields:
        An event that SIGINT (ctrl-C) and SIGTERM set, and one that SIGHUP sets.
    """
    stop = threading.Event()
    hang_up = threading.Event()
    # Only the main thread may handle signals.
    if threading.current_thread() is not threading.main_thread():
        yield stop, hang_up
        return
    events = {signal.SIGINT: stop, signal.SIGTERM: stop, signal.SIGHUP: hang_up}

    def set_event(number: int, frame: FrameType | None) -> None:
        events[signal.Signals(number)].set()

    previous = {number: signal.signal(number, set_event) for number in events}
    try:
        yield stop, hang_up
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
