"""What a frame costs on this machine, step by step, beside the bare encoder."""

import time

import numpy as np

from device.runtime import runtime_name
from device.sources import Demo

WARM_UP = 10


def bench(recognizer, seconds=10.0):
    """Return what recognising the demo's photographs costs, as a dict of plain values.

    `milliseconds` holds, for each step, its `median` and `p90`: `invoke`, the bare encoder, given a picture that is
    ready for it; `next_word`, one beam step; the stages of a Recognition; and `frame`, encode, caption and classify
    together. The steps take turns, so that a machine that slows down slows them all. `ratio` is the median of
    `frame` over that of `invoke`. recognizer: a device.Recognizer over a bundle.
    """
    bundle, demo = recognizer.model, Demo()
    images = [demo.frame(shot * demo.SECONDS * demo.rate) for shot in range(demo.count)]
    ready = recognizer.prepare(images[0])
    steps = {"invoke": lambda: bundle.encode(ready)}
    if bundle.vocabulary:
        context = bundle.encode(ready).context
        history = np.zeros((recognizer.beam.width, bundle.metadata.order - 1), np.int32)
        steps["next_word"] = lambda: bundle.next_word(history, context)
    rounds, start = [], None
    while start is None or time.perf_counter() - start < seconds:
        spent = {name: _milliseconds(step) for name, step in steps.items()}
        timings = recognizer(images[len(rounds) % len(images)]).timings
        spent |= timings | {"frame": timings["encode"] + timings["caption"] + timings["classify"]}
        rounds.append(spent)
        if start is None and len(rounds) == WARM_UP:
            rounds, start = [], time.perf_counter()
    columns = {name: np.array([spent[name] for spent in rounds]) for name in rounds[0]}
    milliseconds = {name: dict(zip(("median", "p90"), np.percentile(column, (50, 90)).round(3).tolist()))
                    for name, column in columns.items()}
    return {"bundle": str(bundle.path), "runtime": runtime_name(), "beam": recognizer.beam.width, "rounds": len(rounds),
            "milliseconds": milliseconds,
            "ratio": round(milliseconds["frame"]["median"] / milliseconds["invoke"]["median"], 3)}


def table(figures):
    """Return the figures of `bench` as lines of text for people."""
    lines = [f"{figures['bundle']}, beam {figures['beam']}, {figures['runtime']}, {figures['rounds']} rounds",
             f"{'milliseconds':12} {'median':>9} {'p90':>9}"]
    lines += [f"{name:12} {step['median']:9.2f} {step['p90']:9.2f}" for name, step in figures["milliseconds"].items()]
    return [*lines, f"a frame takes {figures['ratio']:.2f} times the bare encoder's invoke"]


def _milliseconds(step):
    start = time.perf_counter()
    step()
    return (time.perf_counter() - start) * 1e3
