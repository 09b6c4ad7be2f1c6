"""Reports of `picaption bench` with figures that tests know."""

from dataclasses import replace

from picaption.device.bench.figures import (
    ClockRange,
    Conditions,
    Machine,
    MeasuredBundle,
    Report,
    Run,
    Temperatures,
)
from picaption.device.bench.steps import summarize_step

CALM = Conditions(governor=None, megahertz=None, celsius=None, throttled=None, busy_cores=None)
HOT = Conditions(
    governor="performance",
    megahertz=ClockRange(1500, 2400),
    celsius=Temperatures(50.2, 61.7, 62.0),
    throttled=(),
    busy_cores=0.02,
)


def make_run(steps, **changes):
    """Return a Run of `steps`, rounds of milliseconds by name."""
    values = {
        "runtime": "ai-edge-litert 2.3.0",
        "threads": 1,
        "source": "demo",
        "load_ms": 31.4,
        "first_caption_ms": 250.0,
        "peak_megabytes": None,
        "watts": None,
        "millijoules_a_frame": None,
        "conditions": CALM,
        "doubts": (),
    }
    figures = {name: summarize_step(rounds, None, 3) for name, rounds in steps.items()}
    return Run(steps=figures, **(values | changes))


def make_report(*runs, **changes):
    """Return a Report of `runs`."""
    values = {
        "picaption": "0.1.0",
        "measured_at": "2026-01-02T03:04:05+00:00",
        "bundle": MeasuredBundle("everyday.tflite", "everyday", 5_196_000, "a" * 64, 3),
        "machine": Machine(None, "Debian", "6.1", "AMD EPYC", 2, (), "3.11.7"),
        "seconds": 5.0,
        "calls": None,
        "accuracy": (),
        "failed": (),
    }
    return Report(runs=runs, **(values | changes))


#: A report with all there is, and names that HTML must escape.
KNOWN_REPORT = make_report(
    replace(
        make_run(
            {"frame": [[8.0], [10.0]]},
            runtime="ai-edge-litert <2.3.0>",
            threads=2,
            peak_megabytes=96.4,
            watts=4.5,
            millijoules_a_frame=180.0,
            conditions=HOT,
            doubts=("it was <hot>",),
        ),
        steps={
            "encode": summarize_step([[4.0, 5.0], [6.0, 5.0]], 9.5, 3),
            "frame": summarize_step([[8.0], [10.0]], None, 3),
        },
    ),
    bundle=MeasuredBundle("every<day>.tflite", "everyday", 5_196_000, "a" * 64, 3),
    machine=Machine("Raspberry Pi 5", "Debian 12", "6.6", "Cortex-A76", 4, ("asimddp",), "3.11"),
    accuracy=({"model": "m", "pictures": 1000, "beam": 3, "CIDEr": 54.0, "style": {"new": 3}},),
    failed=("tflite-runtime: broken",),
)
