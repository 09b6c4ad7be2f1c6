"""`python -m picaption.device.bench.soak`: what the live loop costs beside its model, and whether it stays as it is for long.

It runs the loop with the outputs that its options, those of `picaption live`, switch on, over frames of the demo that are drawn
beforehand: one after the other as fast as can be, or, with --rate, so many a second from a thread, as a camera gives them.
"""

import json
import os
import threading
import time
from pathlib import Path

import click
import numpy as np

from ..config.options import options
from ..config.toml import load_config
from ..sources.sources import Demo

#: Times count after so many frames, and memory after so many more.
WARM_UP, SETTLED = 100, 1000
#: The percentiles are those of so many last frames.
MEASURED = 10_000


class Prepared:
    """Frames of the demo, drawn beforehand, for ever: `rate` a second by the clock, or each when it is asked for.

    A photograph is there for as many frames as in the demo, but only each fourth frame is drawn, and shown four times: all would
    fill a small board's memory.
    """

    metadata, EACH = None, 4

    def __init__(self, size, rate=None):
        demo = Demo(size)
        self._frames = [
            demo.frame(number)
            for number in range(0, demo.count * demo.SECONDS * demo.rate, self.EACH)
        ]
        self.name, self.live, self.rate = "prepared frames", bool(rate), rate
        self._number, self._due = 0, time.monotonic()

    def read(self, into=None):
        """Return the next frame itself: the loop writes to none."""
        if self.live:
            self._due = max(self._due + 1 / self.rate, time.monotonic() - 1)
            time.sleep(max(0.0, self._due - time.monotonic()))
        self._number += 1
        return self._frames[(self._number - 1) // self.EACH % len(self._frames)]

    def close(self):
        """Nothing to free."""


class Timed:
    """A signature's runner that adds up the seconds of its invocations."""

    def __init__(self, runner):
        self._runner, self.seconds = runner, 0.0

    def __call__(self, **inputs):
        """Return the outputs."""
        start = time.perf_counter()
        outputs = self._runner(**inputs)
        self.seconds += time.perf_counter() - start
        return outputs


def usage():
    """Return this process' (resident bytes, open file descriptors, threads)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return (
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir("/proc/self/fd")),
        threading.active_count(),
    )


def soak(config, rate=None):
    """Run the loop for `config.frames` frames and return what was measured, as a dict of plain values.

    `overhead`: seconds of the loop by those of its invocations; `age_ms`: from a frame's capture to its result; `inference_ms`:
    of a frame's recognition; `grown_bytes`, `descriptors` and `threads`: resident memory, and the rest as (then, in the end),
    since the first SETTLED frames. Without `rate` the frames come one by one, and the loop never waits.
    """
    from ..live import pipeline
    from ..live.loop import run

    opened, pipeline.open_configured_source = (
        pipeline.open_configured_source,
        lambda spec, wanted: Prepared(tuple(map(int, wanted.size.split("x"))), rate),
    )
    try:
        parts = pipeline.Pipeline(config)
    finally:
        pipeline.open_configured_source = opened
    model = parts.recognizer.model
    runners = model._runners = {name: Timed(runner) for name, runner in model._runners.items()}
    records = Records(runners, config.frames)
    parts.sinks["records"] = records
    try:
        run(parts, config.frames)
    finally:
        parts.close()
    return records.figures()


class Records:
    """A sink that takes the measurements."""

    def __init__(self, runners, frames):
        self._runners, self._frames, self._count = runners, frames, 0
        self._times = np.ones(
            (min(frames, MEASURED), 2), np.float32
        )  # Ones: memory that is there from the start.
        self._usage = {}
        self._start = self._invoked = 0.0

    def write(self, recognized):
        """Note what the frame cost."""
        self._count += 1
        if self._count == WARM_UP:
            self._start, self._invoked = time.perf_counter(), self._seconds()
        if self._count in (SETTLED, self._frames):
            self._usage[self._count] = usage()
        timings = recognized.recognition.timings
        self._times[(self._count - 1) % len(self._times)] = (
            timings["total"],
            timings["waited"] + timings["total"],
        )
        self._end, self._end_invoked = time.perf_counter(), self._seconds()

    def _seconds(self):
        return sum(runner.seconds for runner in self._runners.values())

    def figures(self):
        """Return what was measured."""
        frames, spent = self._count - WARM_UP, self._end - self._start
        then, now = (self._usage.get(count, (0, 0, 0)) for count in (SETTLED, self._frames))
        totals, ages = self._times[: self._count].T[:, WARM_UP if self._count <= MEASURED else 0 :]
        return {
            "frames": self._count,
            "frame_ms": round(spent / frames * 1e3, 3),
            "invoke_ms": round((self._end_invoked - self._invoked) / frames * 1e3, 3),
            "overhead": round(spent / (self._end_invoked - self._invoked), 3),
            "inference_ms": dict(
                zip(("p50", "p99"), np.percentile(totals, (50, 99)).astype(float).round(3).tolist())
            ),
            "age_ms": dict(
                zip(("p50", "p99"), np.percentile(ages, (50, 99)).astype(float).round(3).tolist())
            ),
            "grown_bytes": now[0] - then[0],
            "descriptors": [then[1], now[1]],
            "threads": [then[2], now[2]],
        }

    def close(self):
        """Nothing to finish."""


@click.command()
@options
@click.option(
    "--rate",
    type=click.FloatRange(1),
    metavar="N",
    help="Frames a second that the camera gives; else each at once.",
)
def main(config_path, rate, **told):
    """Run the live loop for --frames frames and print what it cost, as JSON."""
    config = load_config(told, config_path).config
    if config.frames <= SETTLED:
        raise click.UsageError(f"give --frames, more than {SETTLED}")
    print(json.dumps(soak(config, rate), indent=1))


if __name__ == "__main__":
    main()
