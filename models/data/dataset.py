"""What a training run learns from: images in memory, their words, tags and labels."""

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from picaption.device.atomic import read_text
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, START_ID, UNKNOWN_ID, Vocabulary
from picaption.device.errors import PicaptionError

from ..files import write_lines
from ..settings import Settings
from . import readers
from .batches import SIDED_WORDS, Examples, windows
from .caption_transfer import IsTrue, transfer_captions, transfer_captions_by_name
from .paraphrases import add_paraphrases
from .readers import Dataset, Record
from .tokenizer import STOP_WORDS, tokenize

logger = logging.getLogger(__name__)

#: How many prompts a captioner is asked for words by.
PROMPTS = 16
#: How many histories, the most frequent, they are chosen from.
PROMPT_CANDIDATES = 1000


#: ImageNet's classes by everyday names.
IMAGENET_NAMES = Path(__file__).parents[1] / "mappings" / "imagenet_names.tsv"


@dataclass(frozen=True)
class Split:
    """Records of a data set and their images, uint8 [N, S, S, 3], by the same index."""

    records: tuple[Record, ...]
    images: np.ndarray
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class TrainingData:
    """What a run learns from; a Split is None where the settings name no such data.

    `named` are images of which a name is known: captions, borrowed by it, and no classes.
    """

    captions: Split | None
    captions_dev: Split | None
    labels: Split | None
    labels_dev: Split | None
    named: Split | None = None


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
        for folder in filter(None, settings.partly_labelled.split(",")):
            dataset = readers.read_partly_labelled(root / folder.strip(), labels.classes)
            partly = _load_split(dataset, settings)
            labels = replace(
                labels,
                records=labels.records + partly.records,
                images=np.concatenate([labels.images, partly.images]),
            )
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
    named = None
    if settings.named_labels:
        named = _load_named(settings, root)
    data = TrainingData(captions, captions_dev, labels, labels_dev, named)
    if settings.label_captions:
        data = _add_own_captions(data, root / settings.label_captions)
    if settings.label_dev_captions:
        data = _add_dev_captions(data, root / settings.label_dev_captions)
    return data


def _add_dev_captions(data: TrainingData, path: Path) -> TrainingData:
    """Return the data, its labelled dev images with the captions that a file has of them."""
    assert data.labels_dev is not None
    captions = readers.read_caption_texts(path)
    records = tuple(
        replace(record, captions=tuple(captions.get(record.name, ())))
        for record in data.labels_dev.records
    )
    captioned = sum(bool(record.captions) for record in records)
    if not captioned:
        raise PicaptionError(
            f"{path}: it has captions of none of the {len(records)} labelled dev pictures: check "
            "that label_dev_captions and label_dev name the same pictures"
        )
    logger.info("%s: captions of %d of %d labelled dev images", path, captioned, len(records))
    return replace(data, labels_dev=replace(data.labels_dev, records=records))


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


def _load_named(settings: Settings, root: Path) -> Split:
    """Return the images that are known by a name; their labels are its words."""
    words = None
    if settings.named_words:
        path = IMAGENET_NAMES if settings.named_words == "imagenet" else root / settings.named_words
        words = readers.read_borrowing_words(path)
    dataset = readers.read_named_images(
        root / settings.named_labels, root / settings.named_images, words
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


def load_text(settings: Settings, root: Path, data: TrainingData) -> tuple[Record, ...]:
    """Return the captions without images that others borrow, with labels where these are known.

    The captions of `more_text` come behind those that `text` has of the same image. Those of dev
    images are left out; an image's name counts without its suffix.

    Args:
        settings: text and more_text count.
        root: The folder that the paths start from.
        data: Its dev images count.
    """
    records: tuple[Record, ...] = ()
    if settings.text:
        records = readers.read_text_captions(root / settings.text)
    if settings.more_text:
        more = readers.read_unlabelled_captions(root / settings.more_text)
        joined = []
        for record in records:
            captions = dict.fromkeys((*record.captions, *more.pop(record.name, ())))
            joined.append(replace(record, captions=tuple(captions)))
        unlabelled = (Record(name, Path(name), tuple(texts)) for name, texts in more.items())
        records = (*joined, *unlabelled)
    dev_names = {
        Path(record.name).stem
        for split in (data.captions_dev, data.labels_dev)
        if split
        for record in split.records
    }
    training_text = tuple(record for record in records if Path(record.name).stem not in dev_names)
    if len(training_text) < len(records):
        logger.info(
            "text: left out the captions of %d dev images", len(records) - len(training_text)
        )
    return training_text


def load_plain_text(settings: Settings, root: Path) -> tuple[Record, ...]:
    """Return the images that captions in rows of lines are of; none where no file is named.

    Args:
        settings: plain_text and plain_text_captions count.
        root: The folder that the path starts from.
    """
    if not settings.plain_text:
        return ()
    lines = readers.read_text(root / settings.plain_text, "captions").splitlines()
    step = settings.plain_text_captions
    return tuple(
        Record(str(start), Path(str(start)), tuple(lines[start : start + step]))
        for start in range(0, len(lines), step)
    )


def add_captions_by_name(
    data: TrainingData, text: Sequence[Record], objects: Collection[str], seed: int, path: Path
) -> TrainingData:
    """Give images that are known by a name captions that have it in them (caption_transfer).

    Args:
        data: Its named images borrow; those that find nothing stay without captions.
        text: Captions without images.
        objects: Names of other things that captions may be about.
        seed: Of draws among equals.
        path: As for add_transferred_captions.
    """
    assert data.named is not None
    records = data.named.records
    if not path.exists():
        _write_captions(path, transfer_captions_by_name(records, text, objects, seed))
    records = _with_borrowed(records, path)
    logger.info(
        "%d of %d images with a name borrow captions by it",
        sum(bool(record.captions) for record in records),
        len(records),
    )
    return replace(data, named=replace(data.named, records=records))


def _write_captions(path: Path, records: Sequence[Record]) -> None:
    """Write the captions of images in Flickr8k's layout."""
    lines = [
        f"{record.name}#{index}\t{caption}"
        for record in records
        for index, caption in enumerate(record.captions)
    ]
    write_lines(path, lines)


def _with_borrowed(records: Sequence[Record], path: Path) -> tuple[Record, ...]:
    """Return records, those without captions with the ones that a file has for them."""
    content = read_text(path, encoding="utf-8")
    captions = readers.read_flickr8k(path, content)
    captioned = []
    for record in records:
        texts = tuple(captions.get(record.name, ()))
        if texts and not record.captions:
            record = replace(record, captions=texts, borrowed=True)
        captioned.append(record)
    return tuple(captioned)


def add_transferred_captions(
    data: TrainingData,
    settings: Settings,
    text: Sequence[Record],
    path: Path,
    is_true: IsTrue | None = None,
) -> TrainingData:
    """Give labelled images captions of other images (caption_transfer).

    Args:
        data: A `transfer_share` of its labelled images without captions is given some.
        settings: transfer_share, transfer_neighbours and seed count.
        text: Captions without images; those with labels are borrowed.
        path: A captions file in Flickr8k's layout: the captions to take where it exists, otherwise
            they are written there.
        is_true: As for transfer_captions.
    """
    assert data.labels is not None
    records = data.labels.records
    if not path.exists():
        labelled_text = [record for record in text if record.labels]
        uncaptioned = [record for record in records if not record.captions]
        order = np.random.default_rng(settings.seed).permutation(len(uncaptioned))
        drawn = sorted(order[: round(settings.transfer_share * len(uncaptioned))])
        borrowers = [uncaptioned[index] for index in drawn]
        transferred = transfer_captions(
            borrowers, labelled_text, settings.seed, settings.transfer_neighbours, is_true
        )
        _write_captions(path, transferred)
    records = _with_borrowed(records, path)
    return replace(data, labels=replace(data.labels, records=records))


def add_own_paraphrases(
    data: TrainingData, settings: Settings, text: Sequence[Record], is_true: IsTrue
) -> TrainingData:
    """Give labelled images with captions of their own paraphrases of these (paraphrases).

    Args:
        data: Its labelled images get some.
        settings: paraphrases counts.
        text: Captions without images; those with labels are taken.
        is_true: As for add_paraphrases.
    """
    assert data.labels is not None
    if not settings.paraphrases:
        return data
    labelled_text = [record for record in text if record.labels]
    records = add_paraphrases(data.labels.records, labelled_text, settings.paraphrases, is_true)
    counts = [len(record.paraphrases) for record in records if record.paraphrases]
    logger.info("paraphrases: %d for %d labelled images", sum(counts), len(counts))
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
        split: Its captions, their paraphrases and labels count; tags come from the captions alone.
        inputs: Its images or their features.
        vocabulary: Of the captioner.
        tags: The words of the tagger.
    """
    tokenized = [[tokenize(caption) for caption in record.captions] for record in split.records]
    paraphrases = [
        [tokenize(caption) for caption in record.paraphrases] for record in split.records
    ]
    word_sets: list[set[str]] = [set().union(*captions) for captions in tokenized]
    labels = None
    if split.classes:
        labels = readers.label_matrix(split.records, split.classes)
    return Examples(
        inputs,
        [
            [vocabulary.encode(caption) for caption in captions + more]
            for captions, more in zip(tokenized, paraphrases)
        ],
        np.array([[tag in words for tag in tags] for words in word_sets], np.float32),
        np.array([bool(words & SIDED_WORDS) for words in word_sets]),
        labels,
    )
