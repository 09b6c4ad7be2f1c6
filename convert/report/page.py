"""A page that shows what a conversion did: one HTML file with its plots and tables."""

import io
from html import escape

import matplotlib
from matplotlib.figure import Figure

from picaption.models.evaluation.evaluate import rows
from picaption.models.evaluation.gallery import write_page

from .diagnostics import WEAK

#: Layers that are named as the worst, in the plot and in the table.
NAMED, WORST = 4, 12
#: Colours that the colour-blind tell apart (Wong, "Points of view: Color blindness", Nature Methods 2011).
BEFORE, AFTER, BAD = "#999999", "#0072B2", "#D55E00"

STYLE = """
table { border-collapse: collapse; font-variant-numeric: tabular-nums; margin: .5rem 0 1rem }
.wide { overflow-x: auto } th, td { padding: .2rem .8rem; border-bottom: 1px solid var(--line); text-align: right }
th { color: var(--faint); font-weight: 400 } th:first-child, td:first-child { text-align: left }
figure { margin: 0; max-width: 60rem; background: #fff; border: 1px solid var(--line); border-radius: .5rem; overflow-x: auto }
figure svg { display: block; min-width: 40rem; width: 100%; height: auto }
li { color: var(--text); margin-bottom: .5rem } summary { cursor: pointer }
"""


def write_report_page(path, figures):
    """Write `figures`, as picaption.convert.report.figures leaves them, as an HTML file that needs no other to `path`, whole or not at all."""
    advised = "".join(
        f"<li>{escape(each['symptom'])}.<br><b>{escape(each['fix'])}</b></li>\n"
        for each in figures["advice"]
    )
    body = [
        section(
            "What is off",
            "What the figures below show, and what mends it.",
            f"<ul>{advised}</ul>" if advised else "<p>Nothing that these figures show.</p>",
        ),
        section(
            "Size",
            "Bytes of each part, in float32 and in the bundle.",
            svg(plot_sizes(figures["bytes"])),
        ),
    ]
    if "evaluation" in figures:
        body.append(
            section(
                "Quality",
                f"Measured as picaption evaluate does; {figures['evaluation']['left_out']} pictures that gave "
                "ranges are left out.",
                table(("", "float32", "bundle"), quality(figures)),
            )
        )
    if figures["layers"]:
        body.append(
            section(
                "Layers",
                "Signal to noise of each layer's output against the float graph, on the held-out pictures, in "
                "decibels: 20 are an error of a hundredth of the power.",
                svg(plot_layers(figures["layers"])),
            )
        )
        body += [
            f"<p>The worst; lost are the decibels that the layer itself took.</p>{layer_table(worst(figures['layers'])[:WORST])}",
            f"<details><summary>All {len(figures['layers'])} layers</summary>{layer_table(figures['layers'])}</details>",
        ]
    timed = figures["latency"]
    body.append(
        section(
            "Work and time",
            f"{timed['runtime']}, one thread of this machine; multiply-adds of convolutions and "
            "products alone.",
            table(
                (
                    "signature",
                    "operators",
                    "in XNNPACK",
                    "million multiply-adds",
                    "milliseconds, float32",
                    "bundle",
                    "90th percentile",
                ),
                work(figures),
            ),
        )
    )
    body.append(
        section(
            "Operators",
            "By kind; those that XNNPACK does not run are TFLite's own.",
            table(
                ("signature", "operator", "all", "in XNNPACK"),
                [
                    (name, kind, each["all"], each["xnnpack"])
                    for name, kinds in figures["operators"].items()
                    for kind, each in kinds.items()
                ],
            ),
        )
    )
    write_page(
        path, f"{figures['name']}, {figures['precision']}", summary(figures), "".join(body), STYLE
    )


def section(name, what, content):
    """Return the HTML of a part of the page: its heading, what it shows as text, and its content, HTML."""
    return f"<section>\n<h2>{escape(name)}</h2>\n<p>{escape(what)}</p>\n{content}\n</section>\n"


def table(names, lines):
    """Return the HTML of a table of values under column names."""
    told = "".join(
        f"<tr>{''.join(f'<{cell}>{escape(str(value))}</{cell}>' for value in line)}</tr>\n"
        for cell, line in [("th", names), *(("td", line) for line in lines)]
    )
    return f'<div class="wide"><table>\n{told}</table></div>'


def layer_table(layers):
    """Return the HTML of a table of layers."""
    return table(
        ("layer", "signature", "operator", "decibels", "lost"),
        [
            (layer["name"], layer["signature"], layer["kind"], layer["decibels"], layer["lost"])
            for layer in layers
        ],
    )


def worst(layers):
    """Return layers with the lowest decibels first."""
    return sorted(layers, key=lambda layer: layer["decibels"])


def summary(figures):
    """Return what heads a report as (name, value) texts."""
    agreement, given = figures["agreement"], figures["representative"]
    total = {
        name: sum(part[name] for part in figures["bytes"].values())
        for name in ("float32", "bundle")
    }
    found = [
        ("bundle", "not written" if figures["beyond"] else "written"),
        ("sha256", f"{figures['sha256'][:12]}..."),
        ("weights", figures["weights"]),
        ("runs on", figures["runtime"]),
        ("megabytes", f"{total['bundle'] / 1e6:.3f} of {total['float32'] / 1e6:.3f}"),
        ("representative", f"{given['pictures']}, seed {given['seed']}"),
        ("held out", str(given["held_out"])),
        ("features, 1 - cosine", f"{agreement['features']:.5f}"),
    ]
    if "next_word" in figures["operators"]:
        found += [
            ("nats a word", f"{agreement['words']:.5f}"),
            ("the very same caption", f"{agreement['caption']:.0%}"),
        ]
    if "classify" in figures["operators"]:
        found += [
            ("class scores differ by", f"{agreement['classes']:.5f}"),
            ("the same likeliest class", f"{agreement['top']:.0%}"),
        ]
    return found


def quality(figures):
    """Return (score, float32, bundle) texts of what both models were measured by."""
    before, after = (dict(rows(figures["evaluation"][name])) for name in ("float32", "bundle"))
    return [(name, value, after[name]) for name, value in before.items()]


def work(figures):
    """Return the rows of what each signature costs."""
    found = []
    for name, spent in figures["latency"]["milliseconds"].items():
        kinds = figures["operators"][name].values()
        found.append(
            (
                name,
                sum(each["all"] for each in kinds),
                sum(each["xnnpack"] for each in kinds),
                f"{figures['multiply_adds'][name] / 1e6:.3f}",
                f"{spent['float32']['median']:.3f}",
                f"{spent['bundle']['median']:.3f}",
                f"{spent['bundle']['p90']:.3f}",
            )
        )
    return found


def plot_sizes(parts):
    """Return a matplotlib figure of the bytes of each part, before and after."""
    figure = Figure(figsize=(8, 0.6 + 0.45 * len(parts)), layout="constrained")
    axis = figure.subplots()
    for shift, name, colour in ((-0.2, "float32", BEFORE), (0.2, "bundle", AFTER)):
        sizes = [part[name] / 1e6 for part in parts.values()]
        bars = axis.barh(
            [place + shift for place in range(len(parts))], sizes, 0.38, color=colour, label=name
        )
        axis.bar_label(bars, [f"{size:.3f}" for size in sizes], padding=3, fontsize=8)
    axis.set_yticks(range(len(parts)), parts)
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.set_xlabel("megabytes")
    axis.legend()
    return figure


def plot_layers(layers):
    """Return a matplotlib figure of the decibels of every layer in order, the worst named."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axis = figure.subplots()
    for signature in dict.fromkeys(layer["signature"] for layer in layers):
        places = [place for place, layer in enumerate(layers) if layer["signature"] == signature]
        axis.plot(
            places,
            [layers[place]["decibels"] for place in places],
            marker="o",
            markersize=3,
            linewidth=1,
            label=signature,
            color=AFTER if signature == "encode" else "#E69F00",
        )
    axis.axhline(WEAK, color=BAD, linewidth=1, linestyle="--")
    for layer in worst(layers)[:NAMED]:
        axis.annotate(
            layer["name"].replace("$", r"\$"),
            (layers.index(layer), layer["decibels"]),
            (0, -6),
            fontsize=7,
            color=BAD,
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="top",
        )
    axis.set(xlabel="layer, in order", ylabel="signal to noise, dB")
    axis.set_ylim(bottom=min(0, *(layer["decibels"] for layer in layers)) - 12)
    axis.grid(axis="y", alpha=0.3)
    axis.legend()
    return figure


def svg(figure):
    """Return a matplotlib figure as the HTML of an inline SVG, the same for the same figure."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "picaption", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return f"<figure>{text[text.index('<svg') :]}</figure>"
