"""The measuring itself, in a process of its own: `measure(plan)` returns what a frame costs here.

One step after the other runs as a single stream: as often as it can, one call at a time, with the
machine to itself. Each step runs in ROUNDS rounds among those of the others, so that a board that
grows hot slows them all, and rounds that differ show how much to trust. Every call counts, but
those that warm up.
"""

import json
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any

import click
import numpy as np

from .. import cli
from ..bundle.bundle import Encoded
from ..bundle.runtime import runtime_name, use_runtime
from ..config.settings import Config
from ..errors import PicaptionError
from ..live.loop import run
from ..live.pipeline import Pipeline
from ..recognition.recognizer import Recognizer, open_recognizer
from ..recognition.result import Caption
from ..sources.capture import SequentialReader
from ..sources.demo_frames import Demo
from ..sources.sources import open_source
from .figures import Run, StepFigures
from .machine import PowerMeter, Watch, doubts_about_conditions, peak_megabytes

#: Rounds of each step.
ROUNDS = 20
#: The most calls of a round that the figures hold one by one.
MAX_CALLS_A_ROUND = 25
#: The warm-up goes by windows of that length, ...
WARM_UP_WINDOW_SECONDS = 0.1
#: ... ends when the medians of two in a row differ by less than this share, ...
STEADY_SHARE = 0.02
#: ... and is given up after so many.
MAX_WARM_UP_WINDOWS = 30
#: What the process writes to standard error once a round has ended, and last the live loop.
ROUND_ENDED = "round ended"
#: Frames that a camera and the live loop warm up with.
LIVE_WARM_UP_FRAMES = 10
#: How far, in per cent, the medians of a step's rounds may vary before they become doubtful.
MAX_VARIED_PERCENT = 5


@dataclass(frozen=True)
class Plan:
    """What a process measures.

    `runtime`: the name of the TFLite runtime's distribution; `seconds`: how long each step is
    measured, or, unless it is 0, `count`, how often; `spawned_at`: when the process was asked for,
    on the monotonic clock.
    """

    bundle: str
    runtime: str
    threads: int
    beam: int | None
    seconds: float
    count: int
    source: str
    spawned_at: float


@dataclass(frozen=True)
class _ModelFigures:
    """What the steps of a frame cost, one by one, and what it took to begin."""

    source: str
    load_ms: float
    first_caption_ms: float
    steps: dict[str, StepFigures]


@dataclass(frozen=True)
class _LiveFigures:
    """What a frame costs in the live loop, how many come a second, and the mean power meanwhile."""

    step: StepFigures
    frames_per_second: float
    watts: float | None


def measure(plan: Plan, on_round: Callable[[], object] = lambda: None) -> Run:
    """Return what the plan asks for.

    Args:
        plan: What to measure.
        on_round: Is called after each round and after the live loop: `round_count(plan)` times.
    """
    use_runtime(plan.runtime)
    watch = Watch()
    # A function of its own, so that its recognizer's memory does not count beside the loop's.
    model = _measure_model(plan, watch, on_round)
    live = _measure_live(plan)
    on_round()
    millijoules = None if live.watts is None else 1e3 * live.watts / live.frames_per_second
    steps = model.steps | {"live": live.step}
    memory = peak_megabytes()
    conditions = watch.conditions()
    return Run(
        runtime=runtime_name(),
        threads=plan.threads,
        source=model.source,
        load_ms=model.load_ms,
        first_caption_ms=model.first_caption_ms,
        peak_megabytes=memory,
        watts=_rounded(live.watts, 3),
        millijoules_a_frame=_rounded(millijoules, 1),
        conditions=conditions,
        steps=steps,
        doubts=(*doubts_about_conditions(conditions), *doubts_about_steps(steps)),
    )


def _measure_model(plan: Plan, watch: Watch, on_round: Callable[[], object]) -> _ModelFigures:
    start = time.perf_counter()
    recognizer = open_recognizer(plan.bundle, plan.threads, plan.beam)
    load_seconds = time.perf_counter() - start
    demo = Demo()
    images = [demo.frame(shot * demo.SECONDS * demo.rate) for shot in range(demo.count)]
    first_timings = recognizer(images[0]).timings
    first_caption_seconds = time.monotonic() - plan.spawned_at
    source = open_source(plan.source)  # An unusable source ends this now, not after minutes.
    source.close()
    steps = frame_steps(recognizer, images)
    warm_ups = {name: warm_up(step) for name, step in steps.items()}
    rounds: dict[str, list[Sequence[float]]] = {name: [] for name in steps}
    for seconds, count in round_budgets(plan):
        for name, step in steps.items():
            rounds[name].append(time_calls(step, seconds, count))
        watch.look()
        on_round()
    figures = {}
    for name in steps:
        first = first_timings.get("total" if name == "frame" else name)
        figures[name] = summarize_step(rounds[name], first, *warm_ups[name])
    return _ModelFigures(
        source.name, round(load_seconds * 1e3, 1), round(first_caption_seconds * 1e3, 1), figures
    )


def frame_steps(
    recognizer: Recognizer, images: Sequence[np.ndarray]
) -> dict[str, Callable[[], Any]]:
    """Return the steps by name, in the order in which a frame goes through them.

    Every step is a function without parameters, whose calls go through `images`, uint8 RGB
    [H, W, 3], in turn.
    """
    model = recognizer.model
    buffers: dict[str, np.ndarray] = {}
    ready = [recognizer.prepare(image) for image in images]
    encoded = [model.encode(image) for image in ready]

    def preprocess(image: np.ndarray) -> np.ndarray:
        prepared = recognizer.prepare(image, buffers)
        recognizer.silence(prepared)
        return prepared

    def classify(encoding: Encoded) -> np.ndarray:
        return recognizer.classify(encoding, recognizer.class_evidence(encoding))

    steps = {
        "preprocess": _in_turn(preprocess, images),
        "encode": _in_turn(model.encode, ready),
    }
    if model.vocabulary:
        history = np.zeros((recognizer.beam.width, model.metadata.order - 1), np.int32)

        def next_word(encoding: Encoded) -> np.ndarray:
            assert encoding.context is not None  # There is one wherever there is a captioner.
            return model.next_word(history, encoding.context)

        steps["next_word"] = _in_turn(next_word, encoded)

        def caption(inputs: tuple[Encoded, np.ndarray, np.ndarray | None]) -> Caption | None:
            return recognizer.caption(*inputs)

        heard = [
            (encoding, classify(encoding), recognizer.name_scores(encoding)) for encoding in encoded
        ]
        steps["caption"] = _in_turn(caption, heard)
    if model.labels:
        steps["classify"] = _in_turn(classify, encoded)
    return steps | {"frame": _in_turn(recognizer, images)}


def _in_turn(function: Callable[[Any], Any], inputs: Iterable[Any]) -> Callable[[], Any]:
    turn = cycle(inputs)
    return lambda: function(next(turn))


def warm_up(
    step: Callable[[], Any],
    window_seconds: float = WARM_UP_WINDOW_SECONDS,
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[int, bool]:
    """Call a step until it takes the same in two windows in a row.

    Returns:
        How many calls that took, and whether the step became steady.
    """
    calls = 0
    median_before = None
    for _ in range(MAX_WARM_UP_WINDOWS):
        milliseconds = time_calls(step, window_seconds, 0, clock)
        calls += len(milliseconds)
        median = float(np.median(milliseconds))
        if median_before is not None:
            change = abs(median - median_before)
            if change < STEADY_SHARE * median_before:
                return calls, True
        median_before = median
    return calls, False


def round_budgets(plan: Plan) -> list[tuple[float, int]]:
    """Return the seconds and, if calls are counted, the calls of each round; 0 for the other."""
    if not plan.count:
        return [(plan.seconds / ROUNDS, 0)] * ROUNDS
    rounds = min(ROUNDS, plan.count)  # No round without a call.
    calls, longer_rounds = divmod(plan.count, rounds)
    return [(0.0, calls + 1)] * longer_rounds + [(0.0, calls)] * (rounds - longer_rounds)


def round_count(plan: Plan) -> int:
    """Return how many rounds the measurement has; the live loop is the last."""
    return len(round_budgets(plan)) + 1


def time_calls(
    step: Callable[[], Any],
    seconds: float,
    count: int,
    clock: Callable[[], float] = time.perf_counter,
) -> Sequence[float]:
    """Return the milliseconds of calls of a step, one after the other.

    Args:
        step: What to call.
        seconds: How long to call it.
        count: How often to call it instead, unless it is 0.
        clock: Counts seconds.
    """
    milliseconds = array("d")
    end = clock() + seconds
    while True:
        start = clock()
        step()
        stop = clock()
        milliseconds.append((stop - start) * 1e3)
        if len(milliseconds) == count or (not count and stop >= end):
            return milliseconds


def summarize_step(
    rounds: Sequence[Sequence[float] | np.ndarray],
    first: float | None,
    warm_up: int,
    steady: bool = True,
    rate: float | None = None,
) -> StepFigures:
    """Return the figures of a step.

    Args:
        rounds: The milliseconds of all calls of each round.
        first: Those of the first call in this process.
        warm_up: How many calls it warmed up with.
        steady: Whether it became steady then.
        rate: Calls a second, if they do not follow one another at once.
    """
    milliseconds = np.concatenate([np.asarray(calls) for calls in rounds])
    medians = [np.median(calls) for calls in rounds]
    low, high = np.percentile(medians, (10, 90))
    p50, p90, p95, p99 = np.percentile(milliseconds, (50, 90, 95, 99)).tolist()
    mean = float(milliseconds.mean())
    return StepFigures(
        first=_rounded(first, 4),
        mean=round(mean, 4),
        p50=round(p50, 4),
        p90=round(p90, 4),
        p95=round(p95, 4),
        p99=round(p99, 4),
        max=round(float(milliseconds.max()), 4),
        per_second=round(rate or 1e3 / mean, 2),
        count=len(milliseconds),
        warm_up=warm_up,
        steady=steady,
        varied_percent=round(float(100 * (high - low) / p50), 2),
        rounds=tuple(
            tuple(round(float(calls[index]), 4) for index in spread_indices(len(calls)))
            for calls in rounds
        ),
    )


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def spread_indices(count: int) -> list[int]:
    """Return the indices of at most MAX_CALLS_A_ROUND of `count` calls, evenly spaced."""
    if count <= MAX_CALLS_A_ROUND:
        return list(range(count))
    return np.linspace(0, count - 1, MAX_CALLS_A_ROUND).round().astype(int).tolist()


def doubts_about_steps(steps: Mapping[str, StepFigures]) -> list[str]:
    """Return why the steps of a run may be wrong, a line each."""
    lines = []
    restless = [name for name, step in steps.items() if not step.steady]
    if restless:
        lines.append(f"{', '.join(restless)} did not become steady before being measured")
    varied = [
        f"{name} by {step.varied_percent:.0f} %"
        for name, step in steps.items()
        if step.varied_percent > MAX_VARIED_PERCENT
    ]
    if varied:
        lines.append(f"from round to round varied {', '.join(varied)}")
    return lines


def _measure_live(plan: Plan) -> _LiveFigures:
    """Return the figures of the live loop, from a frame's capture to its result.

    A camera's first frames are warm-up, and so is the first of files. Raises PicaptionError if the
    source has no other.
    """
    config = Config(
        source=plan.source,
        bundle=plan.bundle,
        threads=plan.threads,
        quiet=True,
        json=os.devnull,
    )
    pipeline = Pipeline(config)
    try:
        is_camera = not isinstance(pipeline.reader, SequentialReader)
        before = run(pipeline, LIVE_WARM_UP_FRAMES if is_camera else 1)
        with PowerMeter() as meter:
            summary = run(pipeline, plan.count or None, None if plan.count else plan.seconds)
    finally:
        pipeline.close()
    if not summary.frames:
        raise PicaptionError(
            f"{plan.source} gives one frame only: give a source with more to measure the live loop"
        )
    rounds = [part for part in np.array_split(summary.latencies, ROUNDS) if len(part)]
    rate = summary.frames / summary.seconds
    step = summarize_step(rounds, before.latencies[0], before.frames, rate=rate)
    return _LiveFigures(step, rate, meter.watts)


@click.command()
@click.argument("plan", type=json.loads)
def measure_command(plan: dict[str, Any]) -> None:
    """Print what PLAN, as JSON, asks for, as JSON; to standard error, how far it is."""

    def on_round() -> None:
        print(ROUND_ENDED, file=sys.stderr, flush=True)

    print(json.dumps(measure(Plan(**plan), on_round).to_json()))


def measure_arguments(plan: Plan) -> list[str]:
    """Return the arguments with which Python measures a plan in a process of its own."""
    return ["-P", "-m", "picaption.device.bench.steps", json.dumps(asdict(plan))]


if __name__ == "__main__":
    cli.main(command=measure_command)
