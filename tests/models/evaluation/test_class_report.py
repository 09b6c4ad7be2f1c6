"""The report of a classifier of class folders: its figures are right, its mistakes shown."""

import shutil

import numpy as np
import pytest

from picaption.device import default_bundle
from picaption.models.evaluation.class_report import class_report, report_lines
from picaption.models.training.class_folders import train_classes


def test_figures_by_hand():
    counts = np.array([[3, 1, 0], [0, 2, 0], [2, 0, 0]])
    truth = np.array([0, 0, 0, 0, 1, 1, 2, 2])
    predicted = np.array([0, 0, 0, 1, 1, 1, 0, 0])
    report = class_report(counts, np.eye(3)[predicted] * 0.8 + 0.1, truth, ("a", "b", "c"))
    figures = report.to_json()
    assert (figures["pictures"], figures["top_1"]) == (8, 62.5)
    assert figures["calibration_error"] == pytest.approx(100 * (0.9 - 0.625))
    assert figures["macro_f1"] == pytest.approx(100 * (6 / 9 + 4 / 5 + 0) / 3, abs=0.01)
    assert figures["classes"] == [
        {"class": "a", "pictures": 4, "precision": 60.0, "recall": 75.0},
        {"class": "b", "pictures": 2, "precision": 66.67, "recall": 100.0},
        {"class": "c", "pictures": 2, "precision": 0.0, "recall": 0.0},
    ]
    assert figures["confusions"] == [
        {"true": "c", "told": "a", "pictures": 2},
        {"true": "a", "told": "b", "pictures": 1},
    ]
    lines = report_lines(report)
    assert lines[1].split() == ["a", "4", "60.0", "75.0"]
    assert lines[4] == "taken for another: 2 of c for a"
    assert lines[-1] == "8 pictures: 62.5 % right, macro F1 48.9, expected calibration error 27.5 %"


def test_mistakes_are_shown_the_surest_first(data, tmp_path):
    folder = shutil.copytree(data / "folders", tmp_path / "classes")
    # An image in the wrong folder is one that the classifier cannot but get wrong.
    path = min((folder / "coffee").iterdir())
    shutil.move(path, folder / "cat" / "lost & found.jpg")
    figures = train_classes(folder, default_bundle(), tmp_path / "run").to_json()
    page = (tmp_path / "run" / "mistakes.html").read_text()
    assert {"true": "cat", "told": "coffee", "pictures": 1} in figures["confusions"]
    assert "lost &amp; found.jpg" in page and "predicted: coffee" in page
    assert page.count("<article>") == 24 - round(24 * figures["top_1"] / 100)
