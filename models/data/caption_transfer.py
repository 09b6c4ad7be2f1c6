"""Captions for labelled images that have none: those of other images with the same labels.

What people write of an image depends above all on the objects in it. An image borrows the captions
of the images, known by captions and labels alone, whose labels are nearest to its own, and of those
the ones that agree most with the others: a consensus of captions is a better caption than a typical
one (Devlin et al., "Exploring Nearest Neighbor Approaches for Image Captioning", 2015).

An image of which only a name is known borrows captions with that name in them, of those that are
about it.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from .readers import Record, label_matrix
from .tokenizer import split_words, tokenize

#: Images that one borrows from.
NEIGHBOURS = 20
#: Captions that it takes.
TRANSFERRED = 10
#: Captions with its name that an image borrows from.
NAMED_CANDIDATES = 100
#: A name that fewer captions have is perhaps a slip of the pen in them.
MIN_NAMED = 8
#: Captions that are about something name it among their first words, this many.
EARLY_WORDS = 5

#: Weights of a caption's words and word pairs.
NgramVector = dict[Hashable, float]


@dataclass(frozen=True)
class NamedCaption:
    """A caption with a name in it.

    text: the caption
    is_late: whether the name stands behind the first EARLY_WORDS words
    other_names: what else it names
    """

    text: str
    is_late: bool
    other_names: Set[str]


#: Whether a caption says what is true of an image of which the labels are known.
IsTrue = Callable[[str, Record], bool]


def transfer_captions(
    records: Sequence[Record],
    text: Sequence[Record],
    seed: int = 0,
    neighbours: int = NEIGHBOURS,
    is_true: IsTrue | None = None,
) -> tuple[Record, ...]:
    """Give images captions of others with similar labels.

    Nearness is the weighted Jaccard index of the labels, a label's weight being
    log(images / images with it). An image without labels, or with labels that no text has, borrows
    nothing.

    Args:
        records: Images with labels.
        text: Captions with labels, without their images.
        seed: Draws which of equally near images are taken.
        neighbours: Images that one borrows from.
        is_true: Of their captions only these are borrowed; None: all.

    Returns:
        `records` with captions.
    """
    classes = sorted({label for record in text for label in record.labels})
    has = label_matrix(text, classes)
    # A label that all images have counts a little too.
    weights = np.maximum(np.log(len(text) / has.sum(0)), 1e-6)
    weighted = has * weights
    sizes = has @ weights
    random = np.random.default_rng(seed)
    vectors = _caption_vectors(text)
    captioned = []
    # What is unknown is rather not there.
    for record, own in zip(records, np.nan_to_num(label_matrix(records, classes))):
        shared = weighted @ own
        nearness = shared / np.maximum(sizes + own @ weights - shared, 1e-9)
        nearest = np.lexsort((random.random(len(text)), -nearness))[:neighbours]
        captions: list[str] = []
        caption_vectors: list[NgramVector] = []
        for index in nearest:
            if nearness[index] <= 0:
                continue
            for caption, vector in zip(text[index].captions, vectors[index]):
                if is_true is None or is_true(caption, record):
                    captions.append(caption)
                    caption_vectors.append(vector)
        best = rank_by_consensus(caption_vectors)[:TRANSFERRED]
        borrowed = tuple(captions[index] for index in best)
        captioned.append(replace(record, captions=borrowed, borrowed=True))
    return tuple(captioned)


def transfer_captions_by_name(
    records: Sequence[Record], text: Sequence[Record], objects: Collection[str], seed: int = 0
) -> tuple[Record, ...]:
    """Give images captions that have one of their names in them, in singular or plural.

    Those that name nothing else come first, and those that name it early: they are about it. Of
    NAMED_CANDIDATES of them the image gets those that agree most with the others; of a name after
    the first as many as the names before left open.

    Args:
        records: Images, with what they may be called for labels, the best name first.
        text: Captions without their images.
        objects: What else a caption may be about: names of things, beside those of `records`.
        seed: Draws which of captions that are equally good are taken.

    Returns:
        `records` with captions; without where no caption has a name of theirs.
    """
    all_names = {name for record in records for name in record.labels}
    phrases = {split_words(name): name for name in objects}
    phrases |= {form: name for name in sorted(all_names) for form in name_forms(name)}
    by_name: dict[str, list[NamedCaption]] = {name: [] for name in all_names}
    captions = dict.fromkeys(caption for record in text for caption in record.captions)
    for caption in captions:
        positions = _named_positions(split_words(caption), phrases)
        for name in positions.keys() & all_names:
            is_late = positions[name] >= EARLY_WORDS
            by_name[name].append(NamedCaption(caption, is_late, positions.keys() - {name}))
    random = np.random.default_rng(seed)
    chosen: dict[tuple[str, ...], tuple[str, ...]] = {}
    captioned = []
    for record in records:
        names = record.labels
        if names not in chosen:
            borrowed = [
                caption for name in names for caption in _about(by_name[name], names, random)
            ]
            chosen[names] = tuple(dict.fromkeys(borrowed))[:TRANSFERRED]
        captioned.append(replace(record, captions=chosen[names], borrowed=True))
    return tuple(captioned)


def _about(
    candidates: Sequence[NamedCaption], names: Collection[str], random: np.random.Generator
) -> tuple[str, ...]:
    """Return captions that are about an image with these names, the best first.

    Those that name another thing too are taken only if there are fewer than MIN_NAMED of the rest.
    """
    shuffled = [candidates[index] for index in random.permutation(len(candidates))]
    alone = [caption for caption in shuffled if caption.other_names.issubset(names)]
    with_another = [caption for caption in shuffled if len(caption.other_names - {*names}) == 1]
    pool = alone if len(alone) >= MIN_NAMED else alone + with_another
    if len(pool) < MIN_NAMED:
        return ()
    pool.sort(key=lambda caption: caption.is_late)
    return _agreeing([caption.text for caption in pool[:NAMED_CANDIDATES]])


def name_forms(name: str) -> set[tuple[str, ...]]:
    """Return the words of a name, in the singular and in forms that may be its plural."""
    words = split_words(name)
    if not words:
        return set()
    last = words[-1]
    forms = {last, f"{last}s", f"{last}es"}
    if last.endswith("y"):
        forms.add(f"{last[:-1]}ies")
    if last.endswith("man"):
        forms.add(f"{last[:-3]}men")
    return {(*words[:-1], form) for form in forms}


def _named_positions(
    words: Sequence[str], phrases: Mapping[tuple[str, ...], str]
) -> dict[str, int]:
    """Return the names in a caption, each with the position of its first word.

    From left to right the longest phrase counts: a hot dog is no dog.
    """
    positions: dict[str, int] = {}
    longest = max(map(len, phrases), default=0)
    start = 0
    while start < len(words):
        for length in range(longest, 0, -1):
            name = phrases.get(tuple(words[start : start + length]))
            if name is not None:
                positions.setdefault(name, start)
                start += length
                break
        else:
            start += 1
    return positions


def _agreeing(captions: Sequence[str]) -> tuple[str, ...]:
    """Return the TRANSFERRED captions that agree most with all of them."""
    vectors = _caption_vectors([Record(caption, Path(caption), (caption,)) for caption in captions])
    best = rank_by_consensus([vector for (vector,) in vectors])[:TRANSFERRED]
    return tuple(captions[index] for index in best)


def _caption_vectors(text: Sequence[Record]) -> list[list[NgramVector]]:
    """Return the TF-IDF vector of every caption of every record."""
    counts = [[count_ngrams(caption) for caption in record.captions] for record in text]
    frequency = Counter(ngram for captions in counts for ngram in set().union(*captions))
    rarity = {ngram: math.log(len(text) / count) for ngram, count in frequency.items()}
    return [[tf_idf(caption, rarity) for caption in captions] for captions in counts]


def count_ngrams(caption: str) -> Counter:
    """Return how often a caption has its words and word pairs, start and end among the words."""
    words = ["", *tokenize(caption), ""]
    return Counter(words[1:-1]) + Counter(zip(words, words[1:]))


def tf_idf(counts: Mapping[Hashable, int], rarity: Mapping[Hashable, float]) -> NgramVector:
    """Return {n-gram: count * rarity}, scaled to length 1."""
    norm = math.sqrt(sum((count * rarity[ngram]) ** 2 for ngram, count in counts.items())) or 1.0
    return {ngram: count * rarity[ngram] / norm for ngram, count in counts.items()}


def rank_by_consensus(vectors: Sequence[NgramVector]) -> list[int]:
    """Return the indices of vectors, the one first that agrees most with all.

    Agreement is the mean cosine with the others. Of captions with the same n-grams the first is in
    the list.

    Args:
        vectors: {n-gram: weight}, of length 1.
    """
    total: Counter = Counter()
    for vector in vectors:
        total.update(vector)
    agreement = [sum(value * total[ngram] for ngram, value in vector.items()) for vector in vectors]
    first = {frozenset(vector): index for index, vector in reversed(list(enumerate(vectors)))}
    return sorted(first.values(), key=lambda index: -agreement[index])
