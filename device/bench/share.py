"""The rows of docs/reports/boards.md: what a board's owner contributes of a measurement."""

import re

from .figures import Report, Run

#: The columns of the table, in order.
HEADINGS = (
    *("board", "processor", "system", "runtime", "threads"),
    *("encoder, ms", "frame, ms", "live, ms", "memory, MB"),
    *("picaption", "bundle", "day", "doubts"),
)


def share_lines(report: Report) -> list[str]:
    """Return a Markdown table with a row for each run of a report.

    A row has medians in milliseconds, of the live loop with the 99th percentile behind it. It names
    neither the computer nor the camera, whose address may hold a password.
    """
    header = [_row(HEADINGS), "|" + "---|" * len(HEADINGS)]
    return header + [_row(_cells(report, run)) for run in report.runs]


def _cells(report: Report, run: Run) -> tuple[str, ...]:
    """Return the texts of a run's row, one for each of HEADINGS."""
    machine = report.machine
    bundle = report.bundle
    live = run.steps.get("live")
    memory = run.peak_megabytes
    return (
        machine.board or "",
        f"{machine.cores or '?'} x {machine.cpu}",
        machine.system,
        run.runtime,
        str(run.threads),
        f"{run.steps['encode'].p50:.1f}",
        f"{run.steps['frame'].p50:.1f}",
        f"{live.p50:.1f} ({live.p99:.1f})" if live else "",
        "" if memory is None else f"{memory:.0f}",
        report.picaption,
        f"{bundle.name} {bundle.sha256[:8]}",
        report.measured_at[:10],
        "; ".join(run.doubts) or "none",
    )


def _row(cells: tuple[str, ...]) -> str:
    """Return a row of a Markdown table; what a cell holds stays text, and in its cell."""
    shown = (re.sub(r"([|\\<\[`*])", r"\\\1", " ".join(cell.split())) for cell in cells)
    return f"| {' | '.join(shown)} |"
