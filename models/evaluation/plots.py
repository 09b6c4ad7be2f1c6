"""Plots of measurements, drawn by matplotlib without a screen."""

import os
from pathlib import Path

from matplotlib.figure import Figure

from picaption.device.errors import PicaptionError

#: A colour a head, told apart by the colour-blind too (Wong, "Points of view: Color blindness", Nature Methods 2011).
COLOURS = {
    "image": "#999999",
    "image, wide": "#000000",
    "caption": "#E69F00",
    "fused": "#0072B2",
    "shuffled": "#D55E00",
    "human": "#009E73",
}
#: The most panels of a study beside each other.
PANELS = 4
#: The most classes whose names are written beside a confusion matrix, and whose pictures are counted in its cells.
NAMED, COUNTED = 60, 25


def plot_study(path, rows, measure):
    """Draw the rows of picaption.models.evaluation.caption_study.study to `path`: a panel a kind of frames, a line a head, bars for the spread of the
    draws; measure: what the score is."""
    panels = list(dict.fromkeys(row["frames"] for row in rows))
    lines = -(-len(panels) // PANELS)
    columns = -(-len(panels) // lines)
    figure = Figure(figsize=(3.4 * columns + 1.4, 3.7 * lines), layout="constrained")
    axes = figure.subplots(lines, columns, sharey=True, squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.remove()
    drawn = {}
    for axis, panel in zip(axes.flat, panels):
        shown = [row for row in rows if row["frames"] == panel]
        for head, colour in COLOURS.items():
            if head in shown[0]:
                means = [row[head] for row in shown]
                bars = [
                    [abs(mean - row["spread"][head][side]) for mean, row in zip(means, shown)]
                    for side in (0, 1)
                ]
                drawn[head] = axis.errorbar(
                    range(len(shown)),
                    means,
                    bars,
                    color=colour,
                    marker="o",
                    markersize=3,
                    capsize=2,
                    linewidth=2 if head == "fused" else 1,
                )
        axis.set_xticks(range(len(shown)), [row["pictures"] or "all" for row in shown])
        axis.set(title=panel, xlabel="pictures a class")
        axis.grid(axis="y", alpha=0.3)
    for axis in axes[:, 0]:
        axis.set_ylabel(measure)
    figure.legend(drawn.values(), drawn.keys(), loc="outside right center")
    save(figure, path)


def plot_confusion(path, counts, classes):
    """Draw a confusion matrix to `path`; counts: int [C, C], a row a true class, a column the class that was told."""
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    size = max(4, min(14, 2.5 + 0.3 * len(classes)))
    figure = Figure(figsize=(size, size), layout="constrained")
    axis = figure.subplots()
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= NAMED:
        axis.set_xticks(range(len(classes)), [_shown(name) for name in classes], rotation=90)
        axis.set_yticks(range(len(classes)), [_shown(name) for name in classes])
    if len(classes) <= COUNTED:
        for row, column in zip(*counts.nonzero()):
            axis.text(
                column,
                row,
                int(counts[row, column]),
                ha="center",
                va="center",
                color="white" if shares[row, column] > 0.5 else "black",
            )
    axis.set(xlabel="told", ylabel="true")
    save(figure, path)


def save(figure, path):
    """Write a matplotlib figure to `path`, whole or not at all; its ending chooses the format. Raises PicaptionError where
    it cannot be written."""
    path = Path(path)
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        figure.savefig(partial, dpi=110)
        os.replace(partial, path)
    except ValueError:
        raise PicaptionError(
            f"{path} has no ending of a plot that can be drawn; use .png, .svg or .pdf"
        ) from None
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be written ({error.strerror}); check the folder"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def _shown(name):
    """Return a class' name as matplotlib shall write it: it takes what stands between dollar signs for formulas."""
    return name.replace("$", r"\$")
