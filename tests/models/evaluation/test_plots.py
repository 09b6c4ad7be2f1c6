"""Plots hold what they are drawn of, and are written completely or not at all."""

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.models.evaluation.caption_study import HEADS
from picaption.models.evaluation.confidence_report import RatedCaptions
from picaption.models.evaluation.plots import (
    COLOURS,
    draw_confidence,
    draw_study,
    escape_formulas,
    plot_confidence,
    plot_confusion,
    plot_study,
)


def row(frames, heads, pictures=None):
    """Return a row of a study in which every head scores 50, 40 to 70 by the draws."""
    scores = dict.fromkeys(heads, 50.0)
    spread = {head: [40.0, 70.0] for head in heads}
    return {"frames": frames, "pictures": pictures, **scores, "spread": spread}


def test_the_plot_names_every_head_that_any_panel_has():
    panels = ["clean", "dark", "noise", "blur", "jpeg", "captioned", "together"]
    machine_heads = [head for head in COLOURS if head != "human"]
    rows = []
    for panel in panels:
        heads = COLOURS if panel == "captioned" else machine_heads
        rows += [row(panel, heads, pictures) for pictures in (1, None)]
    figure = draw_study(rows, "top-1, %")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(HEADS)
    assert [axis.get_title() for axis in figure.axes] == panels
    assert len({axis.get_position().y0 for axis in figure.axes}) == 2
    assert [text.get_text() for text in figure.axes[0].get_xticklabels()] == ["1", "all"]
    assert figure.axes[0].get_ylabel() == "top-1, %"


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_the_suffix_chooses_the_format(tmp_path, suffix):
    plot_study(tmp_path / f"study.{suffix}", [row("clean", COLOURS)], "top-1, %")
    assert [path.name for path in tmp_path.iterdir()] == [f"study.{suffix}"]


def test_a_plot_that_fails_leaves_nothing(tmp_path):
    counts = np.eye(2, dtype=int)
    with pytest.raises(PicaptionError, match="no ending of a plot that can be drawn"):
        plot_confusion(tmp_path / "confusion.txt", counts, ["cat", "dog"])
    with pytest.raises(PicaptionError, match="cannot be written .No such file or directory."):
        plot_confusion(tmp_path / "none" / "confusion.png", counts, ["cat", "dog"])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("classes", [2, 26, 61])
def test_a_confusion_matrix_of_many_classes_is_drawn(tmp_path, classes):
    names = [f"{index} $" for index in range(classes)]
    plot_confusion(tmp_path / "confusion.png", np.eye(classes, dtype=int), names)
    assert (tmp_path / "confusion.png").stat().st_size > 1000


def test_dollar_signs_are_no_formulas():
    assert escape_formulas("$5 and $6") == r"\$5 and \$6"


def test_the_reliability_diagram_shows_what_is_known(tmp_path):
    rated = RatedCaptions(
        np.array([0.05, 0.92, 0.98, 0.55]), np.array([False, True, True, False]), 0.9
    )
    calibration, counts, surest = draw_confidence(rated).axes
    points = calibration.lines[1]
    np.testing.assert_allclose(points.get_xdata(), [0.05, 0.55, 0.95])
    np.testing.assert_allclose(points.get_ydata(), [0, 0, 1])
    assert [bar.get_height() for bar in counts.patches] == [1, 0, 0, 0, 0, 1, 0, 0, 0, 2]
    np.testing.assert_allclose(surest.lines[0].get_ydata(), [100, 100, 200 / 3, 50])
    assert surest.lines[2].get_xdata() == [50.0] and surest.lines[2].get_ydata() == [100.0]
    plot_confidence(tmp_path / "reliability.svg", rated)
    assert (tmp_path / "reliability.svg").stat().st_size > 1000
    # A caption alone, and a threshold that none reaches.
    draw_confidence(RatedCaptions(np.array([1.0]), np.array([True]), 1.0))
    assert not draw_confidence(RatedCaptions(np.zeros(1), np.zeros(1, bool), 0.5)).legends
