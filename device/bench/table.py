"""The figures of `picaption bench` as lines of text for people."""

from typing import Any

from .figures import Conditions, Report, Run, StepFigures

#: The columns: heading, field of StepFigures, and how its value is formatted.
COLUMNS = (
    ("first", "first", ".3f"),
    ("mean", "mean", ".3f"),
    ("p50", "p50", ".3f"),
    ("p90", "p90", ".3f"),
    ("p95", "p95", ".3f"),
    ("p99", "p99", ".3f"),
    ("max", "max", ".3f"),
    ("a second", "per_second", ".1f"),
    ("calls", "count", "d"),
    ("varied %", "varied_percent", ".1f"),
)
#: Numbers of an accuracy that measure no quality.
NOT_SCORES = ("pictures", "beam")


def table(report: Report) -> list[str]:
    """Return all figures as lines of text."""
    headings = " ".join(f"{heading:>8}" for heading, *_ in COLUMNS)
    lines = headlines(report)
    for run in report.runs:
        lines += ["", *run_lines(run), "", f"{'milliseconds':12} {headings}"]
        for name, step in run.steps.items():
            lines.append(f"{name:12} " + " ".join(f"{cell:>8}" for cell in step_cells(step)))
        lines += ["", cost_line(run), *(f"doubtful: {line}" for line in run.doubts)]
    return lines + [f"failed: {line}" for line in report.failed]


def step_cells(step: StepFigures) -> list[str]:
    """Return the texts of a step's row, one for each of COLUMNS; a dash for what is unknown."""
    return [_format_cell(getattr(step, field), form) for _, field, form in COLUMNS]


def _format_cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def headlines(report: Report) -> list[str]:
    """Return what was measured, where, and how good it is, as lines of text."""
    bundle = report.bundle
    machine = report.machine
    board = machine.board or "no board that tells its name"
    instructions = " ".join(machine.instructions) or "no int8 instructions"
    return [
        f"{bundle.file}, {bundle.bytes / 1e6:.2f} MB, beam {bundle.beam}; picaption "
        f"{report.picaption}, {report.measured_at}",
        f"{board}, {machine.cores} x {machine.cpu} ({instructions}), {machine.system}, kernel "
        f"{machine.kernel}",
        *(_accuracy_line(accuracy) for accuracy in report.accuracy),
    ]


def _accuracy_line(accuracy: dict[str, Any]) -> str:
    scores = ", ".join(
        f"{name.replace('_', ' ')} {value:g}"
        for name, value in accuracy.items()
        if isinstance(value, (int, float))
        and not isinstance(value, bool)
        and name not in NOT_SCORES
    )
    return f"accuracy on {accuracy['pictures']} pictures: {scores}"


def run_lines(run: Run) -> list[str]:
    """Return how a run began, what it took, and how the machine fared meanwhile."""
    start = (
        f"{run.runtime}, threads: {run.threads}: loaded in {run.load_ms:.0f} ms, first caption "
        f"{run.first_caption_ms:.0f} ms after the start"
    )
    if run.peak_megabytes:
        start += f", at most {run.peak_megabytes:.0f} MB"
    if run.watts is not None:
        start += (
            f", {run.watts:.2f} W and {run.millijoules_a_frame:.0f} mJ a frame in the live loop"
        )
    return [start, _conditions_line(run.conditions)]


def _conditions_line(conditions: Conditions) -> str:
    parts = []
    if conditions.governor:
        parts.append(f"governor {conditions.governor}")
    if conditions.megahertz:
        parts.append(f"{conditions.megahertz.lowest} to {conditions.megahertz.highest} MHz")
    if conditions.celsius:
        parts.append(
            f"{conditions.celsius.start:.0f} degrees Celsius, {conditions.celsius.end:.0f} in the "
            "end"
        )
    if conditions.throttled is not None:
        parts.append(f"held back by {', '.join(conditions.throttled) or 'nothing'}")
    if conditions.busy_cores is not None:
        parts.append(f"{conditions.busy_cores:.2f} cores busy with something else")
    return "; ".join(parts)


def cost_line(run: Run) -> str:
    """Return what a frame costs beside the bare encoder, and where the live frames come from."""
    ratio = run.steps["frame"].p50 / run.steps["encode"].p50
    return (
        f"a frame takes {ratio:.2f} times the bare encoder; live: from capture to result, frames "
        f"of {run.source}"
    )
