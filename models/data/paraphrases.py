"""Paraphrases for images with few captions: what others say of images much like them.

A sentence or two of an image leave most of what can be said of it unsaid. An image gets the
captions of other images that are nearest to its own, by the cosine of their TF-IDF vectors (Salton
and Buckley, "Term-weighting approaches in automatic text retrieval", 1988). They must not say more
of people and numbers than its own do: nearness does not see that a woman is no man.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .caption_transfer import IsTrue, NgramVector, count_ngrams, tf_idf
from .readers import Record
from .tokenizer import tokenize

#: The cosine that they have at least with one of its own.
NEAREST = 0.36
#: Captions that are looked at, the nearest ones.
CANDIDATES = 120
#: Words and word pairs that more than this share of all captions have tell nothing apart.
COMMON = 0.05
#: Words and word pairs that fewer captions have link none.
MIN_CAPTIONS = 2
_PEOPLE = "man men woman women boy boys girl girls lady ladies guy guys child children baby his her"
_NUMBERS = "one two three four five six couple"
#: What a paraphrase must not add.
PEOPLE_AND_NUMBERS = frozenset(f"{_PEOPLE} {_NUMBERS}".split())


@dataclass(frozen=True)
class _Postings:
    """Where the captions' words and word pairs stand.

    captions: The captions.
    rarity: log(captions / those with it) of each word and word pair.
    columns: For each, the indices of the captions that have it, int32 [captions with it], and its
        weights in them, float32 likewise.
    """

    captions: Sequence[str]
    rarity: Mapping[object, float]
    columns: Mapping[object, tuple[np.ndarray, np.ndarray]]

    def nearness(self, vector: NgramVector) -> np.ndarray:
        """Return the cosine of every caption with a vector of length 1, float32 [captions]."""
        cosine = np.zeros(len(self.captions), np.float32)
        for ngram, weight in vector.items():
            if ngram in self.columns:
                indices, weights = self.columns[ngram]
                cosine[indices] += weight * weights
        return cosine


def add_paraphrases(
    records: Sequence[Record], text: Sequence[Record], count: int, is_true: IsTrue
) -> tuple[Record, ...]:
    """Give images with captions of their own the captions that are much like these.

    Args:
        records: Images; those without captions, or with borrowed ones, stay as they are.
        text: Captions of other images.
        count: The most that an image gets.
        is_true: Of the captions near to an image's own only these are taken.

    Returns:
        `records` with paraphrases, the nearest first.
    """
    postings = _index(sorted({caption for record in text for caption in record.captions}))
    return tuple(
        record
        if record.borrowed or not record.captions
        else replace(record, paraphrases=_paraphrases(record, postings, is_true)[:count])
        for record in records
    )


def _paraphrases(record: Record, postings: _Postings, is_true: IsTrue) -> tuple[str, ...]:
    """Return the captions nearest to those of an image that are true of it."""
    own = {tuple(tokenize(caption)) for caption in record.captions}
    own_words = set().union(*own)
    vectors = [_vector(caption, postings.rarity) for caption in record.captions]
    cosine = np.max([postings.nearness(vector) for vector in vectors], axis=0)
    candidates = np.argsort(-cosine, kind="stable")[:CANDIDATES]
    # The first caption of the same words stands for the others.
    paraphrases: dict[tuple[str, ...], str] = {}
    for index in candidates[cosine[candidates] >= NEAREST]:
        caption = postings.captions[index]
        words = tuple(tokenize(caption))
        adds_people = not PEOPLE_AND_NUMBERS.isdisjoint(set(words) - own_words)
        if words not in own and not adds_people and is_true(caption, record):
            paraphrases.setdefault(words, caption)
    return tuple(paraphrases.values())


def _index(captions: Sequence[str]) -> _Postings:
    """Return where the words and word pairs of captions stand."""
    counts = [count_ngrams(caption) for caption in captions]
    frequency = Counter(ngram for count in counts for ngram in count)
    common = COMMON * len(captions)
    rarity = {
        ngram: math.log(len(captions) / number)
        for ngram, number in frequency.items()
        if MIN_CAPTIONS <= number <= max(common, MIN_CAPTIONS)
    }
    columns: dict[object, tuple[list[int], list[float]]] = {ngram: ([], []) for ngram in rarity}
    for index, count in enumerate(counts):
        known = {ngram: number for ngram, number in count.items() if ngram in rarity}
        for ngram, weight in tf_idf(known, rarity).items():
            indices, weights = columns[ngram]
            indices.append(index)
            weights.append(weight)
    arrays = {
        ngram: (np.array(indices, np.int32), np.array(weights, np.float32))
        for ngram, (indices, weights) in columns.items()
    }
    return _Postings(captions, rarity, arrays)


def _vector(caption: str, rarity: Mapping[object, float]) -> NgramVector:
    """Return the TF-IDF vector of a caption, of the words and word pairs that have a rarity."""
    counts = count_ngrams(caption)
    return tf_idf({ngram: count for ngram, count in counts.items() if ngram in rarity}, rarity)
