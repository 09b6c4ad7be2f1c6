"""What changed between two measurements of `picaption bench`, and whether it is more than chance.

For each step that both have, with the same runtime and threads: the ratio of the medians, and the
interval in which 99 % of the ratios lie when rounds are resampled from each measurement. It is a
bootstrap by rounds, since calls of a round are too much alike to count as so many. The rounds do
not show that a whole process may be faster or slower than the next; MARGIN allows for that.
"""

import os
from collections.abc import Sequence

import numpy as np

from ..errors import PicaptionError
from .accuracy import read_json
from .figures import JSON_VERSION, Report, Run

#: Samples of the bootstrap.
BOOTSTRAP_SAMPLES = 2000
#: How many per cent of the ratios the interval holds.
INTERVAL_PERCENT = 99
#: How far the interval must be from 1 to count as a change: processes that do the same differ by
#: as much.
MARGIN = 0.02

#: The milliseconds of one step: a float array for each round.
Rounds = list[np.ndarray]
#: A run's runtime, without its version, and its number of threads.
RunKey = tuple[str, int]


def compare_files(before: str | os.PathLike[str], after: str | os.PathLike[str]) -> list[str]:
    """Return the lines on what is different in the second of two JSON files of `picaption bench`.

    Raises:
        PicaptionError: A file holds something else, or the two have nothing in common.
    """
    return compare(read_report(before), read_report(after))


def read_report(path: str | os.PathLike[str]) -> Report:
    """Return the report in a JSON file; raises PicaptionError if it holds none of this version."""
    values = read_json(path, "what picaption bench --json wrote")
    unusable = PicaptionError(f"{path} is not what picaption bench --json writes; write it again")
    if not isinstance(values, dict) or "version" not in values:
        raise unusable
    if values["version"] != JSON_VERSION:
        raise PicaptionError(
            f"{path} has version {values['version']!r}, this picaption reads version "
            f"{JSON_VERSION}: measure both with the same picaption"
        )
    try:
        report = Report.from_json(values)
        rounds_by_step(report)
        _surroundings(report)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise unusable from None
    return report


def rounds_by_step(report: Report) -> dict[tuple[RunKey, str], Rounds]:
    """Return the rounds of every step of every run.

    Raises:
        ValueError: A step has no rounds, or times that are not positive.
    """
    steps = {}
    for run in report.runs:
        for name, step in run.steps.items():
            rounds = [np.array(calls, float) for calls in step.rounds]
            if not rounds or not all(calls.size and (calls > 0).all() for calls in rounds):
                raise ValueError(f"{name} has rounds without times")
            steps[_key(run), name] = rounds
        if not all(isinstance(line, str) for line in run.doubts):
            raise ValueError("doubts that are not text")
    return steps


def compare(before: Report, after: Report) -> list[str]:
    """Return the lines on what is different in the second of two reports.

    Raises:
        PicaptionError: They have no step in common.
    """
    steps_before = rounds_by_step(before)
    steps_after = rounds_by_step(after)
    shared = [key for key in steps_before if key in steps_after]
    if not shared:
        raise PicaptionError(
            "the two have no step with the same runtime and threads: measure both with the same "
            "--threads"
        )
    doubtful = {_key(run) for report in (before, after) for run in report.runs if run.doubts}
    lines = _differing_surroundings(before, after)
    lines.append(
        f"{'median, milliseconds':38} {'before':>8} {'after':>8} {'ratio':>6}  "
        f"{INTERVAL_PERCENT} % of ratios"
    )
    for run_key, step in shared:
        old = steps_before[run_key, step]
        new = steps_after[run_key, step]
        ratio, low, high = ratio_of_medians(old, new)
        runtime, threads = run_key
        lines.append(
            f"{f'{runtime}, threads {threads}, {step}':38} {_median(old):8.3f} {_median(new):8.3f} "
            f"{ratio:6.3f}  {low:.3f} to {high:.3f}  {verdict(low, high, run_key in doubtful)}"
        )
    return lines + _doubts("before", before) + _doubts("after", after)


def ratio_of_medians(before: Rounds, after: Rounds, seed: int = 1) -> tuple[float, float, float]:
    """Return how much slower one measurement of a step is than another.

    Args:
        before: The rounds, arrays of milliseconds, that the ratio is by.
        after: The other rounds.
        seed: Of the bootstrap.

    Returns:
        The ratio of the medians, and the lower and upper end of its interval.
    """
    random = np.random.default_rng(seed)
    medians_after = _bootstrap_medians(after, random)
    ratios = medians_after / _bootstrap_medians(before, random)
    half = INTERVAL_PERCENT / 2
    low, high = np.percentile(ratios, (50 - half, 50 + half))
    return _median(after) / _median(before), float(low), float(high)


def _bootstrap_medians(rounds: Rounds, random: np.random.Generator) -> np.ndarray:
    """Return the median over the calls of each of BOOTSTRAP_SAMPLES resamples of the rounds."""
    milliseconds = np.concatenate(rounds)
    round_indices = np.repeat(np.arange(len(rounds)), [len(calls) for calls in rounds])
    order = np.argsort(milliseconds)
    # How often each round is in a sample, and so each of its calls, from the quickest on: the
    # median is where half of the calls are reached.
    weights = np.full(len(rounds), 1 / len(rounds))
    copies = random.multinomial(len(rounds), weights, BOOTSTRAP_SAMPLES)
    reached = np.cumsum(copies[:, round_indices[order]], axis=1)
    half = reached[:, -1:] / 2
    lower = milliseconds[order[(reached < half).sum(1)]]
    upper = milliseconds[order[(reached <= half).sum(1)]]
    return (lower + upper) / 2


def verdict(low: float, high: float, doubtful: bool = False) -> str:
    """Return what an interval of the ratio, after by before, shows.

    Args:
        low: Its lower end.
        high: Its upper end.
        doubtful: Whether a measurement is; a busy machine slows whole measurements.
    """
    if low <= 1 + MARGIN and high >= 1 - MARGIN:
        return "within noise"
    change = "slower" if low > 1 else "faster"
    return f"{change}, doubtful" if doubtful else change


def _key(run: Run) -> RunKey:
    return run.runtime.split()[0], int(run.threads)


def _median(rounds: Rounds) -> float:
    return float(np.median(np.concatenate(rounds)))


def _surroundings(report: Report) -> dict[str, object]:
    machine = report.machine
    return {
        "picaption": report.picaption,
        "the bundle": report.bundle.sha256[:12],
        "the beam": report.bundle.beam,
        "the board": machine.board,
        "the processor": f"{machine.cores} x {machine.cpu}",
        "the system": machine.system,
        "the kernel": machine.kernel,
        "runtimes": _distinct([run.runtime for run in report.runs]),
        "the source": _distinct([run.source for run in report.runs]),
    }


def _distinct(texts: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(texts))


def _differing_surroundings(before: Report, after: Report) -> list[str]:
    """Return a line for each thing around the measurements that is not the same."""
    surroundings_after = _surroundings(after)
    return [
        f"{name} differs: {old}, then {surroundings_after[name]}"
        for name, old in _surroundings(before).items()
        if old != surroundings_after[name]
    ]


def _doubts(when: str, report: Report) -> list[str]:
    return [
        f"doubtful {when}, threads {run.threads}: {line}"
        for run in report.runs
        for line in run.doubts
    ]
