"""`python -m picaption.device.bench.soak`: what the live loop costs beside its model, for long.

It runs the loop with the outputs that its options, those of `picaption live`, switch on, over
frames of the demo that are drawn beforehand: one after the other as fast as possible, or, with
--rate, so many a second from a thread, as a camera supplies them.
"""

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np

from ..bundle.bundle import Bundle, Runner, default_bundle
from ..config.options import options
from ..config.settings import Config
from ..config.toml import load_config
from ..live.heap import bound_heap
from ..live.loop import run
from ..live.pipeline import Pipeline
from ..outputs.sink import RecognizedFrame
from ..recognition.recognizer import Recognizer
from ..sources.demo_frames import Demo

#: Times count after so many frames.
WARM_UP_FRAMES = 100
#: Memory counts after so many frames.
SETTLED_FRAMES = 1000
#: Memory is looked at so often, and is the median of so many looks: what threads take for a moment
#: comes and goes.
LOOK_FRAMES = 50
LOOKS = 10
#: The percentiles are those of so many last frames.
MEASURED_FRAMES = 10_000


class PreparedSource:
    """Frames of the demo, drawn beforehand, for ever.

    A photograph is there for as many frames as in the demo, but only every fourth frame is drawn,
    and shown four times: all would fill a small board's memory.

    Args:
        size: columns and rows of a frame.
        rate: frames a second by the clock; None: a frame whenever it is asked for.
    """

    stills = False
    metadata = None
    REPEATS = 4

    def __init__(self, size: tuple[int, int], rate: float | None = None) -> None:
        demo = Demo(size)
        count = demo.count * demo.SECONDS * demo.rate
        self._frames = [demo.frame(number) for number in range(0, count, self.REPEATS)]
        self.name = "prepared frames"
        self.live = bool(rate)
        self.rate = rate
        self._number = 0
        self._due = time.monotonic()

    def read(self, into: np.ndarray | None = None) -> np.ndarray:
        """Return the next frame itself, not a copy in `into`: the loop does not write to it."""
        if self.rate:
            self._due = max(self._due + 1 / self.rate, time.monotonic() - 1)
            time.sleep(max(0.0, self._due - time.monotonic()))
        frame = self._frames[self._number // self.REPEATS % len(self._frames)]
        self._number += 1
        return frame

    def close(self) -> None:
        """Do nothing: there is nothing to free."""


class Clocks(NamedTuple):
    """Seconds of the loop at one moment.

    Attributes:
        elapsed: of the clock.
        invoked: within invocations so far.
        computed: that the loop's thread has computed.
        computed_invoked: the same within invocations.
    """

    elapsed: float
    invoked: float
    computed: float
    computed_invoked: float


class InvocationTimer:
    """Adds up the time that a bundle's signatures take.

    Attributes:
        seconds: so far.
        cpu_seconds: those of the calling thread's computing so far.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self.cpu_seconds = 0.0

    def wrap(self, name: str, runner: Runner) -> Runner:
        """Return `runner` timed; a `wrap_runner` of a Bundle."""

        def timed(**inputs: np.ndarray) -> dict[str, np.ndarray]:
            start = time.perf_counter()
            cpu_start = time.thread_time()
            outputs = runner(**inputs)
            self.cpu_seconds += time.thread_time() - cpu_start
            self.seconds += time.perf_counter() - start
            return outputs

        return timed


def resident_bytes() -> int:
    """Return how much memory this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def resource_usage() -> tuple[int, int]:
    """Return this process' open file descriptors and threads."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


class Measurement:
    """A sink that measures the loop.

    Args:
        timer: of the invocations in the loop.
        frames: how many there will be.
        settled_frames: memory counts after so many.
    """

    def __init__(self, timer: InvocationTimer, frames: int, settled_frames: int) -> None:
        self._timer = timer
        self._frames = frames
        self._settled_frames = settled_frames
        self._count = 0
        # Ones, not empty: memory that is resident from the start.
        self._times = np.ones((min(frames, MEASURED_FRAMES), 2), np.float32)
        self._resident = np.ones(max(1, frames // LOOK_FRAMES), np.int64)
        self._usage: dict[int, tuple[int, int]] = {}
        self._start = self._end = Clocks(0.0, 0.0, 0.0, 0.0)

    def write(self, recognized: RecognizedFrame) -> None:
        """Note what the frame cost."""
        self._count += 1
        if self._count == WARM_UP_FRAMES:
            self._start = self._clocks()
        if self._count % LOOK_FRAMES == 0:
            self._resident[self._count // LOOK_FRAMES - 1] = resident_bytes()
        if self._count in (self._settled_frames, self._frames):
            self._usage[self._count] = resource_usage()
        timings = recognized.recognition.timings
        total = timings["total"]
        self._times[(self._count - 1) % len(self._times)] = (total, timings["queue"] + total)
        self._end = self._clocks()

    def _clocks(self) -> Clocks:
        return Clocks(
            time.perf_counter(),
            self._timer.seconds,
            time.thread_time(),
            self._timer.cpu_seconds,
        )

    def figures(self) -> dict[str, Any]:
        """Return what was measured; see `soak`."""
        frames = self._count - WARM_UP_FRAMES
        elapsed, invoked, computed, computed_invoked = (
            end - start for start, end in zip(self._start, self._end)
        )
        files_before, threads_before = self._usage.get(self._settled_frames, (0, 0))
        files_after, threads_after = self._usage.get(self._frames, (0, 0))
        first = WARM_UP_FRAMES if self._count <= MEASURED_FRAMES else 0
        totals, ages = self._times[: self._count].T[:, first:]
        return {
            "frames": self._count,
            "frame_ms": round(elapsed / frames * 1e3, 3),
            "invoke_ms": round(invoked / frames * 1e3, 3),
            "overhead": round(elapsed / invoked, 3),
            "cpu_overhead": round(computed / computed_invoked, 3),
            "inference_ms": _percentiles(totals),
            "age_ms": _percentiles(ages),
            "grown_bytes": self._resident_at(self._count) - self._resident_at(self._settled_frames),
            "resident_bytes": {count: self._resident_at(count) for count in self._marks()},
            "descriptors": [files_before, files_after],
            "threads": [threads_before, threads_after],
        }

    def _resident_at(self, count: int) -> int:
        """Return the resident bytes after so many frames."""
        looks = min(count, self._count) // LOOK_FRAMES
        return int(np.median(self._resident[max(0, looks - LOOKS) : max(1, looks)]))

    def _marks(self) -> Iterator[int]:
        """Yield the frames after which memory is told: settled, tenfold and so on, and the last."""
        count = self._settled_frames
        while count < self._count:
            yield count
            count *= 10
        yield self._count

    def close(self) -> None:
        """Do nothing: there is nothing to finish."""


def soak(
    config: Config, rate: float | None = None, settled_frames: int = SETTLED_FRAMES
) -> dict[str, Any]:
    """Run the live loop and measure it.

    Args:
        config: the settings of the loop; it runs for `config.frames` frames.
        rate: frames a second that the source supplies; None: each at once, so that the loop never
            waits.
        settled_frames: memory counts after so many frames.

    Returns:
        A dict of plain values. `overhead`: the time of the loop by that of its invocations;
        `cpu_overhead`: the same of what its thread computes, which other programs hardly change,
        for a run with one thread, since others are not counted; `inference_ms`: of a frame's
        recognition; `age_ms`: from its capture to its result; `grown_bytes`, `descriptors` and
        `threads`: how resident memory grew, and the others before and after, since
        `settled_frames`; `resident_bytes`: after so many frames, ten times as many, and so on.
    """
    timer = InvocationTimer()

    def open_source(spec: str, config: Config) -> PreparedSource:
        width, height = map(int, config.size.split("x"))
        return PreparedSource((width, height), rate)

    def open_recognizer(config: Config) -> Recognizer:
        bundle = config.bundle or default_bundle()
        return Recognizer(Bundle(bundle, config.threads or None, wrap_runner=timer.wrap))

    pipeline = Pipeline(config, open_source, open_recognizer)
    measurement = Measurement(timer, config.frames, settled_frames)
    pipeline.sinks["measurement"] = measurement
    try:
        run(pipeline, config.frames)
    finally:
        pipeline.close()
    return measurement.figures()


def _percentiles(values: np.ndarray) -> dict[str, float]:
    p50, p99 = np.percentile(values, (50, 99)).astype(float).round(3).tolist()
    return {"p50": p50, "p99": p99}


@click.command()
@options
@click.option(
    "--rate",
    type=click.FloatRange(1),
    metavar="N",
    help="Frames a second that the camera supplies; else each at once.",
)
def main(config_path: Path | None, rate: float | None, **overrides: Any) -> None:
    """Run the live loop for --frames frames and print what it cost, as JSON."""
    bound_heap()
    config = load_config(overrides, config_path).config
    if config.frames <= SETTLED_FRAMES:
        raise click.UsageError(f"give --frames, more than {SETTLED_FRAMES}")
    print(json.dumps(soak(config, rate), indent=1))


if __name__ == "__main__":
    main()
