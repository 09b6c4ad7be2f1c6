"""The figures of `picaption bench` as one HTML page that needs no other file: tables, histograms, and the course of each step."""

import math
from html import escape

import numpy as np

from .table import COLUMNS, cells, headlines, ratio, run_lines

#: Size of a drawing, and what its axes take on the left and below, in pixels.
WIDTH, HEIGHT, LEFT, BELOW = 420, 160, 46, 20
#: Bars of a histogram.
BARS = 40
#: Ticks are at least such a part of an axis apart, so that their numbers do not touch.
MOST = 6

STYLE = """
:root { color-scheme: light dark; --page: #f6f6f4; --card: #fff; --text: #1c1c1a; --faint: #62625c; --line: #dcdcd6;
  --mark: #1f6fb2; --warn: #a04000 }
@media (prefers-color-scheme: dark) {
  :root { --page: #161614; --card: #222220; --text: #ecece8; --faint: #a0a098; --line: #3a3a36; --mark: #6db3ec; --warn: #f0a060 } }
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem; max-width: 62rem; background: var(--page); color: var(--text);
  font: 1rem/1.4 system-ui, sans-serif; overflow-wrap: anywhere }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin: 2rem 0 .3rem } h3 { font-size: 1rem; margin: 0 0 .3rem }
p { margin: .3rem 0 } .faint, th, figcaption { color: var(--faint) } .warn { color: var(--warn) }
.wide { overflow-x: auto } table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums }
th { font-weight: 400 } th, td { padding: .2rem .5rem; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap } th:first-child, td:first-child { text-align: left }
.step { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .7rem; margin: 1rem 0 }
.step div { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(20rem, 100%), 1fr)) }
figure { margin: 0 } figcaption { font-size: .85rem } svg { display: block; width: 100%; height: auto }
svg text { fill: var(--faint); font-size: 11px } svg .grid { stroke: var(--line) }
svg .bars { fill: var(--mark) } svg .dots { stroke: var(--mark); stroke-width: 3; stroke-linecap: round; opacity: .45 }
svg .middle { fill: none; stroke: var(--text); stroke-width: 1.5 }
"""


def page_of(figures):
    """Return the figures of picaption.device.bench.bench.bench as an HTML page."""
    title = f"What {figures['bundle']['file']} takes"
    body = "".join(f'<p class="faint">{escape(line)}</p>\n' for line in headlines(figures))
    body += "".join(_run(run) for run in figures["runs"])
    body += "".join(f'<p class="warn">failed: {escape(line)}</p>\n' for line in figures["failed"])
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
{body}</body>
</html>
"""


def _run(run):
    head = "".join(f"<th>{heading}</th>" for heading, *_ in COLUMNS)
    rows = "".join(
        f"<tr><td>{escape(name)}</td>"
        + "".join(f"<td>{cell}</td>" for cell in cells(step))
        + "</tr>\n"
        for name, step in run["steps"].items()
    )
    lines = [*run_lines(run), ratio(run)]
    return (
        f"<section>\n<h2>{escape(run['runtime'])}, threads: {run['threads']}</h2>\n"
        + "".join(f'<p class="faint">{escape(line)}</p>\n' for line in lines if line)
        + "".join(f'<p class="warn">doubtful: {escape(line)}</p>\n' for line in run["doubts"])
        + f'<div class="wide"><table>\n<tr><th>milliseconds</th>{head}</tr>\n{rows}</table></div>\n'
        + "".join(_step(name, step["rounds"]) for name, step in run["steps"].items())
        + "</section>\n"
    )


def _step(name, rounds):
    spent = np.concatenate([np.array(each, float) for each in rounds])
    return (
        f'<div class="step">\n<h3>{escape(name)}</h3>\n<div>\n'
        f"<figure>{histogram(spent)}<figcaption>calls by milliseconds; {len(spent)} of them, evenly spaced"
        "</figcaption></figure>\n"
        f"<figure>{course(rounds)}<figcaption>milliseconds by round, in the order of time; the line is the rounds' medians"
        "</figcaption></figure>\n</div>\n</div>\n"
    )


def histogram(spent):
    """Return an SVG of how often each latency came: `spent`, milliseconds [N], in bars on a logarithmic axis."""
    low, high = _ends(spent)
    counts, edges = np.histogram(np.log(spent), BARS, (math.log(low), math.log(high)))
    across = _Axis(math.log(low), math.log(high), LEFT, WIDTH)
    up = _Axis(0, counts.max(), HEIGHT - BELOW, 4)
    bars = "".join(
        f"M{across(left):.1f} {up(0):.1f}V{up(count):.1f}H{across(right):.1f}V{up(0):.1f}"
        for count, left, right in zip(counts, edges, edges[1:])
        if count
    )
    marks = "".join(
        f'<text x="{across(math.log(tick)):.1f}" y="{HEIGHT - 4}" text-anchor="middle">{tick:g}</text>'
        for tick in ticks(low, high)
    )
    return _svg(
        f'<path class="bars" d="{bars}"/>{marks}<text x="{LEFT - 6}" y="14" text-anchor="end">{counts.max()}</text>'
    )


def course(rounds):
    """Return an SVG of how latency changed: a dot for each call in `rounds`, and a line through the rounds' medians."""
    low, high = _ends(np.concatenate([np.array(each, float) for each in rounds]))
    across = _Axis(0, len(rounds), LEFT, WIDTH)
    up = _Axis(math.log(low), math.log(high), HEIGHT - BELOW, 6)
    dots = "".join(
        f"M{across(number + (place + 0.5) / len(each)):.1f} {up(math.log(spent)):.1f}h0"
        for number, each in enumerate(rounds)
        for place, spent in enumerate(each)
    )
    middles = " ".join(
        f"{across(number + 0.5):.1f},{up(math.log(np.median(each))):.1f}"
        for number, each in enumerate(rounds)
    )
    grid = "".join(
        f'<path class="grid" d="M{LEFT} {up(math.log(tick)):.1f}H{WIDTH}"/>'
        f'<text x="{LEFT - 6}" y="{up(math.log(tick)) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks(low, high)
    )
    ends = "".join(
        f'<text x="{across(place):.1f}" y="{HEIGHT - 4}" text-anchor="middle">{number}</text>'
        for place, number in {0.5: 1, len(rounds) - 0.5: len(rounds)}.items()
    )
    return _svg(
        f'{grid}<path class="dots" d="{dots}"/><polyline class="middle" points="{middles}"/>{ends}'
    )


def ticks(low, high):
    """Return round numbers between two, three or more of them where there are so many, none closer to another than a MOST-th
    of the whole."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in (
        (1,),
        (1, 3),
        (1, 2, 5),
        (1, 1.5, 2, 3, 4, 6, 8),
        [tenths / 10 for tenths in range(10, 100)],
    ):
        found = [
            float(f"{step * 10.0**power:.3g}")
            for power in powers
            for step in steps
            if low <= step * 10.0**power <= high
        ]
        if len(found) >= 3:
            kept = found[:1]
            for tick in found[1:]:
                if math.log(tick / kept[-1]) >= math.log(high / low) / MOST:
                    kept.append(tick)
            return kept
    return [float(f"{value:.4g}") for value in (low, high)]


class _Axis:
    """Where a value from `low` to `high` stands in a drawing, from one place to another."""

    def __init__(self, low, high, first, last):
        self._low, self._scale, self._first = low, (last - first) / (high - low), first

    def __call__(self, value):
        return self._first + (value - self._low) * self._scale


def _ends(spent):
    """Return the least and the greatest of `spent`, a little apart and never the same."""
    return float(spent.min()) / 1.02, float(spent.max()) * 1.02


def _svg(inside):
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{inside}</svg>'
