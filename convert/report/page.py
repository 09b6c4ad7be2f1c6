"""A page that shows what a conversion did: one HTML file with its plots and tables."""

import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from picaption.device.atomic import write_text
from picaption.device.html_page import html_figures, html_page, html_section, html_table
from picaption.models.evaluation.plots import COLOURS, escape_formulas

from .diagnostics import LOW_DECIBELS
from .figures import MixedFigures, PartSize, Report
from .layer_snr import LayerFigures
from .model_explorer import node_data
from .table import mixed_rows, quality_rows, signature_rows, summary, worst_layers

#: How the name of Model Explorer's file ends.
MODEL_EXPLORER_SUFFIX = ".model-explorer.json"
#: The worst layers that the plot names.
NAMED_LAYERS = 4
#: The worst layers in the table.
LISTED_LAYERS = 12
#: Colours of both models, of signatures but `encode`, and of what is too low.
FLOAT_COLOUR = COLOURS["image"]
BUNDLE_COLOUR = COLOURS["fused"]
HEAD_COLOUR = COLOURS["caption"]
LOW_COLOUR = COLOURS["shuffled"]

STYLE = """
h2 + p { margin: 0 0 .8rem }
table { margin: .5rem 0 1rem } th, td { padding: .2rem .8rem }
figure { max-width: 60rem; background: #fff; border: 1px solid var(--line); border-radius: .5rem;
  overflow-x: auto }
figure svg { min-width: 40rem }
li { margin-bottom: .5rem } summary { cursor: pointer }
"""


def write_report(path: Path, report: Report) -> Path:
    """Write a report as a page and as JSON beside it, each completely or not at all.

    The layers' figures are in a file of their own as well, for Model Explorer.

    Args:
        path: The page, which ends in .html, or the folder of a report.html.
        report: What to write.

    Returns:
        The page's path.
    """
    if path.suffix != ".html":
        path.mkdir(exist_ok=True)
        path /= "report.html"
    write_text(path.with_suffix(".json"), json.dumps(report.to_json(), indent=1) + "\n")
    explorer = path.with_suffix(MODEL_EXPLORER_SUFFIX)
    write_text(explorer, json.dumps(node_data(report.layers), indent=1) + "\n")
    write_text(path, report_page(report))
    return path


def report_page(report: Report) -> str:
    """Return the page of a report, which needs no other file."""
    body = html_figures(summary(report))
    body += _advice_section(report)
    body += html_section(
        "Size",
        "Bytes of each part, in float32 and in the bundle.",
        _inline_svg(plot_sizes(report.sizes)),
    )
    if report.evaluation is not None:
        body += html_section(
            "Quality",
            f"Measured as picaption evaluate does; {report.evaluation.left_out} pictures that gave "
            "ranges are left out.",
            html_table(("", "float32", "bundle"), quality_rows(report)),
        )
    if report.mixed is not None:
        body += _mixed_section(report.mixed)
    if report.layers:
        body += _layers_section(report.layers)
    body += _latency_section(report)
    body += _operators_section(report)
    return html_page(f"{report.name}, {report.precision}", body, STYLE)


def _advice_section(report: Report) -> str:
    items = "".join(
        f"<li>{escape(advice.symptom)}.<br><b>{escape(advice.fix)}</b></li>\n"
        for advice in report.advice
    )
    content = f"<ul>{items}</ul>" if items else "<p>None: these figures show no problem.</p>"
    return html_section("Problems found", "And how to fix each of them.", content)


def _mixed_section(mixed: MixedFigures) -> str:
    rows = [(index + 1, layer) for index, layer in enumerate(mixed.outcome.layers)]
    return html_section(
        "In floating point",
        "Layers whose outputs keep all of their digits; the first wins the most.",
        html_table(("", "figure"), mixed_rows(mixed)) + html_table(("", "layer"), rows),
    )


def _layers_section(layers: Sequence[LayerFigures]) -> str:
    section = html_section(
        "Layers",
        "Signal to noise of each layer's output against the float graph, on the held-out "
        "pictures, in decibels: 20 are an error of a hundredth of the power.",
        _inline_svg(plot_layers(layers)),
    )
    worst = _layer_table(worst_layers(layers)[:LISTED_LAYERS])
    section += (
        "<p>To see them in the graph, open the bundle in Model Explorer, with the file beside this "
        f"page that ends in <code>{MODEL_EXPLORER_SUFFIX}</code> as its node data.</p>"
    )
    return (
        f"{section}<p>The worst; lost are the decibels that the layer itself took.</p>{worst}"
        f"<details><summary>All {len(layers)} layers</summary>{_layer_table(layers)}</details>"
    )


def _layer_table(layers: Sequence[LayerFigures]) -> str:
    headings = ("layer", "signature", "operator", "decibels", "lost")
    rows = [
        (layer.name, layer.signature, layer.opcode, layer.decibels, layer.lost) for layer in layers
    ]
    return html_table(headings, rows)


def _latency_section(report: Report) -> str:
    headings = (
        "signature",
        "operators",
        "in XNNPACK",
        "million multiply-adds",
        "milliseconds, float32",
        "bundle",
        "90th percentile",
    )
    return html_section(
        "Work and time",
        f"{report.latency.runtime}, one thread of this machine; multiply-adds of convolutions and "
        "products alone.",
        html_table(headings, signature_rows(report)),
    )


def _operators_section(report: Report) -> str:
    rows = [
        (name, opcode, count.all, count.xnnpack)
        for name, counts in report.operators.items()
        for opcode, count in counts.items()
    ]
    return html_section(
        "Operators",
        "By kind; those that XNNPACK does not run are TFLite's own.",
        html_table(("signature", "operator", "all", "in XNNPACK"), rows),
    )


def plot_sizes(sizes: Mapping[str, PartSize]) -> Figure:
    """Return a plot of the bytes of each part, in float32 and in the bundle."""
    figure = Figure(figsize=(8, 0.6 + 0.45 * len(sizes)), layout="constrained")
    axis = figure.subplots()
    series = {
        "float32": ([size.float32 for size in sizes.values()], -0.2, FLOAT_COLOUR),
        "bundle": ([size.bundle for size in sizes.values()], 0.2, BUNDLE_COLOUR),
    }
    for name, (part_bytes, shift, colour) in series.items():
        positions = [index + shift for index in range(len(sizes))]
        megabytes = [count / 1e6 for count in part_bytes]
        bars = axis.barh(positions, megabytes, 0.38, color=colour, label=name)
        axis.bar_label(bars, [f"{size:.3f}" for size in megabytes], padding=3, fontsize=8)
    axis.set_yticks(range(len(sizes)), list(sizes))
    axis.invert_yaxis()
    axis.margins(x=0.1)
    axis.set_xlabel("megabytes")
    axis.legend()
    return figure


def plot_layers(layers: Sequence[LayerFigures]) -> Figure:
    """Return a plot of the decibels of every layer in order, the worst named."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    axis = figure.subplots()
    for signature in dict.fromkeys(layer.signature for layer in layers):
        indices = [index for index, layer in enumerate(layers) if layer.signature == signature]
        axis.plot(
            indices,
            [layers[index].decibels for index in indices],
            marker="o",
            markersize=3,
            linewidth=1,
            label=signature,
            color=BUNDLE_COLOUR if signature == "encode" else HEAD_COLOUR,
        )
    axis.axhline(LOW_DECIBELS, color=LOW_COLOUR, linewidth=1, linestyle="--")
    for layer in worst_layers(layers)[:NAMED_LAYERS]:
        axis.annotate(
            escape_formulas(layer.name),
            (layers.index(layer), layer.decibels),
            (0, -6),
            fontsize=7,
            color=LOW_COLOUR,
            textcoords="offset points",
            rotation=90,
            ha="center",
            va="top",
        )
    axis.set(xlabel="layer, in order", ylabel="signal to noise, dB")
    axis.set_ylim(bottom=min(0, *(layer.decibels for layer in layers)) - 12)
    axis.grid(axis="y", alpha=0.3)
    axis.legend()
    return figure


def _inline_svg(figure: Figure) -> str:
    """Return a plot as the HTML of an inline SVG, the same for the same plot."""
    file = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "picaption", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return f"<figure>{text[text.index('<svg') :]}</figure>"
