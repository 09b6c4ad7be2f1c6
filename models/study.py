"""`python -m models.study`: whether the caption helps the classifier, against heads that do without it.

A bundle's features and word evidence of the training pictures are what heads are fitted to (device.head), of few pictures
a class or of all, drawn anew each time; dev pictures tell how good they are. The heads:

    image        features alone
    image, wide  features, and in place of the evidence as many fixed random features of them (Rahimi and Recht,
                 "Weighted sums of random kitchen sinks", NIPS 2008): as many weights, trained alike, and no language
    caption      the evidence alone
    fused        both: what a bundle has
    shuffled     both, but each picture with the evidence of another
"""

import json
from functools import partial

import click
import numpy as np
from tqdm import tqdm

from device import Recognizer, cli
from device.bundle import Bundle
from device.errors import PicaptionError
from device.head import fit_head, naming_words
from models import readers
from models.evaluate import need_some, pictures_of
from models.files import write_text
from models.metrics import mean_average_precision, percent, top_k_accuracy

HEADS = ("image", "image, wide", "caption", "fused", "shuffled")
#: The head that `fused` is held against, and how often dev pictures are drawn for the interval of the difference.
RIVAL, RESAMPLED = "image, wide", 200


def inputs_of(recognizer, dataset, what):
    """Return (features [N, F], evidence [N, V], truth [N, C]) of a Dataset's pictures, float32, by a Recognizer."""
    features, evidence, truth, skipped = [], [], [], []
    for record, picture in pictures_of(dataset, skipped, what):
        encoded = recognizer.model.encode(recognizer.prepare(picture))
        features.append(encoded.features[0])
        evidence.append(recognizer.evidence(encoded))
        truth.append([name in record.labels for name in dataset.classes])
    need_some(features, skipped)
    return np.stack(features), np.stack(evidence), np.array(truth, np.float32)


def draw(truth, count, random):
    """Return the rows of `count` pictures of each class, truth [N, C], that `random` draws, sorted; all for None. A picture
    of several classes stands for each."""
    if count is None:
        return np.arange(len(truth))
    return np.unique(np.concatenate([random.permutation(np.flatnonzero(column))[:count] for column in truth.T]))


def logits_by_head(train, dev, names, multi_label, random):
    """Return {head: dev logits [N, C]} of HEADS fitted to `train`; both are (features, evidence, truth)."""
    (seen, told, truth), (seen_dev, told_dev, _) = train, dev
    kitchen = random.normal(size=(seen.shape[1], told.shape[1])).astype(np.float32)
    def wide(features):
        return np.maximum(0, features / np.linalg.norm(features, axis=1, keepdims=True) @ kitchen)
    blank = [np.ones((len(rows), 1), np.float32) for rows in (seen, seen_dev)]
    inputs = {
        "image": ((seen, None), (seen_dev, None), None),
        "image, wide": ((seen, wide(seen)), (seen_dev, wide(seen_dev)), np.zeros_like(names)),
        "caption": ((blank[0], told), (blank[1], told_dev), names),
        "fused": ((seen, told), (seen_dev, told_dev), names),
        "shuffled": ((seen, random.permutation(told)), (seen_dev, random.permutation(told_dev)), names),
    }
    return {name: fit_head(*given, named, truth, multi_label).logits(*asked) for name, (given, asked, named) in inputs.items()}


def score(logits, truth, multi_label):
    """Return mean average precision, or for classes of which each picture has one the top-1 accuracy, 0 to 1."""
    return (mean_average_precision(logits, truth)[0] if multi_label else top_k_accuracy(logits, truth.argmax(1), 1))


def study(train, dev, names, multi_label, counts, draws, seed=1):
    """Return a dict a count of pictures a class (None: all, drawn once): the mean score of each head in per cent, and
    `gain`, that of fused over RIVAL, with `low` and `high`, the 95 % interval of a paired bootstrap over the dev
    pictures and the draws."""
    rows, truth = [], dev[2] > 0
    for count in counts:
        random = np.random.default_rng([seed, count or 0])
        logits = []
        for _ in tqdm(range(draws if count else 1), f"{count or 'all'} a class", disable=None):
            chosen = draw(train[2], count, random)
            logits.append(logits_by_head([part[chosen] for part in train], dev, names, multi_label, random))
        means = {name: percent(np.mean([score(each[name], truth, multi_label) for each in logits])) for name in HEADS}
        gains = []
        for _ in range(RESAMPLED):
            pictures = random.integers(0, len(truth), len(truth))
            each = logits[random.integers(0, len(logits))] if len(logits) > 1 else logits[0]
            gains.append(np.subtract(*(score(each[name][pictures], truth[pictures], multi_label)
                                       for name in ("fused", RIVAL))))
        low, high = np.percentile(gains, (2.5, 97.5))
        rows.append({"pictures": count, "draws": len(logits), **means, "gain": round(means["fused"] - means[RIVAL], 2),
                     "low": percent(low), "high": percent(high)})
    return rows


def table(rows):
    """Return the rows of `study` as lines of text."""
    columns = [*HEADS, "gain", "low", "high"]
    lines = ["  ".join(f"{name:>12}" for name in ("a class", *columns))]
    return lines + ["  ".join([f"{row['pictures'] or 'all':>12}", *(f"{row[name]:12.2f}" for name in columns)])
                    for row in rows]


def parse_counts(ctx, option, text):
    """Return "1,5,all" as [1, 5, None]; raises click.BadParameter."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part == "all" or part.isdecimal() and int(part) > 0 for part in parts):
        raise click.BadParameter(f"{text!r} is not a list of numbers above 0 and the word all, such as 1,5,all")
    return [None if part == "all" else int(part) for part in parts]


FILE, FOLDER = click.Path(dir_okay=False), click.Path(file_okay=False)


@click.command(name="study")
@click.argument("bundle", type=FILE)
@click.option("--labels", type=FILE, help="Multi-label list: picture, tab, label,label.")
@click.option("--images", type=FOLDER, help="Folder of its pictures.")
@click.option("--train", type=FILE, help="Its training pictures, one a line.")
@click.option("--dev", type=FILE, help="Its dev pictures, one a line.")
@click.option("--classes", type=FILE, help="Its class names, one a line.")
@click.option("--folders", type=FOLDER, help="Or class folders: of training pictures,")
@click.option("--folders-dev", type=FOLDER, help="and of dev pictures.")
@click.option("--pictures", "counts", default="1,2,5,10,50,all", show_default=True, callback=parse_counts,
              help="Pictures a class.")
@click.option("--draws", default=20, show_default=True, type=click.IntRange(1), help="How often they are drawn.")
@click.option("--json", "json_file", type=FILE, help="Write the figures as JSON to this file.")
def command(bundle, labels, images, train, dev, classes, folders, folders_dev, counts, draws, json_file):
    """Compare classifiers on what BUNDLE sees and says: with its captions, without, and with those of other pictures."""
    if bool(labels) == bool(folders):
        raise PicaptionError("give the data by one of --labels and --folders")
    if labels and not (images and train and dev):
        raise PicaptionError("--labels go with --images, --train and --dev")
    if folders and not folders_dev:
        raise PicaptionError("--folders go with --folders-dev")
    if labels:
        sets = [readers.read_labels(labels, images, split, classes) for split in (train, dev)]
    else:
        sets = [readers.read_folders(folder) for folder in (folders, folders_dev)]
    if sets[0].classes != sets[1].classes:
        raise PicaptionError("training and dev pictures have different classes")
    recognizer = Recognizer(Bundle(bundle))
    if recognizer.model.vocabulary is None:
        raise PicaptionError(f"{bundle}: it has no captioner, so there is nothing to compare")
    names = naming_words(sets[0].classes, recognizer.model.vocabulary)
    inputs = [inputs_of(recognizer, each, what) for each, what in zip(sets, ("training pictures", "dev pictures"))]
    rows = study(*inputs, names, bool(labels), counts, draws)
    click.echo("\n".join(table(rows)))
    if json_file:
        write_text(json_file, json.dumps(rows, indent=1) + "\n")


main = partial(cli.main, command=command, name="python -m models.study")

if __name__ == "__main__":
    main()
