"""Captions for labelled pictures that have none: those told of other pictures with the same labels.

What people say of a picture depends above all on the objects in it. A picture's captions are borrowed from the
pictures, known by text and labels alone, whose labels are nearest to its own, and of those the ones that say what
most say: a consensus of captions is a better caption than a typical one (Devlin et al., "Exploring Nearest Neighbor
Approaches for Image Captioning", 2015).
"""

import math
from collections import Counter
from dataclasses import replace

import numpy as np

from .readers import label_matrix
from .tokenizer import tokenize

#: Pictures that one borrows from, and captions that it keeps.
NEIGHBOURS, KEPT = 20, 10


def transfer_captions(records, text, seed=0):
    """Return `records` (picaption.models.data.readers.Record with labels) with captions borrowed from the records `text`.

    Nearness is the weighted Jaccard index of the labels, a label's weight being log(pictures / pictures with it);
    which of the equally near are taken is drawn with `seed`. A picture without labels, or with labels that no text
    has, borrows nothing.
    """
    classes = sorted({label for record in text for label in record.labels})
    has = label_matrix(text, classes)
    weights = np.maximum(
        np.log(len(text) / has.sum(0)), 1e-6
    )  # Even a label that all have is shared.
    weighted, sizes, random = has * weights, has @ weights, np.random.default_rng(seed)
    told = [[grams(caption) for caption in record.captions] for record in text]
    frequency = Counter(gram for captions in told for gram in set().union(*captions))
    rarity = {gram: math.log(len(text) / count) for gram, count in frequency.items()}
    told = [[unit(counts, rarity) for counts in captions] for captions in told]
    found = []
    for record, own in zip(records, label_matrix(records, classes)):
        shared = weighted @ own
        nearness = shared / np.maximum(sizes + own @ weights - shared, 1e-9)
        near = np.lexsort((random.random(len(text)), -nearness))[:NEIGHBOURS]
        pool = [
            pair
            for index in near
            if nearness[index] > 0
            for pair in zip(text[index].captions, told[index])
        ]
        best = consensus([vector for _, vector in pool])[:KEPT]
        found.append(replace(record, captions=tuple(pool[index][0] for index in best)))
    return tuple(found)


def grams(caption):
    """Return the words and word pairs of `caption`, its start and end among the words, as a Counter."""
    words = ["", *tokenize(caption), ""]
    return Counter(words[1:-1]) + Counter(zip(words, words[1:]))


def unit(counts, rarity):
    """Return {n-gram: count * rarity}, scaled to length 1, for a Counter of n-grams."""
    norm = math.sqrt(sum((count * rarity[gram]) ** 2 for gram, count in counts.items())) or 1.0
    return {gram: count * rarity[gram] / norm for gram, count in counts.items()}


def consensus(vectors):
    """Return the indices of `vectors`, {n-gram: weight} of length 1, the one that agrees most with all others first.

    Agreement is the mean cosine with the others; of equal vectors the first is given.
    """
    total = Counter()
    for vector in vectors:
        total.update(vector)
    agreement = [sum(value * total[gram] for gram, value in vector.items()) for vector in vectors]
    first = {frozenset(vector): index for index, vector in reversed(list(enumerate(vectors)))}
    return sorted(first.values(), key=lambda index: -agreement[index])
