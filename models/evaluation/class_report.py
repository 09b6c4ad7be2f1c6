"""The report of a classifier of class folders: figures, confusion matrix and mistakes.

All of it is about images that the classifier in question was not fitted to: the dev folders', or
each training image by a classifier fitted to four fifths of the others.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from picaption.device.atomic import write_text
from picaption.device.errors import PicaptionError
from picaption.device.html_page import html_paragraphs, html_section
from picaption.device.recognition.classifier import probabilities
from picaption.device.teaching.examples import ClassExamples

from .gallery import card_grid, data_uri, image_card, write_page
from .metrics import expected_calibration_error, percent

#: How many confusions the figures name.
MAX_CONFUSIONS = 10
#: How many mistakes the page shows.
MAX_MISTAKES = 200
#: The longest side of the confusion matrix on the page, in pixels.
MATRIX_SIDE = 1400


@dataclass(frozen=True)
class ClassFigures:
    """How good a classifier is at one class.

    name: of the class
    images: how many there are of it
    precision, recall: in per cent
    """

    name: str
    images: int
    precision: float
    recall: float


@dataclass(frozen=True)
class Confusion:
    """How many images of a class were taken for another."""

    true: str
    predicted: str
    images: int


@dataclass(frozen=True)
class ClassReport:
    """How good a classifier is.

    images: how many
    top_1, macro_f1, calibration_error: in per cent
    classes: each class
    confusions: the most frequent ones, the most frequent first
    """

    images: int
    top_1: float
    macro_f1: float
    calibration_error: float
    classes: list[ClassFigures]
    confusions: list[Confusion]

    def to_json(self) -> dict[str, Any]:
        """Return the report as report.json has it."""
        return {
            "pictures": self.images,
            "top_1": self.top_1,
            "macro_f1": self.macro_f1,
            "calibration_error": self.calibration_error,
            "classes": [
                {
                    "class": figures.name,
                    "pictures": figures.images,
                    "precision": figures.precision,
                    "recall": figures.recall,
                }
                for figures in self.classes
            ],
            "confusions": [
                {
                    "true": confusion.true,
                    "told": confusion.predicted,
                    "pictures": confusion.images,
                }
                for confusion in self.confusions
            ],
        }


def write_report(folder: Path, examples: ClassExamples, logits: np.ndarray) -> ClassReport:
    """Write report.json, confusion.png and mistakes.html to a run's folder.

    Args:
        folder: Of the run.
        examples: The images.
        logits: Of them, [N, C]; nan where no classifier was fitted without the image.

    Returns:
        What report.json holds.

    Raises:
        PicaptionError: No image has logits.
    """
    # Takes half a second to load, which picaption convert need not wait.
    from .plots import plot_confusion

    known = ~np.isnan(logits).any(1)
    if not known.any():
        raise PicaptionError(
            "there are too few pictures to try the classifier on: give more, or others with "
            "--classes-dev"
        )
    labels = examples.labels
    truth = examples.truth[known].argmax(1)
    scores = probabilities(logits[known], multi_label=False)
    paths = [path for path, has_logits in zip(examples.paths, known) if has_logits]
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (truth, scores.argmax(1)), 1)
    report = class_report(counts, scores, truth, labels)
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False) + "\n"
    write_text(folder / "report.json", text)
    plot_confusion(folder / "confusion.png", counts, labels)
    write_mistakes(folder / "mistakes.html", report, labels, paths, truth, scores)
    return report


def class_report(
    counts: np.ndarray, scores: np.ndarray, truth: np.ndarray, labels: Sequence[str]
) -> ClassReport:
    """Return the figures of a confusion matrix.

    Args:
        counts: The matrix, int [C, C], a row a true class, a column a predicted one.
        scores: Probabilities [N, C].
        truth: The class id of each image, int [N].
        labels: Names of the classes.
    """
    right = np.diag(counts)
    predicted = counts.sum(0)
    images = counts.sum(1)
    precision = right / np.maximum(predicted, 1)
    recall = right / np.maximum(images, 1)
    f1 = 2 * right / np.maximum(predicted + images, 1)
    error = expected_calibration_error(scores.max(1), scores.argmax(1) == truth)
    return ClassReport(
        images=len(truth),
        top_1=percent(right.sum() / len(truth)),
        macro_f1=percent(f1.mean()),
        calibration_error=percent(error),
        classes=[
            ClassFigures(label, int(images[row]), percent(precision[row]), percent(recall[row]))
            for row, label in enumerate(labels)
        ],
        confusions=_confusions(counts, labels)[:MAX_CONFUSIONS],
    )


def _confusions(counts: np.ndarray, labels: Sequence[str]) -> list[Confusion]:
    """Return all confusions, the most frequent first, equal ones in the order of the classes."""
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    cells = sorted((-wrong[row, column], row, column) for row, column in zip(*wrong.nonzero()))
    return [Confusion(labels[row], labels[column], int(-count)) for count, row, column in cells]


def report_lines(report: ClassReport) -> list[str]:
    """Return a report as lines of text."""
    width = max(len(figures.name) for figures in report.classes)
    lines = [f"{'class':{width}}  pictures  precision  recall"]
    for figures in report.classes:
        lines.append(
            f"{figures.name:{width}}  {figures.images:8}  {figures.precision:9.1f}  "
            f"{figures.recall:6.1f}"
        )
    for confusion in report.confusions:
        lines.append(
            f"taken for another: {confusion.images} of {confusion.true} for {confusion.predicted}"
        )
    lines.append(
        f"{report.images} pictures: {report.top_1:.1f} % right, macro F1 {report.macro_f1:.1f}, "
        f"expected calibration error {report.calibration_error:.1f} %"
    )
    return lines


def write_mistakes(
    path: Path,
    report: ClassReport,
    labels: Sequence[str],
    paths: Sequence[Path],
    truth: np.ndarray,
    scores: np.ndarray,
) -> None:
    """Write an HTML page of the wrong predictions, the surest first, and the confusion matrix.

    Args:
        path: Of the page; confusion.png stands beside it.
        report: Figures for the top of the page.
        labels: Names of the classes.
        paths: Of the images.
        truth: The class id of each image, int [N].
        scores: Probabilities [N, C].
    """
    predicted = scores.argmax(1)
    confidence = scores.max(1)
    wrong = np.flatnonzero(predicted != truth)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")]
    cards = []
    for index in wrong[:MAX_MISTAKES]:
        content = html_paragraphs("caption", [labels[truth[index]]])
        content += (
            f"<p>predicted: {escape(labels[predicted[index]])}, {confidence[index]:.0%} sure</p>\n"
        )
        content += html_paragraphs("faint", [str(paths[index])])
        cards.append(image_card(paths[index], paths[index].name, content))
    if cards:
        shown = "all of them" if len(wrong) <= MAX_MISTAKES else f"{MAX_MISTAKES} of them"
        lead = f"{shown}, the surest first."
        body = html_section(f"{len(wrong)} mistakes", lead, card_grid("".join(cards)))
    else:
        body = "<p>There are no mistakes.</p>\n"
    matrix = data_uri(path.with_name("confusion.png"), MATRIX_SIDE)
    matrix = f'<img alt="Confusion matrix" src="{matrix}" style="max-width: 100%">'
    body += html_section("Confusion matrix", "A row a true class.", matrix)
    write_page(path, "What was taken for what", _page_figures(report), body)


def _page_figures(report: ClassReport) -> list[tuple[str, str]]:
    rows = [
        ("Pictures", str(report.images)),
        ("Right", f"{report.top_1:.1f} %"),
        ("Macro F1", f"{report.macro_f1:.1f} %"),
        ("Calibration error", f"{report.calibration_error:.1f} %"),
    ]
    for figures in report.classes:
        value = f"{figures.precision:.0f}\u00a0%, {figures.recall:.0f}\u00a0%"
        rows.append((f"{figures.name}: precision, recall", value))
    return rows
