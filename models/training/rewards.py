"""CIDEr-D, BLEU-4 and METEOR of a single caption, from its word ids: rewards while training.

What is reported comes from the reference implementations (picaption.models.evaluation.metrics).
"""

import math
from collections import Counter
from collections.abc import Collection, Hashable, Iterable, Sequence
from functools import lru_cache
from typing import Protocol

from picaption.device.bundle.vocabulary import END_ID

from ..evaluation.object_hallucination import LabelPhrases, phrase_mentions

#: A word or its id.
Word = Hashable
#: An n-gram.
Gram = tuple[Word, ...]
#: For each image its reference captions, each a sequence of words without the sentence end.
References = Sequence[Sequence[Sequence[Word]]]

#: The references of so many images are kept counted: samples of an image come one after another,
#: and the counts of all images would take gigabytes.
CACHED_IMAGES = 1024
#: The longest n-grams of CIDEr and BLEU, in words.
MAX_ORDER = 4
#: The standard deviation of CIDEr-D's length penalty, in words, as in the paper.
CIDER_SIGMA = 6.0
#: BLEU adds this to both counts of precisions of two words and more.
BLEU_SMOOTHING = 0.1
#: METEOR's parameters for English: the weight of precision against recall, the power and the height
#: of the fragmentation penalty, and the weight of content words; function words have the rest.
ALPHA = 0.85
BETA = 0.2
GAMMA = 0.6
DELTA = 0.75


class CaptionMetric(Protocol):
    """A score of a caption against the references of one image."""

    def score(self, index: int, words: Sequence[Word]) -> float:
        """Return the score of a caption's `words`, without the end, for image `index`."""


def ngram_counts(words: Sequence[Word]) -> Counter[Gram]:
    """Return the n-grams of `words`, 1 to MAX_ORDER words long, with their counts."""
    return Counter(
        tuple(words[start : start + order])
        for order in range(1, MAX_ORDER + 1)
        for start in range(len(words) - order + 1)
    )


def _with_ends(references: References) -> list[list[list[Word]]]:
    """Return the references with the sentence end as a last word."""
    return [[[*caption, END_ID] for caption in captions] for captions in references]


class CiderD:
    """CIDEr-D against the captions of a data set; 10 is a perfect match.

    Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015. The sentence
    end counts as a word: a score blind to it teaches captions that trail off. An n-gram weighs
    log(images / images with it in a caption).
    """

    def __init__(self, references: References) -> None:
        """Count the n-grams of the references.

        Args:
            references: For each image its captions, each a sequence of words or word ids.
        """
        references = _with_ends(references)
        self.document_frequency = Counter(
            gram
            for captions in references
            for gram in set().union(*(ngram_counts(caption) for caption in captions))
        )
        self.log_images = math.log(max(2, len(references)))
        self.references = references
        self._weighed_references = lru_cache(CACHED_IMAGES)(self._weigh_references)

    def _weigh_references(
        self, index: int
    ) -> list[tuple[tuple[dict[Gram, float], list[float]], int]]:
        """Return (tf-idf and norms, length) of the references of image `index`."""
        return [(self._tf_idf(caption), len(caption)) for caption in self.references[index]]

    def _tf_idf(self, words: Sequence[Word]) -> tuple[dict[Gram, float], list[float]]:
        """Return (tf-idf by n-gram, the norm for each n)."""
        weights = {
            gram: count * (self.log_images - math.log(max(1, self.document_frequency[gram])))
            for gram, count in ngram_counts(words).items()
        }
        norms = [0.0] * (MAX_ORDER + 1)
        for gram, weight in weights.items():
            norms[len(gram)] += weight * weight
        return weights, [math.sqrt(norm) for norm in norms]

    def score(self, index: int, words: Sequence[Word]) -> float:
        """Return CIDEr-D of a caption's `words`, without the end, for image `index`."""
        words = [*words, END_ID]
        weights, norms = self._tf_idf(words)
        total = 0.0
        for (reference, reference_norms), length in self._weighed_references(index):
            products = [0.0] * (MAX_ORDER + 1)
            for gram, weight in weights.items():
                reference_weight = reference.get(gram)
                if reference_weight:
                    products[len(gram)] += min(weight, reference_weight) * reference_weight
            penalty = math.exp(-((len(words) - length) ** 2) / (2 * CIDER_SIGMA**2))
            total += penalty * sum(
                product / (norm * reference_norm)
                for product, norm, reference_norm in zip(products, norms, reference_norms)
                if product
            )
        return 10 * total / (MAX_ORDER * len(self.references[index]))


class Bleu4:
    """Sentence-level BLEU-4 against the captions of a data set, from 0 to 1.

    Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002. The
    sentence end counts as a word. Precisions of two words and more are smoothed, or no caption
    without a match of four words would be worth anything.
    """

    def __init__(self, references: References) -> None:
        """Keep the references.

        Args:
            references: For each image its captions, each a sequence of words or word ids.
        """
        self.references = _with_ends(references)
        self._max_counts = lru_cache(CACHED_IMAGES)(self._count_references)

    def _count_references(self, index: int) -> Counter[Gram]:
        """Return the highest count of each n-gram in a reference of image `index`."""
        return _max_counts(ngram_counts(caption) for caption in self.references[index])

    def score(self, index: int, words: Sequence[Word]) -> float:
        """Return BLEU-4 of a caption's `words`, without the end, for image `index`."""
        max_counts = self._max_counts(index)
        matched = [0.0] + (MAX_ORDER - 1) * [BLEU_SMOOTHING]
        total = [0.0] + (MAX_ORDER - 1) * [BLEU_SMOOTHING]
        for gram, count in ngram_counts([*words, END_ID]).items():
            matched[len(gram) - 1] += min(count, max_counts[gram])
            total[len(gram) - 1] += count
        if not matched[0]:
            return 0.0
        length = len(words) + 1
        lengths = map(len, self.references[index])
        _, closest = min((abs(reference - length), reference) for reference in lengths)
        log_precision = sum(math.log(hits / count) for hits, count in zip(matched, total))
        log_brevity_penalty = min(0, 1 - closest / length)
        return math.exp(log_precision / MAX_ORDER + log_brevity_penalty)


def _max_counts(counters: Iterable[Counter[Gram]]) -> Counter[Gram]:
    """Return the highest count of each n-gram."""
    highest: Counter[Gram] = Counter()
    for counts in counters:
        highest |= counts
    return highest


class Meteor:
    """METEOR with exact matches alone (no stems, no synonyms), from 0 to 1.

    Denkowski and Lavie, "Meteor Universal: Language Specific Translation Evaluation for Any Target
    Language", WMT 2014. Words are aligned from left to right, each to the position that continues
    the run of matches before it, if there is one.
    """

    def __init__(self, references: References, function_words: Collection[Word]) -> None:
        """Keep the references.

        Args:
            references: For each image its captions, each a sequence of words or word ids.
            function_words: The words that carry little meaning, as the captions write them.
        """
        self.function_words = function_words
        self.references = references

    def score(self, index: int, words: Sequence[Word]) -> float:
        """Return METEOR of a caption's `words` against its best reference of image `index`."""
        return max(
            (self._against(reference, words) for reference in self.references[index]), default=0.0
        )

    def _against(self, reference: Sequence[Word], words: Sequence[Word]) -> float:
        matched, chunks = _align(reference, words)
        if not matched:
            return 0.0
        precision = self._weight(matched) / self._weight(words)
        recall = self._weight(matched) / self._weight(reference)
        mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
        return mean * (1 - GAMMA * (chunks / len(matched)) ** BETA)

    def _weight(self, words: Sequence[Word]) -> float:
        return sum(1 - DELTA if word in self.function_words else DELTA for word in words)


def _align(reference: Sequence[Word], words: Sequence[Word]) -> tuple[list[Word], int]:
    """Return (the words that match, the number of runs that they stand in)."""
    free = list(range(len(reference)))
    matched = []
    chunks = 0
    following = -1  # The position after the last match; no match starts there.
    for word in words:
        positions = [position for position in free if reference[position] == word]
        if not positions:
            following = -1
            continue
        position = following if following in positions else positions[0]
        if position != following:
            chunks += 1
        free.remove(position)
        matched.append(word)
        following = position + 1
    return matched, chunks


class AbsentObjects:
    """How many classes a caption names that its image does not show."""

    def __init__(
        self, absent: Sequence[Collection[str]], words: Sequence[str], phrases: LabelPhrases
    ) -> None:
        """Prepare the words.

        Args:
            absent: For each image the classes that are surely not in it; none where nothing is
                known.
            words: The vocabulary, by word id.
            phrases: Which words name which classes (object_phrases).
        """
        self.absent = absent
        self.parts: dict[Word, list[str]] = {
            word_id: word.split("-") for word_id, word in enumerate(words)
        }
        self.phrases = phrases

    def score(self, index: int, words: Sequence[Word]) -> float:
        """Return the number of absent classes in a caption's word ids, for image `index`."""
        absent = self.absent[index]
        if not absent:
            return 0.0
        parts = [part for word in words for part in self.parts[word]]
        return float(len(set(phrase_mentions(parts, self.phrases)).intersection(absent)))


class Reward:
    """The reward of self-critical training: 2 CIDEr-D + 5 BLEU-4 + 10 METEOR.

    The three are 10, 1 and 1 for a perfect caption, and about 0.5, 0.2 and 0.2 for a usual one.
    CIDEr-D alone prefers short captions; METEOR asks for what they leave out.
    """

    def __init__(
        self,
        references: References,
        function_words: Collection[Word] = (),
        more_terms: Sequence[tuple[float, CaptionMetric]] = (),
    ) -> None:
        """Prepare the three metrics.

        Args:
            references: For each image its captions, each a sequence of words or word ids.
            function_words: As for Meteor.
            more_terms: What else counts, with its weight, such as AbsentObjects.
        """
        self.terms: tuple[tuple[float, CaptionMetric], ...] = (
            (2, CiderD(references)),
            (5, Bleu4(references)),
            (10, Meteor(references, function_words)),
            *more_terms,
        )

    def score(self, index: int, words: Sequence[Word]) -> float:
        """Return the reward of a caption's `words`, without the end, for image `index`."""
        return sum(weight * metric.score(index, words) for weight, metric in self.terms)
