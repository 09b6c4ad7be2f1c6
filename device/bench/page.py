"""The figures of `picaption bench` as one HTML page: tables, and two drawings for each step."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from ..html_page import html_page, html_paragraphs, html_table
from .figures import Report, Run
from .table import COLUMNS, cost_line, headlines, run_lines, step_cells

#: Size of a drawing in pixels.
WIDTH = 420
HEIGHT = 160
#: What its axes take of that, on the left and below.
LEFT_MARGIN = 46
BOTTOM_MARGIN = 20
#: Bars of a histogram.
BARS = 40
#: Ticks are at least such a part of an axis apart, so that their numbers do not touch.
MAX_TICKS = 6
#: Numbers from 1 to 10 that ticks go by, from the roundest on.
TICK_STEPS = (
    (1.0,),
    (1.0, 3.0),
    (1.0, 2.0, 5.0),
    (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0),
    tuple(tenths / 10 for tenths in range(10, 100)),
)

STYLE = """
body { max-width: 62rem }
h3 { font-size: 1rem; margin: 0 0 .3rem } p { margin: .3rem 0 } h2 + p { margin: 0 }
table { width: 100% } th, td { padding: .2rem .5rem; white-space: nowrap }
.step { background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  padding: .7rem; margin: 1rem 0 }
.step div { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)) }
figcaption { color: var(--faint); font-size: .85rem }
svg text { fill: var(--faint); font-size: 11px } svg .grid { stroke: var(--line) }
svg .bars { fill: var(--mark) }
svg .dots { stroke: var(--mark); stroke-width: 3; stroke-linecap: round; opacity: .45 }
svg .middle { fill: none; stroke: var(--text); stroke-width: 1.5 }
"""


def bench_page(report: Report) -> str:
    """Return the figures as an HTML page."""
    body = html_paragraphs("faint", headlines(report))
    body += "".join(_run_section(run) for run in report.runs)
    body += html_paragraphs("warn", [f"failed: {line}" for line in report.failed])
    return html_page(f"What {report.bundle.file} takes", body, STYLE)


def _run_section(run: Run) -> str:
    headings = ["milliseconds", *(heading for heading, *_ in COLUMNS)]
    rows = [[name, *step_cells(step)] for name, step in run.steps.items()]
    lines = [line for line in (*run_lines(run), cost_line(run)) if line]
    return (
        f"<section>\n<h2>{escape(run.runtime)}, threads: {run.threads}</h2>\n"
        + html_paragraphs("faint", lines)
        + html_paragraphs("warn", [f"doubtful: {line}" for line in run.doubts])
        + html_table(headings, rows)
        + "".join(_step_card(name, step.rounds) for name, step in run.steps.items())
        + "</section>\n"
    )


def _step_card(name: str, rounds: Sequence[Sequence[float]]) -> str:
    milliseconds = _all_calls(rounds)
    return (
        f'<div class="step">\n<h3>{escape(name)}</h3>\n<div>\n'
        f"<figure>{draw_histogram(milliseconds)}<figcaption>calls by milliseconds; "
        f"{len(milliseconds)} of them, evenly spaced</figcaption></figure>\n"
        f"<figure>{draw_course(rounds)}<figcaption>milliseconds by round, in the order of time; "
        "the line is the rounds' medians</figcaption></figure>\n</div>\n</div>\n"
    )


def draw_histogram(milliseconds: np.ndarray) -> str:
    """Return an SVG of how often each latency, of an array [N], came, on a logarithmic axis."""
    low, high = _limits(milliseconds)
    log_limits = (math.log(low), math.log(high))
    counts, edges = np.histogram(np.log(milliseconds), BARS, log_limits)
    x_axis = _Axis(*log_limits, LEFT_MARGIN, WIDTH)
    y_axis = _Axis(0, counts.max(), HEIGHT - BOTTOM_MARGIN, 4)
    floor = f"{y_axis(0):.1f}"
    bars = "".join(
        f"M{x_axis(left):.1f} {floor}V{y_axis(count):.1f}H{x_axis(right):.1f}V{floor}"
        for count, left, right in zip(counts, edges, edges[1:])
        if count
    )
    labels = "".join(_bottom_label(x_axis(math.log(tick)), tick) for tick in ticks(low, high))
    top_label = _left_label(14, counts.max())
    return _svg(f'<path class="bars" d="{bars}"/>{labels}{top_label}')


def draw_course(rounds: Sequence[Sequence[float]]) -> str:
    """Return an SVG of how the latency changed: a dot a call, and a line through the medians."""
    low, high = _limits(_all_calls(rounds))
    x_axis = _Axis(0, len(rounds), LEFT_MARGIN, WIDTH)
    y_axis = _Axis(math.log(low), math.log(high), HEIGHT - BOTTOM_MARGIN, 6)
    dots = "".join(
        f"M{x_axis(index + (call + 0.5) / len(calls)):.1f} {y_axis(math.log(milliseconds)):.1f}h0"
        for index, calls in enumerate(rounds)
        for call, milliseconds in enumerate(calls)
    )
    medians = " ".join(
        f"{x_axis(index + 0.5):.1f},{y_axis(math.log(np.median(calls))):.1f}"
        for index, calls in enumerate(rounds)
    )
    grid = ""
    for tick in ticks(low, high):
        height = y_axis(math.log(tick))
        grid += f'<path class="grid" d="M{LEFT_MARGIN} {height:.1f}H{WIDTH}"/>'
        grid += _left_label(f"{height + 4:.1f}", tick)
    # With one round, both are the same.
    ends = {0.5: 1, len(rounds) - 0.5: len(rounds)}
    labels = "".join(_bottom_label(x_axis(middle), number) for middle, number in ends.items())
    return _svg(
        f'{grid}<path class="dots" d="{dots}"/>'
        f'<polyline class="middle" points="{medians}"/>{labels}'
    )


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers between two, for an axis on which they lie a MAX_TICKS-th apart.

    There are three or more before those that are too close are left out; if there are no round
    numbers in between, the two themselves.
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in TICK_STEPS:
        candidates = [
            float(f"{step * 10.0**power:.3g}")
            for power in powers
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(candidates) >= 3:
            return _thinned(candidates, math.log(high / low) / MAX_TICKS)
    return [float(f"{value:.4g}") for value in (low, high)]


def _thinned(candidates: Sequence[float], distance: float) -> list[float]:
    """Return the ticks whose logarithms are at least that far from the tick before."""
    spaced = [candidates[0]]
    for tick in candidates[1:]:
        if math.log(tick / spaced[-1]) >= distance:
            spaced.append(tick)
    return spaced


@dataclass(frozen=True)
class _Axis:
    """Maps values from `low` to `high` to pixels from `first` to `last`."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        return self.first + (value - self.low) * ((self.last - self.first) / (self.high - self.low))


def _all_calls(rounds: Sequence[Sequence[float]]) -> np.ndarray:
    return np.concatenate([np.array(calls, float) for calls in rounds])


def _limits(milliseconds: np.ndarray) -> tuple[float, float]:
    """Return the least and the greatest value, a little apart and never the same."""
    return float(milliseconds.min()) / 1.02, float(milliseconds.max()) * 1.02


def _bottom_label(x: float, value: float) -> str:
    return f'<text x="{x:.1f}" y="{HEIGHT - 4}" text-anchor="middle">{value:g}</text>'


def _left_label(y: int | str, value: float) -> str:
    return f'<text x="{LEFT_MARGIN - 6}" y="{y}" text-anchor="end">{value:g}</text>'


def _svg(content: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{content}</svg>'
