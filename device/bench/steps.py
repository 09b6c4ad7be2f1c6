"""The measuring itself, in a process of its own: `measure(plan)` returns what a frame costs here, step by step.

One step after the other runs as a single stream: as often as it can, one call at a time, the machine its own. They do so in
ROUNDS rounds of each step, so that a board that grows hot slows them all, and rounds that differ tell how much to trust. Every
call counts; only those that warm up, until they are steady, do not.
"""

import json
import os
import time
from array import array
from dataclasses import asdict, dataclass
from itertools import cycle

import click
import numpy as np

from .. import cli
from ..bundle import runtime
from ..config.settings import Config
from ..errors import PicaptionError
from ..live.loop import run
from ..live.pipeline import Pipeline
from ..recognition.recognizer import open_recognizer
from ..sources.capture import SequentialReader
from ..sources.sources import Demo, open_source
from .machine import Power, Watch, peak_megabytes

#: Rounds of a run, and how many calls of each are kept one by one.
ROUNDS, KEPT = 20, 25
#: A step is steady when the medians of two windows, so many seconds long, differ by less than this share; it is given up
#: after so many windows.
WINDOW, STEADY, WINDOWS = 0.1, 0.02, 30
#: Frames that a camera and the live loop warm up with.
LIVE_WARM_UP = 10


@dataclass(frozen=True)
class Plan:
    """What to measure: each step for `seconds` or, unless it is 0, `count` times, with the runtime of that place in
    picaption.device.bundle.runtime.RUNTIMES; `spawned_at`, on the monotonic clock, is when the process was asked for."""

    bundle: str
    runtime: int
    threads: int
    beam: int | None
    seconds: float
    count: int
    source: str
    spawned_at: float


@dataclass(frozen=True)
class Step:
    """Milliseconds of one step: those of its rounds, one after the other, of the first call in this process (None: not known),
    and how many calls it warmed up with; `rate`: calls a second where they do not follow one another at once."""

    rounds: tuple
    first: float | None
    warm_up: int
    steady: bool = True
    rate: float | None = None

    def figures(self):
        """Return them as a dict of plain values: percentiles of all calls; `varied_percent`, how far the tenth and the
        ninetieth percentile of the rounds' medians lie apart; and of each round at most KEPT calls, evenly spaced."""
        spent = np.concatenate([np.asarray(each) for each in self.rounds])
        tenth, nine_tenths = np.percentile([np.median(each) for each in self.rounds], (10, 90))
        p50, p90, p95, p99 = np.percentile(spent, (50, 90, 95, 99)).tolist()
        named = {
            "mean": spent.mean(),
            "p50": p50,
            "p90": p90,
            "p95": p95,
            "p99": p99,
            "max": spent.max(),
        }
        return {
            "first": self.first and round(self.first, 4),
            **{name: round(float(value), 4) for name, value in named.items()},
            "per_second": round(self.rate or 1e3 / float(spent.mean()), 2),
            "count": len(spent),
            "warm_up": self.warm_up,
            "steady": self.steady,
            "varied_percent": round(float(100 * (nine_tenths - tenth) / p50), 2),
            "rounds": [
                [round(float(each[place]), 4) for place in spread(len(each))]
                for each in self.rounds
            ],
        }


def spread(count):
    """Return the numbers of at most KEPT of `count` calls, evenly spaced."""
    return (
        range(count)
        if count <= KEPT
        else np.linspace(0, count - 1, KEPT).round().astype(int).tolist()
    )


def measure(plan):
    """Return what the Plan asks for, as a dict of plain values: see `runs` in docs/bench.schema.json."""
    runtime.RUNTIMES = runtime.RUNTIMES[plan.runtime :][:1]
    watch, start = Watch(), time.perf_counter()
    recognizer = open_recognizer(plan.bundle, plan.threads, plan.beam)
    loaded = time.perf_counter()
    demo = Demo()
    images = [demo.frame(shot * demo.SECONDS * demo.rate) for shot in range(demo.count)]
    first = recognizer(images[0]).timings
    ready_after = time.monotonic() - plan.spawned_at
    source = open_source(plan.source)  # What is wrong with it is told now, not after minutes.
    source.close()
    steps = steps_of(recognizer, images)
    warm = {name: warm_up(step) for name, step in steps.items()}
    rounds = {name: [] for name in steps}
    for share in shares(plan):
        for name, step in steps.items():
            rounds[name].append(timed(step, *share))
        watch.look()
    figures = {
        name: Step(
            tuple(spent), first.get("total" if name == "frame" else name), *warm[name]
        ).figures()
        for name, spent in rounds.items()
    }
    del recognizer, steps, step  # Its memory is not to count beside that of the loop's own.
    live, watts = live_step(plan)
    return {
        "runtime": runtime.runtime_name(),
        "threads": plan.threads,
        "source": source.name,
        "load_ms": round((loaded - start) * 1e3, 1),
        "first_caption_ms": round(ready_after * 1e3, 1),
        "peak_megabytes": peak_megabytes(),
        "watts": watts and round(watts, 3),
        "millijoules_a_frame": watts and round(1e3 * watts / live.rate, 1),
        "machine": watch.figures(),
        "steps": figures | {"live": live.figures()},
    }


def steps_of(recognizer, images):
    """Return the steps as functions by name, in the order in which a frame goes through them; each call takes the next image."""
    model, kept = recognizer.model, {}
    ready = [recognizer.prepare(image) for image in images]
    encoded = [model.encode(picture) for picture in ready]
    evidence = [recognizer.evidence(each) for each in encoded]
    steps = {
        "preprocess": _each(lambda image: recognizer.prepare(image, kept), images),
        "encode": _each(model.encode, ready),
    }
    if model.vocabulary:
        history = np.zeros((recognizer.beam.width, model.metadata.order - 1), np.int32)
        steps["next_word"] = _each(lambda seen: model.next_word(history, seen.context), encoded)
        steps["caption"] = _each(recognizer.tell, encoded)
    if model.labels:
        steps["classify"] = _each(
            lambda pair: model.classify(pair[0].features, pair[1]), list(zip(encoded, evidence))
        )
    return steps | {"frame": _each(recognizer, images)}


def _each(function, inputs):
    turn = cycle(inputs)
    return lambda: function(next(turn))


def warm_up(step):
    """Call `step` until it is steady; return (calls, whether it became so)."""
    calls, before = 0, None
    for _ in range(WINDOWS):
        spent = timed(step, WINDOW, 0)
        calls, now = calls + len(spent), float(np.median(spent))
        if before is not None and abs(now - before) < STEADY * before:
            return calls, True
        before = now
    return calls, False


def shares(plan):
    """Return (seconds, calls) of each round; where calls are counted there is no round without one."""
    if not plan.count:
        return [(plan.seconds / ROUNDS, 0)] * ROUNDS
    rounds = min(ROUNDS, plan.count)
    return [(0, plan.count // rounds + (number < plan.count % rounds)) for number in range(rounds)]


def timed(step, seconds, count):
    """Return the milliseconds of calls of `step`, one after the other: `count`, or, if that is 0, for so many seconds."""
    spent, clock = array("d"), time.perf_counter
    end = clock() + seconds
    while True:
        start = clock()
        step()
        stop = clock()
        spent.append((stop - start) * 1e3)
        if len(spent) == count or not count and stop >= end:
            return spent


def live_step(plan):
    """Return the Step of the live loop, from a frame's capture to its result, and the mean watts meanwhile (None: not measured).

    A camera's first frames are warm-up, and so is the first of files. Raises PicaptionError where the source gives no other.
    """
    parts = Pipeline(
        Config(
            source=plan.source,
            bundle=plan.bundle,
            threads=plan.threads,
            quiet=True,
            json=os.devnull,
        )
    )
    try:
        before = run(parts, 1 if isinstance(parts.reader, SequentialReader) else LIVE_WARM_UP)
        with Power() as measured:
            summary = run(parts, plan.count or None, None if plan.count else plan.seconds)
    finally:
        parts.close()
    if not summary.frames:
        raise PicaptionError(
            f"{plan.source} gives one frame only: give a source with more to measure the live loop"
        )
    rounds = tuple(part for part in np.array_split(summary.latencies, ROUNDS) if len(part))
    return Step(
        rounds, before.latencies[0], before.frames, rate=summary.frames / summary.seconds
    ), measured.watts


@click.command()
@click.argument("plan", type=json.loads)
def measured(plan):
    """Print what PLAN, a Plan as JSON, asks for, as JSON."""
    print(json.dumps(measure(Plan(**plan))))


def arguments_of(plan):
    """Return what follows the interpreter to measure a Plan in a process of its own."""
    return ["-P", "-m", "picaption.device.bench.steps", json.dumps(asdict(plan))]


if __name__ == "__main__":
    cli.main(command=measured)
