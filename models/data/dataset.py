"""What a training run learns from: images in memory, their words, tags and labels."""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from picaption.device.bundle.vocabulary import SPECIAL_WORDS, START_ID, UNKNOWN_ID, Vocabulary
from picaption.device.errors import PicaptionError

from ..files import write_lines
from ..settings import Settings
from . import readers
from .batches import SIDED_WORDS, Examples, windows
from .caption_transfer import transfer_captions
from .readers import Dataset, Record
from .tokenizer import STOP_WORDS, tokenize

logger = logging.getLogger(__name__)

#: How many prompts a captioner is asked for words by.
PROMPTS = 16
#: How many histories, the most frequent, they are chosen from.
PROMPT_CANDIDATES = 1000


@dataclass(frozen=True)
class Split:
    """Records of a data set and their images, uint8 [N, S, S, 3], by the same index."""

    records: tuple[Record, ...]
    images: np.ndarray
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from; a Split is None where the settings name no such data."""

    captions: Split | None
    captions_dev: Split | None
    labels: Split | None
    labels_dev: Split | None


def load_data(settings: Settings, root: Path) -> TrainingData:
    """Read the images, captions and labels that the settings name; log what is left out.

    Args:
        settings: Their paths, and the size of the images.
        root: The folder that the paths start from.

    Raises:
        PicaptionError: Data is missing or malformed, or splits have different classes.
    """
    captions = captions_dev = labels = labels_dev = None
    if settings.captions:
        captions, captions_dev = _load_captions(settings, root)
    if settings.labels:
        labels = _load_labels(settings, root, settings.label_train)
        if settings.label_dev:
            labels_dev = _load_labels(settings, root, settings.label_dev)
    elif settings.folders:
        labels = _load_split(readers.read_folders(root / settings.folders), settings)
        if settings.folders_dev:
            labels_dev = _load_split(readers.read_folders(root / settings.folders_dev), settings)
    if labels and labels_dev and labels_dev.classes != labels.classes:
        raise PicaptionError(
            "the training and dev pictures have different classes: "
            + ", ".join(sorted(set(labels.classes) ^ set(labels_dev.classes)))
        )
    data = TrainingData(captions, captions_dev, labels, labels_dev)
    if settings.label_captions:
        data = _add_own_captions(data, root / settings.label_captions)
    return data


def _add_own_captions(data: TrainingData, path: Path) -> TrainingData:
    """Return the data, its labelled training images with the captions that a file has of them."""
    assert data.labels is not None
    captions = readers.read_caption_texts(path)
    dev_paths = {
        record.path.resolve()
        for split in (data.captions_dev, data.labels_dev)
        if split
        for record in split.records
    }
    records = []
    own = 0
    dev = 0
    for record in data.labels.records:
        texts = captions.get(record.name)
        if texts and record.path.resolve() in dev_paths:
            dev += 1
        elif texts:
            own += 1
            record = replace(record, captions=tuple(texts))
        records.append(record)
    if not own:
        raise PicaptionError(
            f"{path}: it has captions of none of the {len(records)} labelled training pictures: "
            "check that label_captions and label_train name the same pictures"
        )
    logger.info(
        "%s: %d of %d labelled images have captions of their own; left out those of %d dev images "
        "and of %d images that are not for training",
        path,
        own,
        len(records),
        dev,
        sum(map(bool, captions.values())) - own - dev,
    )
    return replace(data, labels=replace(data.labels, records=tuple(records)))


def _load_captions(settings: Settings, root: Path) -> tuple[Split, Split | None]:
    """Return the captioned images to train on and the dev images."""
    captions = root / settings.captions
    images = root / settings.images
    dev = None
    if settings.dev:
        dev = _load_split(readers.read_captions(captions, images, root / settings.dev), settings)
    dataset = readers.read_captions(captions, images, _path(root, settings.train))
    if dev and not settings.train:
        dev_names = {record.name for record in dev.records}
        records = [record for record in dataset.records if record.name not in dev_names]
        dataset = replace(dataset, records=tuple(records))
    return _load_split(dataset, settings), dev


def _load_labels(settings: Settings, root: Path, split: str) -> Split:
    """Return the labelled images of a split, "" for all."""
    dataset = readers.read_labels(
        root / settings.labels,
        root / settings.label_images,
        _path(root, split),
        _path(root, settings.label_classes),
    )
    return _load_split(dataset, settings)


def _load_split(dataset: Dataset, settings: Settings) -> Split:
    """Return a Dataset with its images; log what is left out."""
    dataset, images = readers.load_images(dataset, settings.size, settings.size, settings.resize)
    for line in dataset.skipped:
        logger.warning("left out %s", line)
    return Split(dataset.records, images, dataset.classes)


def _path(root: Path, name: str) -> Path | None:
    """Return the path of a setting, None where it is empty."""
    return root / name if name else None


def add_transferred_captions(
    data: TrainingData, settings: Settings, root: Path, path: Path
) -> TrainingData:
    """Give labelled images captions of other images (caption_transfer).

    Args:
        data: A `transfer_share` of its labelled images without captions is given some.
        settings: text, transfer_share and seed count.
        root: The folder that the path of the text starts from.
        path: A captions file in Flickr8k's layout: the captions to take where it exists, otherwise
            they are written there.
    """
    assert data.labels is not None
    records = data.labels.records
    if not path.exists():
        text = readers.read_text_captions(root / settings.text)
        uncaptioned = [record for record in records if not record.captions]
        order = np.random.default_rng(settings.seed).permutation(len(uncaptioned))
        drawn = sorted(order[: round(settings.transfer_share * len(uncaptioned))])
        borrowers = [uncaptioned[index] for index in drawn]
        transferred = transfer_captions(borrowers, text, settings.seed)
        lines = [
            f"{record.name}#{index}\t{caption}"
            for record in transferred
            for index, caption in enumerate(record.captions)
        ]
        write_lines(path, lines)
    captions = readers.read_flickr8k(path, path.read_text(encoding="utf-8"))
    records = tuple(
        replace(record, captions=record.captions or tuple(captions.get(record.name, ())))
        for record in records
    )
    return replace(data, labels=replace(data.labels, records=records))


def learn_vocabulary(records: Sequence[Record], min_count: int) -> Vocabulary:
    """Return the Vocabulary of the words that captions use at least `min_count` times.

    Raises:
        PicaptionError: No word is as frequent.
    """
    counts = Counter(
        word for record in records for caption in record.captions for word in tokenize(caption)
    )
    frequent = [word for word, count in counts.items() if count >= min_count]
    words = sorted(frequent, key=lambda word: (-counts[word], word))
    if not words:
        raise PicaptionError(
            f"no word stands {min_count} times in the captions: lower min_count or give more "
            "captions"
        )
    return Vocabulary(SPECIAL_WORDS + tuple(words))


def learn_tags(records: Sequence[Record], vocabulary: Vocabulary, count: int) -> tuple[str, ...]:
    """Return the `count` words that the captions of the most images use, without stop words."""
    frequency: Counter[str] = Counter()
    for record in records:
        frequency.update({word for caption in record.captions for word in tokenize(caption)})
    content_words = [
        word for word in frequency if word in vocabulary.word_ids and word not in STOP_WORDS
    ]
    return tuple(sorted(content_words, key=lambda word: (-frequency[word], word))[:count])


def learn_prompts(
    records: Sequence[Record],
    vocabulary: Vocabulary,
    order: int,
    count: int = PROMPTS,
    candidates: int = PROMPT_CANDIDATES,
) -> tuple[str, ...]:
    """Return beginnings of sentences after which a captioner is asked for words.

    They are the histories after which captions continue in the most ways, by the entropy of the
    next word (picaption.device.bundle.word_evidence).

    Args:
        records: Their captions count.
        vocabulary: Its words alone can be in a prompt.
        order: n, of the n-grams.
        count: How many prompts.
        candidates: How many histories, the most frequent, they are chosen from.

    Returns:
        The prompts, as text.
    """
    next_words: defaultdict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
    for record in records:
        for caption in record.captions:
            words = vocabulary.encode(tokenize(caption))
            for history, word in zip(*windows(words, order)):
                next_words[tuple(history)][word] += 1
    known = [history for history in next_words if UNKNOWN_ID not in history]
    known.sort(key=lambda history: (-next_words[history].total(), history))
    frequent = known[:candidates]
    frequent.sort(key=lambda history: (-entropy(next_words[history]), history))
    return tuple(
        " ".join(vocabulary.words[word_id] for word_id in history if word_id != START_ID)
        for history in frequent[:count]
    )


def entropy(counts: Counter) -> float:
    """Return the entropy of a Counter's items, in nats."""
    total = counts.total()
    return -sum(count / total * math.log(count / total) for count in counts.values())


def make_examples(
    split: Split, inputs: np.ndarray, vocabulary: Vocabulary, tags: Sequence[str]
) -> Examples:
    """Return a Split as training data.

    Args:
        split: Its captions and labels count.
        inputs: Its images or their features.
        vocabulary: Of the captioner.
        tags: The words of the tagger.
    """
    tokenized = [[tokenize(caption) for caption in record.captions] for record in split.records]
    word_sets: list[set[str]] = [set().union(*captions) for captions in tokenized]
    labels = None
    if split.classes:
        labels = readers.label_matrix(split.records, split.classes)
    return Examples(
        inputs,
        [[vocabulary.encode(caption) for caption in captions] for captions in tokenized],
        np.array([[tag in words for tag in tags] for words in word_sets], np.float32),
        np.array([bool(words & SIDED_WORDS) for words in word_sets]),
        labels,
    )
