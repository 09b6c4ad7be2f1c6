"""`python -m picaption.models.evaluation.caption_study`: whether the caption helps the classifier, against heads that do without it.

A bundle's features and word evidence of the training pictures are what heads are fitted to (picaption.device.recognition.classifier), of few pictures
a class or of all, drawn anew each time; dev pictures tell how good they are, as they are and spoiled (picaption.models.data.corruptions).
The heads:

    image        features alone
    image, wide  features, and in place of the evidence as many fixed random features of them (Rahimi and Recht,
                 "Weighted sums of random kitchen sinks", NIPS 2008): as many weights, trained alike, and no language
    caption      the evidence alone
    fused        both: what a bundle has
    shuffled     both, but each picture with the evidence of another

On dev pictures of which people told captions there is a sixth, `human`: the fused one, given what they told. They are tried by
themselves, and, where none is a training or dev picture, together with the dev pictures: the more there are, the smaller a
difference can be told from chance. The features may be those of another network than the bundle's.
"""

import json
from dataclasses import dataclass
from functools import partial

import click
import numpy as np
from tqdm import tqdm

from picaption.device import Recognizer, cli
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.word_evidence import MAX_WORD_EVIDENCE
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import evidence_scale, fit_classifier, l2_normalize

from ..commands import FILE, FOLDER
from ..data import readers
from ..data.corruptions import CORRUPTIONS
from ..data.tokenizer import tokenize
from ..files import write_text
from ..language.word_prior import word_prior
from .evaluate import load_recognizer, need_some, pictures_of
from .metrics import percent, precision_of_samples

HEADS = ("image", "image, wide", "caption", "fused", "shuffled", "human")
#: The head that `fused` is held against, and how often pictures and draws are drawn for the interval of the difference.
RIVAL, RESAMPLED = "image, wide", 1000
#: How often, at most, heads are fitted to all pictures: only random features and what is shuffled differ then.
REFITTED = 5
#: What the dev pictures are called as they are, those with captions, and both together.
CLEAN, CAPTIONED, TOGETHER = "clean", "captioned", "together"


@dataclass(frozen=True)
class Inputs:
    """What heads take of N pictures: features float32 [N, F], evidence [N, V], truth [N, C], and the evidence of what people
    told of them [N, V], or None."""

    features: np.ndarray
    evidence: np.ndarray
    truth: np.ndarray
    human: np.ndarray | None = None


def inputs_of(recognizer, dataset, what, spoil=None, eye=None):
    """Return the Inputs of a Dataset's pictures by a Recognizer.

    spoil: of picaption.models.data.corruptions.CORRUPTIONS, done to each picture first; eye: another Recognizer that gives the features.
    """
    features, evidence, records, skipped, random = [], [], [], [], np.random.default_rng(0)
    for record, picture in pictures_of(dataset, skipped, what):
        picture = spoil(picture, random) if spoil else picture
        encoded = recognizer.model.encode(recognizer.prepare(picture))
        seen = eye.model.encode(eye.prepare(picture)) if eye else encoded
        features.append(seen.features[0])
        evidence.append(recognizer.word_evidence(encoded))
        records.append(record)
    need_some(features, skipped)
    truth = readers.label_matrix(records, dataset.classes)
    human = human_evidence(records, recognizer.model.vocabulary) if records[0].captions else None
    return Inputs(np.stack(features), np.stack(evidence), truth, human)


def together(one, other):
    """Return the Inputs of the pictures of two Inputs, without what people told."""
    return Inputs(
        *(
            np.concatenate([getattr(each, name) for each in (one, other)])
            for name in ("features", "evidence", "truth")
        )
    )


def human_evidence(records, vocabulary):
    """Return the evidence [N, V] of the captions of `records`: every word that people told is surely called for."""
    evidence = np.zeros((len(records), len(vocabulary)), np.float32)
    for row, record in zip(evidence, records):
        for caption in record.captions:
            row[vocabulary.encode(tokenize(caption))] = MAX_WORD_EVIDENCE
    return evidence


def draw(truth, count, random):
    """Return the rows of `count` pictures of each class, truth [N, C], that `random` draws, sorted; all for None. A picture
    of several classes stands for each."""
    if count is None:
        return np.arange(len(truth))
    return np.unique(
        np.concatenate([random.permutation(np.flatnonzero(column))[:count] for column in truth.T])
    )


def fit_heads(train, rows, prior, multi_label, random):
    """Return a function from Inputs to {head: logits [N, C]}, of HEADS fitted to the `rows` of the Inputs `train`."""
    kitchen = random.normal(size=(train.features.shape[1], len(prior))).astype(np.float32)
    views = {
        "image": (None, lambda seen, told: (seen, None)),
        "image, wide": (
            np.zeros_like(prior),
            lambda seen, told: (seen, np.maximum(0, l2_normalize(seen) @ kitchen)),
        ),
        "caption": (prior, lambda seen, told: (np.ones_like(seen[:, :1]), told)),
        "fused": (prior, lambda seen, told: (seen, told)),
        "shuffled": (prior, lambda seen, told: (seen, random.permutation(told))),
    }
    scale = evidence_scale(prior)
    heads = {
        name: fit_classifier(
            *view(train.features[rows], train.evidence[rows]),
            prior,
            train.truth[rows],
            multi_label,
            scale,
        )
        for name, (prior, view) in views.items()
    }

    def logits(inputs):
        found = {
            name: heads[name].logits(*view(inputs.features, inputs.evidence))
            for name, (_, view) in views.items()
        }
        if inputs.human is not None:
            found["human"] = heads["fused"].logits(inputs.features, inputs.human)
        return found

    return logits


def scorer(logits, truth, multi_label):
    """Return a function from how often each picture stands in a sample, int [N], to its mean average precision, or for
    classes of which each picture has one its top-1 accuracy, 0 to 1."""
    if multi_label:
        measure = precision_of_samples(logits, truth)
        return lambda counts: measure(counts)[0]
    right = logits.argmax(1) == truth.argmax(1)
    return lambda counts: (right * counts).sum() / counts.sum()


def study(train, devs, prior, multi_label, counts, draws, seed=1):
    """Return a dict for each count of pictures a class (None: all) and each of `devs`, {name: Inputs}.

    It holds the mean score of each head in per cent, `spread`, {head: [low, high]}, within which 95 % of the draws lie,
    and `gain`, that of fused over RIVAL, with `low` and `high`, the 95 % interval of a paired bootstrap that draws dev
    pictures and draws anew: of training pictures, of random features and of how words are shuffled.
    """
    rows = []
    for count in counts:
        random = np.random.default_rng([seed, count or 0])
        logits = {name: [] for name in devs}
        for _ in tqdm(
            range(draws if count else min(draws, REFITTED)),
            f"{count or 'all'} a class",
            disable=None,
        ):
            heads = fit_heads(train, draw(train.truth, count, random), prior, multi_label, random)
            for name, inputs in devs.items():
                logits[name].append(heads(inputs))
        rows += [
            {
                "frames": name,
                "pictures": count,
                "draws": len(logits[name]),
                **compared(logits[name], inputs.truth > 0, multi_label, random),
            }
            for name, inputs in devs.items()
        ]
    return rows


def compared(logits, truth, multi_label, random):
    """Return a row of `study` for `logits`, a list of {head: logits [N, C]}, one a draw."""
    scorers = {
        name: [scorer(each[name], truth, multi_label) for each in logits] for name in logits[0]
    }
    once = np.ones(len(truth), int)
    scores = {name: [measure(once) for measure in each] for name, each in scorers.items()}
    means = {name: percent(np.mean(each)) for name, each in scores.items()}
    gains = []
    for _ in range(RESAMPLED):
        counts = np.bincount(random.integers(0, len(truth), len(truth)), minlength=len(truth))
        gains.append(
            np.mean(
                [
                    scorers["fused"][index](counts) - scorers[RIVAL][index](counts)
                    for index in random.integers(0, len(logits), len(logits))
                ]
            )
        )
    low, high = (percent(edge) for edge in np.percentile(gains, (2.5, 97.5)))
    spread = {
        name: [percent(edge) for edge in np.percentile(each, (2.5, 97.5))]
        for name, each in scores.items()
    }
    return {
        **means,
        "spread": spread,
        "gain": round(means["fused"] - means[RIVAL], 2),
        "low": low,
        "high": high,
    }


def table(rows):
    """Return the rows of `study` as lines of text."""
    columns = [*(name for name in HEADS if any(name in row for row in rows)), "gain", "low", "high"]
    lines = ["  ".join(f"{name:>12}" for name in ("frames", "a class", *columns))]
    return lines + [
        "  ".join(
            [
                f"{row['frames']:>12}",
                f"{row['pictures'] or 'all':>12}",
                *(f"{row[name]:12.2f}" if name in row else " " * 12 for name in columns),
            ]
        )
        for row in rows
    ]


def parse_counts(ctx, option, text):
    """Return "1,5,all" as [1, 5, None]; raises click.BadParameter."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "all" or part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(
            f"{text!r} is not a list of numbers above 0 and the word all, such as 1,5,all"
        )
    return [None if part == "all" else int(part) for part in parts]


@click.command(name="study")
@click.argument("bundle", type=FILE)
@click.option("--labels", type=FILE, help="Multi-label list: picture, tab, label,label.")
@click.option("--images", type=FOLDER, help="Folder of its pictures.")
@click.option("--train", type=FILE, help="Its training pictures, one a line.")
@click.option("--dev", type=FILE, help="Its dev pictures, one a line.")
@click.option("--classes", type=FILE, help="Its class names, one a line.")
@click.option(
    "--text",
    type=FILE,
    help="Captions of other pictures with their labels, to learn the words' prior from.",
)
@click.option(
    "--captions", type=FILE, help="Captions of more dev pictures of --labels, for the head `human`."
)
@click.option("--folders", type=FOLDER, help="Or class folders: of training pictures,")
@click.option("--folders-dev", type=FOLDER, help="and of dev pictures.")
@click.option(
    "--features",
    type=click.Path(),
    help="Bundle or training run that gives the features.  [default: BUNDLE]",
)
@click.option("--spoiled", is_flag=True, help="Try spoiled dev pictures too.")
@click.option(
    "--pictures",
    "counts",
    default="1,2,5,10,50,all",
    show_default=True,
    callback=parse_counts,
    help="Pictures a class.",
)
@click.option(
    "--draws",
    default=20,
    show_default=True,
    type=click.IntRange(1),
    help="How often they are drawn.",
)
@click.option("--json", "json_file", type=FILE, help="Write the figures as JSON to this file.")
@click.option("--plot", type=FILE, help="Draw them into this file, a PNG or SVG.")
def command(
    bundle,
    labels,
    images,
    train,
    dev,
    classes,
    text,
    captions,
    folders,
    folders_dev,
    features,
    spoiled,
    counts,
    draws,
    json_file,
    plot,
):
    """Compare classifiers on what BUNDLE sees and says: with its captions, without, and with those of other pictures."""
    if bool(labels) == bool(folders):
        raise PicaptionError("give the data by one of --labels and --folders")
    if labels and not (images and train and dev):
        raise PicaptionError("--labels go with --images, --train and --dev")
    if folders and not folders_dev:
        raise PicaptionError("--folders go with --folders-dev")
    if folders and (text or captions):
        raise PicaptionError("--text and --captions go with --labels")
    if labels:
        sets = [readers.read_labels(labels, images, split, classes) for split in (train, dev)]
    else:
        sets = [readers.read_folders(folder) for folder in (folders, folders_dev)]
    if sets[0].classes != sets[1].classes:
        raise PicaptionError("training and dev pictures have different classes")
    recognizer = Recognizer(Bundle(bundle))
    vocabulary = recognizer.model.vocabulary
    if vocabulary is None:
        raise PicaptionError(f"{bundle}: it has no captioner, so there is nothing to compare")
    told = captions and readers.add_labels(
        readers.read_captions(captions, images), readers.read_labels(labels, images, None, classes)
    )
    known = readers.read_text_captions(text) if text else ()
    look = partial(inputs_of, recognizer, eye=features and load_recognizer(features))
    devs = {CLEAN: look(sets[1], "dev pictures")}
    for name, spoil in CORRUPTIONS.items() if spoiled else ():
        devs[name] = look(sets[1], f"dev pictures, {name}", spoil)
    if told:
        devs[CAPTIONED] = look(told, "dev pictures with captions")
        if not {record.path for record in told.records} & {
            record.path for each in sets for record in each.records
        }:
            devs[TOGETHER] = together(devs[CLEAN], devs[CAPTIONED])
    prior = word_prior(known, sets[0].classes, vocabulary)
    rows = study(look(sets[0], "training pictures"), devs, prior, bool(labels), counts, draws)
    click.echo("\n".join(table(rows)))
    if json_file:
        write_text(json_file, json.dumps(rows, indent=1) + "\n")
    if plot:
        from .plots import plot_study

        plot_study(plot, rows, "mean average precision, %" if labels else "top-1, %")


main = partial(
    cli.main, command=command, name="python -m picaption.models.evaluation.caption_study"
)

if __name__ == "__main__":
    main()
