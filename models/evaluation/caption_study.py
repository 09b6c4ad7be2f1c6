"""Whether the caption helps the classifier, against heads that do without it.

`python -m picaption.models.evaluation.caption_study` fits heads to a bundle's features and word
evidence of training images (picaption.device.recognition.classifier): of few images a class, which
are sampled many times, or of all. Dev images measure them, as they are and corrupted
(picaption.models.data.corruptions). The heads:

    image        features alone
    image, wide  features, and in place of the evidence as many fixed random features of them
                 (Rahimi and Recht, "Weighted sums of random kitchen sinks", NIPS 2008): as many
                 weights, trained alike, and no language
    caption      the evidence alone
    fused        both: what a bundle has
    shuffled     both, but each image with the evidence of another

On dev images with human captions there is a sixth, `human`: the fused one on the evidence of these
captions. Such images count by themselves and, if none of them is a training or dev image, together
with the dev images: the more there are, the smaller a difference stands out from chance. The
features may be those of another network than the bundle's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import Any

import click
import numpy as np
from tqdm import tqdm

from picaption.device import Recognizer, cli
from picaption.device.atomic import write_text
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.vocabulary import Vocabulary
from picaption.device.bundle.word_evidence import MAX_WORD_EVIDENCE
from picaption.device.errors import PicaptionError
from picaption.device.log import say
from picaption.device.recognition.classifier import evidence_scale, fit_classifier, l2_normalize
from picaption.device.teaching.fit import class_prototypes

from ..data import readers
from ..data.corruptions import CORRUPTIONS, Corruption
from ..data.readers import Dataset, Record
from ..data.tokenizer import tokenize
from ..language.word_prior import word_prior
from ..options import FILE, FOLDER, DataSelection, data_options
from .evaluate import load_recognizer, read_images, require_images
from .metrics import average_precision_of_samples, percent

HEADS = ("image", "image, wide", "caption", "fused", "shuffled", "human")
#: The head that `fused` is compared with.
RIVAL = "image, wide"
#: Bootstrap samples for the interval of the difference.
BOOTSTRAP_SAMPLES = 1000
#: How often, at most, heads are fitted to all images: only the random features and the shuffled
#: evidence differ then.
MAX_FITS_TO_ALL = 5
#: Names of the dev images: as they are, those with captions, and both together.
CLEAN = "clean"
CAPTIONED = "captioned"
TOGETHER = "together"

#: Logits [N, C] by head.
HeadLogits = dict[str, np.ndarray]
#: A row of the study, as it is written as JSON.
StudyRow = dict[str, Any]


@dataclass(frozen=True)
class HeadInputs:
    """What heads take of N images.

    features: float32 [N, F]
    word_evidence: float32 [N, V]
    truth: float32 [N, C] of 0 and 1
    human: the evidence of human captions, float32 [N, V], or None
    """

    features: np.ndarray
    word_evidence: np.ndarray
    truth: np.ndarray
    human: np.ndarray | None = None


def compute_inputs(
    recognizer: Recognizer,
    dataset: Dataset,
    description: str,
    corrupt: Corruption | None = None,
    feature_recognizer: Recognizer | None = None,
) -> HeadInputs:
    """Return the HeadInputs of the images of a Dataset.

    Args:
        recognizer: Computes the word evidence, and the features.
        dataset: The images with their labels.
        description: What the progress bar calls them.
        corrupt: Of picaption.models.data.corruptions.CORRUPTIONS, applied to each image first.
        feature_recognizer: Computes the features in place of `recognizer`.
    """
    features = []
    word_evidence = []
    records = []
    skipped: list[str] = []
    random = np.random.default_rng(0)
    for record, image in read_images(dataset, skipped, description):
        if corrupt:
            image = corrupt(image, random)
        encoded = recognizer.encode(image)
        evidence = recognizer.word_evidence(encoded)
        assert evidence is not None
        word_evidence.append(evidence)
        if feature_recognizer:
            encoded = feature_recognizer.encode(image)
        features.append(encoded.features[0])
        records.append(record)
    require_images(features, skipped)
    truth = readers.label_matrix(records, dataset.classes)
    human = None
    if records[0].captions:
        assert recognizer.model.vocabulary is not None
        human = human_evidence(records, recognizer.model.vocabulary)
    return HeadInputs(np.stack(features), np.stack(word_evidence), truth, human)


def concatenate_inputs(first: HeadInputs, second: HeadInputs) -> HeadInputs:
    """Return the HeadInputs of the images of both, without human captions."""
    return HeadInputs(
        np.concatenate([first.features, second.features]),
        np.concatenate([first.word_evidence, second.word_evidence]),
        np.concatenate([first.truth, second.truth]),
    )


def human_evidence(records: Sequence[Record], vocabulary: Vocabulary) -> np.ndarray:
    """Return the word evidence [N, V] of human captions: each of their words is certain."""
    evidence = np.zeros((len(records), len(vocabulary)), np.float32)
    for row, record in zip(evidence, records):
        for caption in record.captions:
            row[vocabulary.encode(tokenize(caption))] = MAX_WORD_EVIDENCE
    return evidence


def sample_rows(truth: np.ndarray, count: int | None, random: np.random.Generator) -> np.ndarray:
    """Sample images of each class; one of several classes counts for each.

    Args:
        truth: [N, C] of 0 and 1.
        count: Images of each class; None takes all.
        random: Draws them.

    Returns:
        The rows of the images, sorted.
    """
    if count is None:
        return np.arange(len(truth))
    return np.unique(
        np.concatenate([random.permutation(np.flatnonzero(column))[:count] for column in truth.T])
    )


def fit_heads(
    train: HeadInputs,
    rows: np.ndarray,
    prior: np.ndarray,
    multi_label: bool,
    random: np.random.Generator,
    prototypes: np.ndarray | None = None,
) -> Callable[[HeadInputs], HeadLogits]:
    """Fit the HEADS and return a function from HeadInputs to their logits.

    Args:
        train: Training images.
        rows: Those of them that count.
        prior: What language knows of the classes, float32 [V, C]
            (picaption.device.recognition.classifier.fit_classifier).
        multi_label: Whether an image may have several classes.
        random: Draws the random features and shuffles the evidence.
        prototypes: What the bundle's names know of the classes, float32 [F, C]
            (picaption.device.teaching.words.prototypes), for `fused`; None for nothing.
    """
    kitchen_sinks = random.normal(size=(train.features.shape[1], len(prior))).astype(np.float32)
    seed = int(random.integers(1 << 32))

    def head_inputs(
        head: str, features: np.ndarray, word_evidence: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray | None]:
        if head == "image":
            return features, None
        if head == "image, wide":
            return features, np.maximum(0, l2_normalize(features) @ kitchen_sinks)
        if head == "caption":
            return np.ones_like(features[:, :1]), word_evidence
        if head == "shuffled":
            # A shuffle of its own for each set: none depends on which other sets there are.
            return features, np.random.default_rng(seed).permutation(word_evidence)
        return features, word_evidence

    priors = {
        "image": None,
        "image, wide": np.zeros_like(prior),
        "caption": prior,
        "fused": prior,
        "shuffled": prior,
    }
    scale = evidence_scale(prior)
    classifiers = {}
    for head, head_prior in priors.items():
        inputs = head_inputs(head, train.features[rows], train.word_evidence[rows])
        classifiers[head] = fit_classifier(
            *inputs,
            head_prior,
            train.truth[rows],
            multi_label,
            scale,
            prototypes if head == "fused" else None,
        )

    def logits(inputs: HeadInputs) -> HeadLogits:
        by_head = {
            head: classifier.logits(*head_inputs(head, inputs.features, inputs.word_evidence))
            for head, classifier in classifiers.items()
        }
        if inputs.human is not None:
            by_head["human"] = classifiers["fused"].logits(inputs.features, inputs.human)
        return by_head

    return logits


def sample_scorer(
    logits: np.ndarray, truth: np.ndarray, multi_label: bool
) -> Callable[[np.ndarray], float]:
    """Return a function that scores samples of images, 0 to 1.

    It takes how often each image is in the sample, int [N], and returns the mean average precision,
    or the top-1 accuracy if each image has one class.

    Args:
        logits: [N, C].
        truth: bool [N, C].
        multi_label: Whether an image may have several classes.
    """
    if multi_label:
        measure = average_precision_of_samples(logits, truth)

        def mean_average_precision(counts: np.ndarray) -> float:
            mean, _ = measure(counts)
            return mean

        return mean_average_precision
    right = logits.argmax(1) == truth.argmax(1)

    def accuracy(counts: np.ndarray) -> float:
        return (right * counts).sum() / counts.sum()

    return accuracy


def study(
    train: HeadInputs,
    devs: Mapping[str, HeadInputs],
    prior: np.ndarray,
    multi_label: bool,
    counts: Sequence[int | None],
    draws: int,
    seed: int = 1,
    prototypes: np.ndarray | None = None,
) -> list[StudyRow]:
    """Compare the heads on every set of dev images, for every count of training images.

    Args:
        train: Training images.
        devs: Sets of dev images by name.
        prior: As for `fit_heads`.
        multi_label: Likewise.
        counts: Training images of each class; None for all.
        draws: How often they are sampled.
        seed: Of all that is random.
        prototypes: As for `fit_heads`.

    Returns:
        Rows of `frames`, the set; `pictures`, the count; `draws`; the mean score of each head, in
        per cent; `spread`, {head: [low, high]}, within which 95 % of the draws lie; and `gain`,
        that of fused over RIVAL, with `low` and `high`, the 95 % interval of a paired bootstrap
        over dev images and draws.
    """
    rows = []
    for count in counts:
        random = np.random.default_rng([seed, count or 0])
        fits = draws if count else min(draws, MAX_FITS_TO_ALL)
        logits: dict[str, list[HeadLogits]] = {name: [] for name in devs}
        for _ in tqdm(range(fits), f"{count or 'all'} a class", disable=None):
            sample = sample_rows(train.truth, count, random)
            heads = fit_heads(train, sample, prior, multi_label, random, prototypes)
            for name, inputs in devs.items():
                logits[name].append(heads(inputs))
        for name, inputs in devs.items():
            row = {"frames": name, "pictures": count, "draws": len(logits[name])}
            bootstrap = np.random.default_rng([seed, count or 0, 1])
            rows.append(row | compare_heads(logits[name], inputs.truth > 0, multi_label, bootstrap))
    return rows


def compare_heads(
    logits: Sequence[HeadLogits], truth: np.ndarray, multi_label: bool, random: np.random.Generator
) -> StudyRow:
    """Return scores, spread and gain of a row of `study`.

    Args:
        logits: By draw.
        truth: bool [N, C].
        multi_label: Whether an image may have several classes.
        random: Draws the bootstrap samples.
    """
    scorers = {
        head: [sample_scorer(by_head[head], truth, multi_label) for by_head in logits]
        for head in logits[0]
    }
    once = np.ones(len(truth), int)
    scores = {head: [score(once) for score in by_draw] for head, by_draw in scorers.items()}
    means = {head: percent(np.mean(by_draw)) for head, by_draw in scores.items()}
    gains = []
    for _ in range(BOOTSTRAP_SAMPLES):
        images = random.integers(0, len(truth), len(truth))
        counts = np.bincount(images, minlength=len(truth))
        differences = [
            scorers["fused"][draw](counts) - scorers[RIVAL][draw](counts)
            for draw in random.integers(0, len(logits), len(logits))
        ]
        gains.append(np.mean(differences))
    low, high = _interval(gains)
    return {
        **means,
        "spread": {head: _interval(by_draw) for head, by_draw in scores.items()},
        "gain": round(means["fused"] - means[RIVAL], 2),
        "low": low,
        "high": high,
    }


def _interval(values: Sequence[float]) -> list[float]:
    """Return between what 95 % of the values lie, in per cent."""
    return [percent(edge) for edge in np.percentile(values, (2.5, 97.5))]


def study_lines(rows: Sequence[StudyRow]) -> list[str]:
    """Return the rows of `study` as lines of text."""
    heads = [head for head in HEADS if any(head in row for row in rows)]
    columns = [*heads, "gain", "low", "high"]
    lines = ["  ".join(f"{name:>12}" for name in ("frames", "a class", *columns))]
    for row in rows:
        cells = [f"{row['frames']:>12}", f"{row['pictures'] or 'all':>12}"]
        for name in columns:
            cells.append(f"{row[name]:12.2f}" if name in row else " " * 12)
        lines.append("  ".join(cells))
    return lines


def parse_counts(context: click.Context, parameter: click.Parameter, text: str) -> list[int | None]:
    """Return "1,5,all" as [1, 5, None].

    Raises:
        click.BadParameter: It is no such list.
    """
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "all" or (part.isdecimal() and int(part) > 0) for part in parts):
        raise click.BadParameter(
            f"{text!r} is not a list of numbers above 0 and the word all, such as 1,5,all"
        )
    return [None if part == "all" else int(part) for part in parts]


def study_options(counts: str, parse: Callable[..., list]) -> Callable[[Callable], Callable]:
    """Return the decorator that declares the options of the studies' sets, counts and draws.

    Args:
        counts: The default of --pictures.
        parse: Its callback: a context, a parameter and the text to the counts.
    """
    options = (
        click.option("--folders-dev", type=FOLDER, help="and of dev pictures."),
        click.option("--train", type=FILE, help="The training pictures of --labels, one a line."),
        click.option("--dev", type=FILE, help="The dev pictures of --labels, one a line."),
        click.option(
            "--pictures",
            "counts",
            default=counts,
            show_default=True,
            callback=parse,
            help="Pictures a class.",
        ),
        click.option(
            "--draws",
            default=20,
            show_default=True,
            type=click.IntRange(1),
            help="How often they are drawn.",
        ),
        click.option(
            "--json", "json_file", type=FILE, help="Write the figures as JSON to this file."
        ),
    )

    def decorate(command: Callable) -> Callable:
        return reduce(lambda decorated, option: option(decorated), options[::-1], command)

    return decorate


@click.command(name="study")
@click.argument("bundle", type=FILE)
@data_options(
    "labels",
    "images",
    "classes",
    "captions",
    "folders",
    images="Folder of its pictures.",
    classes="Its class names, one a line.",
    captions="Captions of more dev pictures of --labels, for the head `human`.",
    folders="Or class folders: of training pictures,",
)
@study_options("1,2,5,10,50,all", parse_counts)
@click.option(
    "--text",
    type=FILE,
    help="Captions of other pictures with their labels, to learn the words' prior from.",
)
@click.option(
    "--features",
    type=cli.PathType(),
    help="Bundle or training run for the features.  [default: BUNDLE]",
)
@click.option("--spoiled", is_flag=True, help="Try spoiled dev pictures too.")
@click.option("--plot", type=FILE, help="Draw them into this file, a PNG or SVG.")
def study_command(
    bundle: Path,
    data: DataSelection,
    folders_dev: Path | None,
    train: Path | None,
    dev: Path | None,
    text: Path | None,
    features: str | None,
    spoiled: bool,
    counts: list[int | None],
    draws: int,
    json_file: Path | None,
    plot: Path | None,
) -> None:
    """Compare classifiers with and without words.

    They take what BUNDLE sees and says of pictures: with its captions, without, and with those of
    other pictures.
    """
    train_set, dev_set, captioned = read_sets(data, folders_dev, train, dev, text)
    recognizer = Recognizer(Bundle(bundle))
    vocabulary = recognizer.model.vocabulary
    if vocabulary is None:
        raise PicaptionError(f"{bundle}: it has no captioner, so there is nothing to compare")
    texts = readers.read_text_captions(text) if text else ()
    feature_recognizer = load_recognizer(features) if features else None
    inputs = partial(compute_inputs, recognizer, feature_recognizer=feature_recognizer)
    devs = {CLEAN: inputs(dev_set, "dev pictures")}
    if spoiled:
        for name, corrupt in CORRUPTIONS.items():
            devs[name] = inputs(dev_set, f"dev pictures, {name}", corrupt)
    if captioned:
        devs[CAPTIONED] = inputs(captioned, "dev pictures with captions")
        paths = {record.path for record in (*train_set.records, *dev_set.records)}
        if paths.isdisjoint(record.path for record in captioned.records):
            devs[TOGETHER] = concatenate_inputs(devs[CLEAN], devs[CAPTIONED])
    prior = word_prior(texts, train_set.classes, vocabulary)
    multi_label = bool(data.labels)
    train_inputs = inputs(train_set, "training pictures")
    prototypes = None
    if not feature_recognizer:
        prototypes = class_prototypes(read_bundle(bundle), train_set.classes, train_inputs.features)
    rows = study(train_inputs, devs, prior, multi_label, counts, draws, prototypes=prototypes)
    say(*study_lines(rows))
    if json_file:
        write_text(json_file, json.dumps(rows, indent=1) + "\n")
    if plot:
        from .plots import plot_study

        plot_study(plot, rows, "mean average precision, %" if multi_label else "top-1, %")


def read_sets(
    data: DataSelection,
    folders_dev: Path | None,
    train: Path | None,
    dev: Path | None,
    text: Path | None,
) -> tuple[Dataset, Dataset, Dataset | None]:
    """Return the training images, the dev images and those with captions that options select."""
    if bool(data.labels) == bool(data.folders):
        raise PicaptionError("give the data by one of --labels and --folders")
    if data.labels and not (data.images and train and dev):
        raise PicaptionError("--labels go with --images, --train and --dev")
    if data.folders and not folders_dev:
        raise PicaptionError("--folders go with --folders-dev")
    if data.folders and (text or data.captions):
        raise PicaptionError("--text and --captions go with --labels")
    captioned = None
    if data.folders and folders_dev:
        train_set = readers.read_folders(data.folders)
        dev_set = readers.read_folders(folders_dev)
    else:
        assert data.labels is not None and data.images is not None
        train_set = readers.read_labels(data.labels, data.images, train, data.classes)
        dev_set = readers.read_labels(data.labels, data.images, dev, data.classes)
    if train_set.classes != dev_set.classes:
        raise PicaptionError("training and dev pictures have different classes")
    if data.captions:
        assert data.labels is not None and data.images is not None
        captioned = readers.add_labels(
            readers.read_captions(data.captions, data.images),
            readers.read_labels(data.labels, data.images, None, data.classes),
        )
    return train_set, dev_set, captioned


main = partial(
    cli.main, command=study_command, name="python -m picaption.models.evaluation.caption_study"
)

if __name__ == "__main__":
    main()
