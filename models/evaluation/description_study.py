"""How far words take a classifier, beside no, few and more images.

`python -m picaption.models.evaluation.description_study` fits what `picaption teach` fits to a
bundle's features and word evidence of training images, of which a few a class are sampled many
times, and measures it on dev images. What is told of the classes beside the images:

    pictures      nothing: classes are numbers
    name          what they are called
    description   a line that says what they are, but not what they are called
    both          name and description, as `picaption teach --describe` takes them

Without an image (picaption.device.teaching.words.unseen), pictures tell nothing. The figure is the
top-1 accuracy, or, if an image may have several classes, the mean average precision.

With `--unknown`, the bundle's names that a class is called by are taken out first, as if they had
not been among those that the bundle was trained on.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from picaption.device import Recognizer, cli
from picaption.device.atomic import write_text
from picaption.device.bundle.archive import Contents, read_bundle
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.classifier_graph import read_name_weights, with_names
from picaption.device.errors import PicaptionError
from picaption.device.log import say
from picaption.device.recognition.classifier import Classifier, fit_classifier
from picaption.device.teaching.words.background import Background, extract_background
from picaption.device.teaching.words.descriptions import Descriptions, parse_file
from picaption.device.teaching.words.priors import ClassPriors, ClassWords
from picaption.device.teaching.words.prototypes import plain_name
from picaption.device.teaching.words.unseen import classify_by_words

from ..options import FILE, DataSelection, data_options
from .caption_study import (
    HeadInputs,
    compute_inputs,
    read_sets,
    sample_rows,
    sample_scorer,
    study_options,
)
from .metrics import percent

#: What is told of the classes beside their images.
TELLINGS = ("pictures", "name", "description", "both")


@dataclass(frozen=True)
class Row:
    """The figures with so many images a class, in per cent.

    Attributes:
        count: images a class.
        draws: how often they were sampled.
        means: by what is told of the classes; None where nothing is.
        deviations: standard deviations over the draws, likewise.
    """

    count: int
    draws: int
    means: dict[str, float | None]
    deviations: dict[str, float | None]


def class_priors(
    contents: Contents, classes: Sequence[str], descriptions: Descriptions, features: np.ndarray
) -> dict[str, ClassPriors]:
    """Return what words say of classes, by what is told of them.

    Args:
        contents: of the bundle.
        classes: the class names.
        descriptions: of all of them.
        features: of images, whose mean length counts, float32 [N, F].
    """
    words = ClassWords(contents)
    # Nobody knows what a number is called.
    numbers = [str(index) for index in range(len(classes))]
    by_number = {number: descriptions[name] for number, name in zip(numbers, classes)}
    by_name = {name: descriptions[name] for name in classes}
    return {
        "name": words.priors(classes, {}, features),
        "description": words.priors(numbers, by_number, features),
        "both": words.priors(classes, by_name, features),
    }


def without_names(contents: Contents, classes: Sequence[str]) -> Contents:
    """Return the contents of a bundle that has none of the names that contain a class's name."""
    weights = read_name_weights(contents.graph)
    if weights is None:
        return contents
    labels = [plain_name(name) for name in classes]
    indices = [
        index
        for index, item in enumerate(contents.names)
        if not any(label in plain_name(item.name) for label in labels)
    ]
    bias = np.zeros(len(indices), np.float32)
    graph = with_names(
        contents.graph, Classifier(weights[:, indices], None, bias, raw=True), quantized=False
    )
    names = tuple(contents.names[index] for index in indices)
    return replace(contents, graph=graph, names=names)


def study(
    train: HeadInputs,
    dev: HeadInputs,
    priors: Mapping[str, ClassPriors],
    background: Background,
    multi_label: bool,
    counts: Sequence[int],
    draws: int,
    seed: int = 1,
) -> list[Row]:
    """Measure classifiers of every count of images, by what is told of the classes.

    Args:
        train: training images.
        dev: dev images.
        priors: of `class_priors`.
        background: what the bundle makes of other images.
        multi_label: whether an image may have several classes.
        counts: images of each class.
        draws: how often they are sampled.
        seed: of the samples.
    """
    score = partial(_score, dev, multi_label)
    rows = []
    for count in counts:
        if not count:
            means: dict[str, float | None] = dict.fromkeys(TELLINGS)
            for telling, prior in priors.items():
                means[telling] = score(
                    classify_by_words(background.features, background.word_evidence, prior)
                )
            rows.append(Row(0, 1, means, dict.fromkeys(TELLINGS)))
            continue
        random = np.random.default_rng([seed, count])
        scores: dict[str, list[float]] = {telling: [] for telling in TELLINGS}
        for _ in tqdm(range(draws), f"{count} a class", disable=None):
            sample = sample_rows(train.truth, count, random)
            for telling in TELLINGS:
                classifier = _fit(train, sample, priors.get(telling), multi_label)
                scores[telling].append(score(classifier))
        rows.append(
            Row(
                count,
                draws,
                {telling: float(np.mean(values)) for telling, values in scores.items()},
                {telling: float(np.std(values)) for telling, values in scores.items()},
            )
        )
    return rows


def _fit(
    train: HeadInputs, sample: np.ndarray, priors: ClassPriors | None, multi_label: bool
) -> Classifier:
    """Return the Classifier of a sample of images as `picaption teach` fits it."""
    word_prior = np.zeros((train.word_evidence.shape[1], train.truth.shape[1]), np.float32)
    prototypes = None
    if priors is not None:
        prototypes = priors.features
        if priors.words is not None:
            word_prior = priors.words
    return fit_classifier(
        train.features[sample],
        train.word_evidence[sample],
        word_prior,
        train.truth[sample],
        multi_label,
        prototypes=prototypes,
        balanced=not multi_label,
    )


def _score(dev: HeadInputs, multi_label: bool, classifier: Classifier) -> float:
    """Return how good a classifier is on dev images, in per cent."""
    logits = classifier.logits(dev.features, dev.word_evidence)
    once = np.ones(len(dev.truth), int)
    return percent(sample_scorer(logits, dev.truth > 0, multi_label)(once))


def study_lines(rows: Sequence[Row]) -> list[str]:
    """Return the rows of `study` as lines of a table in Markdown."""
    lines = [f"| pictures a class | {' | '.join(TELLINGS)} |", "|---" * (1 + len(TELLINGS)) + "|"]
    for row in rows:
        cells = [_cell(row.means[telling], row.deviations[telling]) for telling in TELLINGS]
        lines.append(f"| {row.count} | {' | '.join(cells)} |")
    return lines


def _cell(mean: float | None, deviation: float | None) -> str:
    if mean is None:
        return "-"
    if deviation is None:
        return f"{mean:.1f}"
    return f"{mean:.1f} ± {deviation:.1f}"


def parse_counts(context: click.Context, parameter: click.Parameter, text: str) -> list[int]:
    """Return "0,1,5" as [0, 1, 5].

    Raises:
        click.BadParameter: It is no such list.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise click.BadParameter(f"{text!r} is not a list of numbers, such as 0,1,2,5")
    return [int(part) for part in parts]


@click.command(name="describe")
@click.argument("bundle", type=FILE)
@data_options(
    "labels",
    "images",
    "classes",
    "folders",
    images="Folder of its pictures.",
    classes="Its class names, one a line.",
    folders="Or class folders: of training pictures,",
)
@study_options("0,1,2,5", parse_counts)
@click.option(
    "--descriptions",
    "description_file",
    type=FILE,
    required=True,
    help="A line for each class: NAME: DESCRIPTION.",
)
@click.option("--unknown", is_flag=True, help="Take the classes' own names out of the bundle's.")
def study_command(
    bundle: Path,
    data: DataSelection,
    folders_dev: Path | None,
    train: Path | None,
    dev: Path | None,
    description_file: Path,
    unknown: bool,
    counts: list[int],
    draws: int,
    json_file: Path | None,
) -> None:
    """Compare classifiers that are told names, descriptions or nothing.

    They take what BUNDLE makes of pictures, of none, few and more a class.
    """
    train_set, dev_set, _ = read_sets(data, folders_dev, train, dev, None)
    descriptions = parse_file(description_file)
    missing = [name for name in train_set.classes if name not in descriptions]
    if missing:
        raise PicaptionError(f"{description_file}: there is no line for {', '.join(missing)}")
    recognizer = Recognizer(Bundle(bundle))
    if recognizer.model.vocabulary is None:
        raise PicaptionError(f"{bundle}: it has no captioner, so there are no words to compare by")
    contents = read_bundle(bundle)
    if unknown:
        contents = without_names(contents, train_set.classes)
    background = extract_background(recognizer)
    train_inputs = compute_inputs(recognizer, train_set, "training pictures")
    dev_inputs = compute_inputs(recognizer, dev_set, "dev pictures")
    priors = class_priors(contents, train_set.classes, descriptions, background.features)
    multi_label = bool(data.labels)
    rows = study(train_inputs, dev_inputs, priors, background, multi_label, counts, draws)
    say(*study_lines(rows))
    if json_file:
        values: list[dict[str, Any]] = [vars(row) for row in rows]
        write_text(json_file, json.dumps(values, indent=1) + "\n")


main = partial(
    cli.main, command=study_command, name="python -m picaption.models.evaluation.description_study"
)

if __name__ == "__main__":
    main()
