"""Classes of one's own for a bundle: its classifier fitted to class folders, and what came of it.

`picaption train --classes` does what picaption.device.recognition.teach does on a board, for folders of any size, and leaves a run with a report.
Every figure in it is of pictures that the classifier in question was not fitted to: the dev folders' where there are some,
else each picture by a classifier fitted to four fifths of the others.
"""

import json
import logging
import shutil
import zipfile
from html import escape
from pathlib import Path

import numpy as np
from tqdm import tqdm

from picaption.device import Recognizer
from picaption.device.bundle.bundle import Bundle, read_bundle
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import probabilities
from picaption.device.recognition.teach import (
    file_hash,
    extract_features,
    find_class_images,
    fit_classes,
    require_enough_images,
    write_taught_bundle,
)

from ..files import read_lines, save_arrays, write_lines, write_text
from ..run_folder import load_classifier, save_classifier
from .gallery import data_uri, write_page
from .metrics import expected_calibration_error, percent

log = logging.getLogger("picaption")

#: The file of a run of class folders by which it is known: the bundle that it stands on.
BASE = "base.tflite"
#: How many pictures are kept to check the bundle with, how many confusions are told, and how many mistakes are shown.
CHECKED, CONFUSIONS, MISTAKES = 50, 10, 200


def train_classes(folder, base, run, dev=None, threads=None):
    """Fit a classifier to the class folders in `folder` over the bundle `base`, leave it in the folder `run`, and return its
    figures (see `figures_of`).

    dev: class folders of the same names for the figures and the calibration. Pictures of `folder` that stand there too
    are left out. Raises PicaptionError on unusable pictures.
    """
    run = Path(run)
    if (run / "settings.json").exists():
        raise PicaptionError(f"{run} holds a run of a recipe: give another --out")
    contents = read_bundle(base)
    labels, pictures, skipped = find_class_images(folder)
    if dev:
        others, dev_pictures, dev_skipped = find_class_images(dev)
        if others != labels:
            raise PicaptionError(
                f"{folder} and {dev} have different classes: "
                + ", ".join(sorted({*labels} ^ {*others}))
            )
        pictures, shared = without(pictures, dev_pictures)
        skipped += [*dev_skipped, *shared]
        require_enough_images(folder, {label: sum(each == label for each, _ in pictures) for label in labels})
    recognizer = Recognizer(Bundle(base, threads))
    seen = extract_features(recognizer, labels, tqdm(pictures, "pictures", disable=None))
    require_enough_images(folder, seen.counts)
    judged = dev and extract_features(
        recognizer, labels, tqdm(dev_pictures, "dev pictures", disable=None)
    )
    log.info("%d pictures of %d classes; fitting", len(seen.paths), len(labels))
    head, logits = fit_classes(seen, contents.vocabulary, judged)
    run.mkdir(parents=True, exist_ok=True)
    keep(run, base, labels, head, seen)
    for line in (*skipped, *seen.skipped, *(judged.skipped if judged else ())):
        log.warning("left out %s", line)
    return report(run, judged or seen, logits)


def without(pictures, others):
    """Return (those of `pictures`, [(class, path)], whose file is none of `others`; a line for each of the rest)."""
    known = {file_hash(path): path for _, path in others}
    kept, shared = [], []
    for label, path in pictures:
        other = known.get(file_hash(path))
        if other:
            shared.append(f"{path} is the same picture as {other}")
        else:
            kept.append((label, path))
    return kept, shared


def keep(run, base, labels, head, seen):
    """Leave in the folder `run` what `convert_classes` takes: the bundle, the head, and some pictures to check it with."""
    (run / "checked.npz").unlink(missing_ok=True)  # It comes last: a run without it is not whole.
    shutil.copyfile(base, run / BASE)
    write_lines(run / "labels.txt", labels)
    save_classifier(head, run / "classifier.npz")
    rows = np.linspace(0, len(seen.paths) - 1, min(CHECKED, len(seen.paths))).astype(int)
    checked = {"features": seen.features[rows], "counts": seen.truth.sum(0).astype(int)}
    save_arrays(
        run / "checked.npz",
        checked if seen.word_evidence is None else checked | {"evidence": seen.word_evidence[rows]},
    )


def convert_classes(run, output):
    """Write the bundle of a run of `train_classes` to `output`: the one it stands on with the new classifier, once it has
    been loaded and says what was learned. Raises PicaptionError where it does not, and where the run is not whole."""
    run = Path(run)
    contents, labels, head = (
        read_bundle(run / BASE),
        read_lines(run / "labels.txt"),
        load_classifier(run / "classifier.npz"),
    )
    try:
        with np.load(run / "checked.npz", allow_pickle=False) as kept:
            counts = dict(zip(labels, kept["counts"].tolist()))
            features, evidence = kept["features"], kept["evidence"] if "evidence" in kept else None
    except (ValueError, OSError, KeyError, zipfile.BadZipFile):
        raise PicaptionError(
            f"{run}: it is no finished run; call picaption train --classes again"
        ) from None
    write_taught_bundle(output, contents, labels, head, features, evidence, counts)


def report(run, judged, logits):
    """Write what came of `logits` [N, C] for the pictures that were Seen: report.json, confusion.png and mistakes.html in
    the folder `run`; returns the figures of report.json."""
    known = ~np.isnan(logits).any(1)
    if not known.any():
        raise PicaptionError(
            "there are too few pictures to try the classifier on: give more, or others with --classes-dev"
        )
    truth, scores = judged.truth[known].argmax(1), probabilities(logits[known], multi_label=False)
    paths = [path for path, one in zip(judged.paths, known) if one]
    counts = np.zeros((len(judged.labels), len(judged.labels)), int)
    np.add.at(counts, (truth, scores.argmax(1)), 1)
    from .plots import (
        plot_confusion,  # Half a second to load, which picaption convert need not wait.
    )

    figures = figures_of(counts, scores, truth, judged.labels)
    write_text(run / "report.json", json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
    plot_confusion(run / "confusion.png", counts, judged.labels)
    write_mistakes(run / "mistakes.html", figures, judged.labels, paths, truth, scores)
    return figures


def figures_of(counts, scores, truth, labels):
    """Return the figures of a confusion matrix, int [C, C], a row a true class: pictures, top-1, the expected calibration
    error, and macro F1, in per cent; by class its pictures, precision and recall; and the most frequent confusions.

    scores: the probabilities [N, C]; truth: the classes' numbers [N].
    """
    right, told, there = np.diag(counts), counts.sum(0), counts.sum(1)
    precision, recall = right / np.maximum(told, 1), right / np.maximum(there, 1)
    f1 = 2 * right / np.maximum(told + there, 1)
    wrong = counts * (1 - np.eye(len(counts), dtype=int))
    pairs = sorted(zip(*wrong.nonzero()), key=lambda pair: (-wrong[pair], pair))
    return {
        "pictures": len(truth),
        "top_1": percent(right.sum() / len(truth)),
        "macro_f1": percent(f1.mean()),
        "calibration_error": percent(
            expected_calibration_error(scores.max(1), scores.argmax(1) == truth)
        ),
        "classes": [
            {
                "class": label,
                "pictures": int(there[each]),
                "precision": percent(precision[each]),
                "recall": percent(recall[each]),
            }
            for each, label in enumerate(labels)
        ],
        "confusions": [
            {"true": labels[row], "told": labels[column], "pictures": int(wrong[row, column])}
            for row, column in pairs[:CONFUSIONS]
        ],
    }


def table(figures):
    """Return the figures of `report` as lines of text."""
    width = max(len(each["class"]) for each in figures["classes"])
    lines = [f"{'class':{width}}  pictures  precision  recall"]
    lines += [
        f"{each['class']:{width}}  {each['pictures']:8}  {each['precision']:9.1f}  {each['recall']:6.1f}"
        for each in figures["classes"]
    ]
    lines += [
        f"taken for another: {each['pictures']} of {each['true']} for {each['told']}"
        for each in figures["confusions"]
    ]
    return [
        *lines,
        f"{figures['pictures']} pictures: {figures['top_1']:.1f} % right, macro F1 {figures['macro_f1']:.1f}, "
        f"expected calibration error {figures['calibration_error']:.1f} %",
    ]


def write_mistakes(path, figures, labels, paths, truth, scores):
    """Write an HTML page of the pictures that were told wrongly, the surest first, and the confusion matrix."""
    told, sure = scores.argmax(1), scores.max(1)
    wrong = sorted(np.flatnonzero(told != truth), key=lambda index: -sure[index])
    cards = "".join(
        f'<article>\n<img alt="{escape(paths[index].name)}" src="{data_uri(paths[index])}">\n<div>\n'
        f'<p class="caption">{escape(labels[truth[index]])}</p>\n'
        f"<p>told: {escape(labels[told[index]])}, {sure[index]:.0%} sure</p>\n"
        f'<p class="faint">{escape(str(paths[index]))}</p>\n</div>\n</article>\n'
        for index in wrong[:MISTAKES]
    )
    shown = "all of them" if len(wrong) <= MISTAKES else f"{MISTAKES} of them"
    body = (
        f"<section>\n<h2>{len(wrong)} mistakes</h2>\n<p>{shown}, the surest first.</p>\n"
        f'<div class="cards">\n{cards}</div>\n</section>\n'
        if wrong
        else "<p>There are no mistakes.</p>\n"
    )
    matrix = data_uri(path.with_name("confusion.png"), max_side=1400)
    body += (
        f'<section>\n<h2>Confusion matrix</h2>\n<p>A row a true class.</p>\n<img alt="Confusion matrix" src="{matrix}" '
        'style="max-width: 100%">\n</section>\n'
    )
    rows = [
        ("Pictures", str(figures["pictures"])),
        ("Right", f"{figures['top_1']:.1f} %"),
        ("Macro F1", f"{figures['macro_f1']:.1f} %"),
        ("Calibration error", f"{figures['calibration_error']:.1f} %"),
    ]
    rows += [
        (
            f"{each['class']}: precision, recall",
            f"{each['precision']:.0f}\u00a0%, {each['recall']:.0f}\u00a0%",
        )
        for each in figures["classes"]
    ]
    write_page(path, "What was taken for what", rows, body)
