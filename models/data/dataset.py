"""What a training run learns from: pictures in memory, their words, tags and labels."""

import logging
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, replace

import numpy as np

from picaption.device.bundle.vocabulary import SPECIAL_WORDS, START_ID, UNKNOWN_ID, Vocabulary
from picaption.device.errors import PicaptionError

from ..files import write_lines
from . import readers
from .batches import SIDED, Examples, windows
from .caption_transfer import transfer_captions
from .tokenizer import STOP_WORDS, tokenize

log = logging.getLogger("picaption")

#: How many prompts a captioner is asked by, and of how many histories, the most frequent, they are chosen.
PROMPTS, FREQUENT = 16, 1000


@dataclass(frozen=True)
class Split:
    """Records of a data set and their pictures, uint8 [N, S, S, 3]; the two go by the same index."""

    records: tuple
    pictures: np.ndarray
    classes: tuple = ()


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from; a Split is None where the settings name no such data."""

    captions: Split | None
    captions_dev: Split | None
    labels: Split | None
    labels_dev: Split | None


def load_data(settings, root):
    """Read the pictures, captions and labels that `settings` name; what is left out is logged by name."""

    def path(name):
        return root / name if name else None

    def load(dataset):
        dataset, pictures = readers.load_images(
            dataset, settings.size, settings.size, settings.resize
        )
        for line in dataset.skipped:
            log.warning("left out %s", line)
        return Split(dataset.records, pictures, dataset.classes)

    captions = captions_dev = labels = labels_dev = None
    if settings.captions:
        sources = path(settings.captions), path(settings.images)
        captions_dev = (
            settings.dev and load(readers.read_captions(*sources, path(settings.dev))) or None
        )
        dataset = readers.read_captions(*sources, path(settings.train))
        if captions_dev and not settings.train:
            held_back = {record.name for record in captions_dev.records}
            dataset = replace(
                dataset,
                records=tuple(each for each in dataset.records if each.name not in held_back),
            )
        captions = load(dataset)
    if settings.labels:
        sources = path(settings.labels), path(settings.label_images)
        labels = load(
            readers.read_labels(*sources, path(settings.label_train), path(settings.label_classes))
        )
        labels_dev = (
            settings.label_dev
            and load(
                readers.read_labels(
                    *sources, path(settings.label_dev), path(settings.label_classes)
                )
            )
            or None
        )
    elif settings.folders:
        labels = load(readers.read_folders(path(settings.folders)))
        labels_dev = (
            settings.folders_dev and load(readers.read_folders(path(settings.folders_dev))) or None
        )
    if labels_dev and labels_dev.classes != labels.classes:
        raise PicaptionError(
            "the training and dev pictures have different classes: "
            + ", ".join(sorted(set(labels.classes) ^ set(labels_dev.classes)))
        )
    return TrainingData(captions, captions_dev, labels, labels_dev)


def with_transferred_captions(data, settings, root, path):
    """Return `data` with captions for a `transfer_share` of its labelled pictures, borrowed from the text that the settings
    name, or as they were kept at `path`, in Flickr8k's layout."""
    if not path.exists():
        text = readers.read_text_captions(root / settings.text)
        total = len(data.labels.records)
        drawn = np.random.default_rng(settings.seed).permutation(total)[
            : round(settings.transfer_share * total)
        ]
        found = transfer_captions(
            [data.labels.records[index] for index in sorted(drawn)], text, settings.seed
        )
        write_lines(
            path,
            [
                f"{record.name}#{number}\t{caption}"
                for record in found
                for number, caption in enumerate(record.captions)
            ],
        )
    told = readers.read_flickr8k(path, path.read_text(encoding="utf-8"))
    records = tuple(
        replace(record, captions=tuple(told.get(record.name, ()))) for record in data.labels.records
    )
    return replace(data, labels=replace(data.labels, records=records))


def learn_vocabulary(records, min_count):
    """Return the Vocabulary of the words that the captions of `records` use at least `min_count` times."""
    counts = Counter(
        word for record in records for caption in record.captions for word in tokenize(caption)
    )
    frequent = [word for word, count in counts.items() if count >= min_count]
    words = sorted(frequent, key=lambda word: (-counts[word], word))
    if not words:
        raise PicaptionError(
            f"no word stands {min_count} times in the captions: lower min_count or give more captions"
        )
    return Vocabulary(SPECIAL_WORDS + tuple(words))


def learn_tags(records, vocabulary, count):
    """Return the `count` words that say something and that the captions of the most pictures use."""
    pictures = Counter()
    for record in records:
        pictures.update({word for caption in record.captions for word in tokenize(caption)})
    telling = [word for word in pictures if word in vocabulary.word_ids and word not in STOP_WORDS]
    return tuple(sorted(telling, key=lambda word: (-pictures[word], word))[:count])


def learn_prompts(records, vocabulary, order):
    """Return the PROMPTS starts of sentences, as text, by which an n-gram captioner of `order` is asked for words (picaption.device.bundle.word_evidence).

    They are the histories after which the captions of `records` go on in the most ways, by the entropy of the next word, of
    the FREQUENT most frequent ones.
    """
    after = defaultdict(Counter)
    for words in (
        vocabulary.encode(tokenize(caption)) for record in records for caption in record.captions
    ):
        for history, word in zip(*windows(words, order)):
            after[tuple(history)][word] += 1
    known = [history for history in after if UNKNOWN_ID not in history]
    frequent = sorted(known, key=lambda history: (-after[history].total(), history))[:FREQUENT]
    best = sorted(frequent, key=lambda history: (-entropy(after[history]), history))[:PROMPTS]
    return tuple(
        " ".join(vocabulary.words[number] for number in history if number != START_ID)
        for history in best
    )


def entropy(counts):
    """Return the entropy of a Counter's items, in nats."""
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


def examples(split, inputs, vocabulary, tags):
    """Return `split` as training data over `inputs`, its pictures or their features."""
    told = [[tokenize(caption) for caption in record.captions] for record in split.records]
    said = [set().union(*captions) for captions in told]
    return Examples(
        inputs,
        [[vocabulary.encode(caption) for caption in captions] for captions in told],
        np.array([[tag in words for tag in tags] for words in said], np.float32),
        np.array([bool(words & SIDED) for words in said]),
        readers.label_matrix(split.records, split.classes) if split.classes else None,
    )
