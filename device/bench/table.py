"""The figures of `picaption bench` as lines of text for people."""

#: The columns: heading, field of a step's figures, and how its value is shown.
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


def cells(step):
    """Return the texts of one row, as COLUMNS has them; what is not known is a dash."""
    return ["-" if step[field] is None else format(step[field], form) for _, field, form in COLUMNS]


def table(figures):
    """Return the figures of picaption.device.bench.bench.bench as lines of text."""
    lines = headlines(figures)
    for run in figures["runs"]:
        lines += [
            "",
            *run_lines(run),
            "",
            f"{'milliseconds':12} " + " ".join(f"{heading:>8}" for heading, *_ in COLUMNS),
        ]
        lines += [
            f"{name:12} " + " ".join(f"{cell:>8}" for cell in cells(step))
            for name, step in run["steps"].items()
        ]
        lines += ["", ratio(run), *(f"doubtful: {line}" for line in run["doubts"])]
    return lines + [f"failed: {line}" for line in figures["failed"]]


def headlines(figures):
    """Return what was measured, where, and how good it is."""
    bundle, where = figures["bundle"], figures["machine"]
    lines = [
        f"{bundle['file']}, {bundle['bytes'] / 1e6:.2f} MB, beam {bundle['beam']}; picaption {figures['picaption']}, "
        f"{figures['measured_at']}",
        f"{where['board'] or 'no board that tells its name'}, {where['cores']} x {where['cpu']} "
        f"({' '.join(where['instructions']) or 'no int8 instructions'}), {where['system']}, kernel {where['kernel']}",
    ]
    for each in figures["accuracy"]:
        shown = ", ".join(
            f"{name.replace('_', ' ')} {value:g}"
            for name, value in each.items()
            if isinstance(value, (int, float))
            and not isinstance(value, bool)
            and name not in ("pictures", "beam")
        )
        lines.append(f"accuracy on {each['pictures']} pictures: {shown}")
    return lines


def run_lines(run):
    """Return how a run began, what it took, and how the machine fared meanwhile."""
    seen = run["machine"]
    told = [f"governor {seen['governor']}"] if seen["governor"] else []
    if seen["megahertz"]:
        told.append("{lowest} to {highest} MHz".format_map(seen["megahertz"]))
    if seen["celsius"]:
        told.append("{start:.0f} degrees Celsius, {end:.0f} in the end".format_map(seen["celsius"]))
    if seen["throttled"] is not None:
        told.append(f"held back by {', '.join(seen['throttled']) or 'nothing'}")
    if seen["others"] is not None:
        told.append(f"{seen['others']:.2f} cores busy with something else")
    peak = f", at most {run['peak_megabytes']:.0f} MB" if run["peak_megabytes"] else ""
    watts = (
        ""
        if run["watts"] is None
        else f", {run['watts']:.2f} W and {run['millijoules_a_frame']:.0f} mJ a frame in the live loop"
    )
    return [
        f"{run['runtime']}, threads: {run['threads']}: loaded in {run['load_ms']:.0f} ms, first caption "
        f"{run['first_caption_ms']:.0f} ms after the start{peak}{watts}",
        "; ".join(told),
    ]


def ratio(run):
    """Return what a frame costs beside the bare encoder, and where the live loop's frames come from, as a line."""
    steps = run["steps"]
    return (
        f"a frame takes {steps['frame']['p50'] / steps['encode']['p50']:.2f} times the bare encoder; "
        f"live: from capture to result, frames of {run['source']}"
    )
