"""Plots of measurements, drawn by matplotlib without a screen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure

from picaption.device.atomic import atomic_write
from picaption.device.errors import PicaptionError

from .confidence_report import CALIBRATION_BINS, CLEAN_SHARE, RatedCaptions, risk_coverage

#: A colour a head, distinct for the colour-blind too (Wong, "Points of view: Color blindness",
#: Nature Methods 2011).
COLOURS = {
    "image": "#999999",
    "image, wide": "#000000",
    "caption": "#E69F00",
    "fused": "#0072B2",
    "shuffled": "#D55E00",
    "human": "#009E73",
}
#: The most panels of a study beside each other.
PANELS_A_LINE = 4
#: The most classes whose names are written beside a confusion matrix.
MAX_NAMED_CLASSES = 60
#: The most classes whose images are counted in its cells.
MAX_COUNTED_CLASSES = 25
#: Resolution of a file of pixels.
DOTS_AN_INCH = 110

#: A row of picaption.models.evaluation.caption_study.study.
StudyRow = Mapping[str, Any]


def plot_study(path: str | Path, rows: Sequence[StudyRow], score: str) -> None:
    """Write the plot that `draw_study` draws; the parameters are its and `save_figure`'s."""
    save_figure(draw_study(rows, score), path)


def draw_study(rows: Sequence[StudyRow], score: str) -> Figure:
    """Return a plot with a panel for each sort of frames, a line a head, bars for the spread.

    Args:
        rows: Those of picaption.models.evaluation.caption_study.study.
        score: What their scores are, with the unit.
    """
    panels = list(dict.fromkeys(row["frames"] for row in rows))
    lines = -(-len(panels) // PANELS_A_LINE)
    columns = -(-len(panels) // lines)
    figure = Figure(figsize=(3.4 * columns + 1.4, 3.7 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    legend: dict[str, Any] = {}
    for axis, panel in zip(axes.flat, panels):
        legend |= _draw_panel(axis, panel, [row for row in rows if row["frames"] == panel])
    for axis in axes[:, 0]:
        axis.set_ylabel(score)
    figure.legend(list(legend.values()), list(legend), loc="outside right center")
    return figure


def _draw_panel(axis: Axes, panel: str, rows: Sequence[StudyRow]) -> dict[str, ErrorbarContainer]:
    """Draw the rows of one sort of frames; return the line of each head."""
    lines = {}
    for head, colour in COLOURS.items():
        if head not in rows[0]:
            continue
        means = [row[head] for row in rows]
        below = [abs(row[head] - row["spread"][head][0]) for row in rows]
        above = [abs(row[head] - row["spread"][head][1]) for row in rows]
        lines[head] = axis.errorbar(
            range(len(rows)),
            means,
            [below, above],
            color=colour,
            marker="o",
            markersize=3,
            capsize=2,
            linewidth=2 if head == "fused" else 1,
        )
    axis.set_xticks(range(len(rows)), [row["pictures"] or "all" for row in rows])
    axis.set(title=panel, xlabel="pictures a class")
    axis.grid(axis="y", alpha=0.3)
    return lines


def plot_confusion(path: str | Path, counts: np.ndarray, classes: Sequence[str]) -> None:
    """Write the plot of a confusion matrix.

    Args:
        path: The file; its suffix chooses the format.
        counts: int [C, C], a row a true class, a column a predicted one.
        classes: Their names.

    Raises:
        PicaptionError: The file cannot be written.
    """
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    size = max(4, min(14, 2.5 + 0.3 * len(classes)))
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MAX_NAMED_CLASSES:
        names = [escape_formulas(name) for name in classes]
        axis.set_xticks(range(len(classes)), names, rotation=90)
        axis.set_yticks(range(len(classes)), names)
    if len(classes) <= MAX_COUNTED_CLASSES:
        for row, column in zip(*counts.nonzero()):
            axis.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else "black",
            )
    axis.set(xlabel="predicted", ylabel="true")
    save_figure(figure, path)


def plot_confidence(path: str | Path, rated: RatedCaptions) -> None:
    """Write the plot that `draw_confidence` draws; the parameters are its and `save_figure`'s."""
    save_figure(draw_confidence(rated), path)


def draw_confidence(rated: RatedCaptions) -> Figure:
    """Return a reliability diagram of captions' confidence, and what is clean by coverage.

    On the left a point for each tenth of confidence, with bars of 95 % (Wilson, "Probable
    Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927) and below how many
    captions it has. On the right the share of clean captions among the surest; the mark is where
    the bundle's threshold lies.
    """
    figure = Figure(figsize=(10, 5), layout="constrained")
    grid = figure.add_gridspec(2, 2, height_ratios=(4, 1))
    _draw_reliability(figure.add_subplot(grid[0, 0]), figure.add_subplot(grid[1, 0]), rated)
    axis = figure.add_subplot(grid[:, 1])
    curve = risk_coverage(rated.confidences, rated.is_clean)
    axis.plot(100 * curve.coverage, 100 * curve.clean, color=COLOURS["fused"])
    axis.axhline(100 * CLEAN_SHARE, color=COLOURS["image"], linewidth=1, linestyle="--")
    shown = rated.shown
    if shown.any():
        axis.plot(
            100 * shown.mean(),
            100 * rated.is_clean[shown].mean(),
            color=COLOURS["shuffled"],
            marker="o",
            linestyle="",
            label=f"shown without doubt: confidence from {rated.threshold:.2f}",
        )
        axis.legend(loc="lower left")
    lowest = min(90.0, 100 * float(curve.clean.min()) - 5)
    axis.set(title="the surest captions", xlim=(0, 100), ylim=(lowest, 101))
    axis.set(xlabel="captions shown, %", ylabel="of those clean, %")
    axis.grid(alpha=0.3)
    return figure


def _draw_reliability(axis: Axes, counts_axis: Axes, rated: RatedCaptions) -> None:
    """Draw the shares of clean captions by confidence, and how many captions there are."""
    confidences = rated.confidences
    bins = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    counts = np.bincount(bins, minlength=CALIBRATION_BINS)
    filled = counts > 0
    sizes = counts[filled]
    means = np.bincount(bins, confidences, CALIBRATION_BINS)[filled] / sizes
    clean = np.bincount(bins, rated.is_clean, CALIBRATION_BINS)[filled] / sizes
    below, above = _wilson_interval(clean, sizes)
    axis.plot([0, 1], [0, 1], color=COLOURS["image"], linewidth=1, linestyle="--")
    # By rounding, an end may lie a little on the wrong side of a share of 0 or 1.
    reach = np.maximum(0, [clean - below, above - clean])
    axis.errorbar(means, clean, reach, color=COLOURS["fused"], marker="o", capsize=2)
    axis.set(title="calibration", xlim=(0, 1), ylim=(0, 1.02), ylabel="share of clean captions")
    axis.grid(alpha=0.3)
    edges = np.arange(CALIBRATION_BINS) / CALIBRATION_BINS
    width = 1 / CALIBRATION_BINS
    counts_axis.bar(edges, counts, 0.9 * width, align="edge", color=COLOURS["fused"])
    counts_axis.set(xlim=(0, 1), xlabel="confidence", ylabel="captions")


def _wilson_interval(shares: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return Wilson's interval of 95 % for shares of so many."""
    z = 1.96
    middle = shares + z * z / (2 * counts)
    reach = z * np.sqrt(shares * (1 - shares) / counts + (z / (2 * counts)) ** 2)
    scale = 1 + z * z / counts
    return (middle - reach) / scale, (middle + reach) / scale


def save_figure(figure: Figure, path: str | Path) -> None:
    """Write a matplotlib figure, completely or not at all.

    Args:
        figure: What to write.
        path: The file; its suffix chooses the format.

    Raises:
        PicaptionError: It cannot be written.
    """
    try:
        with atomic_write(path) as partial:
            figure.savefig(partial, dpi=DOTS_AN_INCH)
    except ValueError:
        raise PicaptionError(
            f"{path} has no ending of a plot that can be drawn; use .png, .svg or .pdf"
        ) from None
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be written ({error.strerror}); check the folder"
        ) from None


def escape_formulas(name: str) -> str:
    """Return a name as matplotlib shows it: text between dollar signs would be a formula."""
    return name.replace("$", r"\$")
