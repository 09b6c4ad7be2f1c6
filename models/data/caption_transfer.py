"""Captions for labelled images that have none: those of other images with the same labels.

What people write of an image depends above all on the objects in it. An image borrows the captions
of the images, known by captions and labels alone, whose labels are nearest to its own, and of those
the ones that agree most with the others: a consensus of captions is a better caption than a typical
one (Devlin et al., "Exploring Nearest Neighbor Approaches for Image Captioning", 2015).
"""

import math
from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from .readers import Record, label_matrix
from .tokenizer import tokenize

#: Images that one borrows from.
NEIGHBOURS = 20
#: Captions that it takes.
TRANSFERRED = 10

#: Weights of a caption's words and word pairs.
NgramVector = dict[Hashable, float]


def transfer_captions(
    records: Sequence[Record], text: Sequence[Record], seed: int = 0
) -> tuple[Record, ...]:
    """Give images captions of others with similar labels.

    Nearness is the weighted Jaccard index of the labels, a label's weight being
    log(images / images with it). An image without labels, or with labels that no text has, borrows
    nothing.

    Args:
        records: Images with labels.
        text: Captions with labels, without their images.
        seed: Draws which of equally near images are taken.

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
    for record, own in zip(records, label_matrix(records, classes)):
        shared = weighted @ own
        nearness = shared / np.maximum(sizes + own @ weights - shared, 1e-9)
        nearest = np.lexsort((random.random(len(text)), -nearness))[:NEIGHBOURS]
        captions: list[str] = []
        caption_vectors: list[NgramVector] = []
        for index in nearest:
            if nearness[index] > 0:
                captions += text[index].captions
                caption_vectors += vectors[index]
        best = rank_by_consensus(caption_vectors)[:TRANSFERRED]
        captioned.append(replace(record, captions=tuple(captions[index] for index in best)))
    return tuple(captioned)


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
