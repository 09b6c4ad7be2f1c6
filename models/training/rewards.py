"""How well a caption is told, while training: CIDEr-D, BLEU-4 and METEOR of one caption, from word numbers.

They are rewards. What is reported is measured by the reference implementations (picaption.models.evaluation.metrics).
"""

import math
from collections import Counter

from picaption.device.bundle.vocabulary import END_ID

SIGMA = 6.0  # Of the length penalty, as in the paper.
LONGEST = 4
#: METEOR's parameters for English: weight of precision against recall, the fragmentation penalty's power and height, and
#: the weight of words of content, function words having the rest.
ALPHA, BETA, GAMMA, DELTA = 0.85, 0.2, 0.6, 0.75


def grams(words):
    """Return the n-grams of `words`, lengths 1 to 4, with their counts: a Counter of tuples."""
    return Counter(
        tuple(words[start : start + n])
        for n in range(1, LONGEST + 1)
        for start in range(len(words) - n + 1)
    )


class CiderD:
    """CIDEr-D against the captions of a data set, as a number that is 10 for a perfect match.

    Vedantam et al., "CIDEr: Consensus-based Image Description Evaluation", CVPR 2015. The sentence end counts as a word: a
    score blind to it teaches captions that trail off.
    captions: for each picture a list of captions, each a list of words (or their numbers). An n-gram's
    weight is log(pictures / pictures with it in a caption).
    """

    def __init__(self, captions):
        told = [[list(caption) + [END_ID] for caption in each] for each in captions]
        self.frequency = Counter(
            gram for each in told for gram in set().union(*(grams(caption) for caption in each))
        )
        self.log_pictures = math.log(max(2, len(told)))
        self.references = [
            [(self._vector(caption), len(caption)) for caption in each] for each in told
        ]

    def _vector(self, words):
        """Return (tf-idf by n-gram, its norm for each n)."""
        weights = {
            gram: count * (self.log_pictures - math.log(max(1, self.frequency[gram])))
            for gram, count in grams(words).items()
        }
        norms = [0.0] * (LONGEST + 1)
        for gram, weight in weights.items():
            norms[len(gram)] += weight * weight
        return weights, [math.sqrt(norm) for norm in norms]

    def score(self, picture, words):
        """Return CIDEr-D of a caption's `words` (without end) against those of picture number `picture`."""
        words = list(words) + [END_ID]
        weights, norms = self._vector(words)
        total = 0.0
        for (reference, reference_norms), length in self.references[picture]:
            products = [0.0] * (LONGEST + 1)
            for gram, weight in weights.items():
                other = reference.get(gram)
                if other:
                    products[len(gram)] += min(weight, other) * other
            penalty = math.exp(-((len(words) - length) ** 2) / (2 * SIGMA**2))
            total += penalty * sum(
                product / (norm * other)
                for product, norm, other in zip(products, norms, reference_norms)
                if product
            )
        return 10 * total / (LONGEST * len(self.references[picture]))


class Bleu4:
    """Sentence-level BLEU-4 against the captions of a data set, from 0 to 1.

    Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation", ACL 2002. The sentence end counts
    as a word. Precisions of two words and more have 0.1 added to both counts, or no caption without a match of four
    words would be worth anything.
    """

    def __init__(self, captions):
        told = [[list(caption) + [END_ID] for caption in each] for each in captions]
        self.most = [_most(grams(caption) for caption in each) for each in told]
        self.lengths = [[len(caption) for caption in each] for each in told]

    def score(self, picture, words):
        """Return BLEU-4 of a caption's `words` (without end) against those of picture number `picture`."""
        counts, most = grams([*words, END_ID]), self.most[picture]
        matched, total = [0.0] + 3 * [0.1], [0.0] + 3 * [0.1]
        for gram, count in counts.items():
            matched[len(gram) - 1] += min(count, most[gram])
            total[len(gram) - 1] += count
        if not matched[0]:
            return 0.0
        length = len(words) + 1
        nearest = min(self.lengths[picture], key=lambda other: (abs(other - length), other))
        precision = sum(math.log(found / of) for found, of in zip(matched, total)) / LONGEST
        return math.exp(precision + min(0, 1 - nearest / length))


def _most(counts):
    """Return for each n-gram the highest of its `counts`, Counters."""
    most = Counter()
    for each in counts:
        most |= each
    return most


class Meteor:
    """METEOR with exact matches alone (no stems, no synonyms) against the captions of a data set, from 0 to 1.

    Denkowski and Lavie, "Meteor Universal: Language Specific Translation Evaluation for Any Target Language", 2014.
    function_words: the numbers of the words that say little. Words are aligned from left to right, each to the place
    that continues the run of matches before it, if there is one.
    """

    def __init__(self, captions, function_words):
        self.function_words = function_words
        self.references = captions

    def score(self, picture, words):
        """Return METEOR of a caption's `words` against that of picture number `picture` it does best with."""
        return max(
            (self._against(reference, words) for reference in self.references[picture]), default=0.0
        )

    def _against(self, reference, words):
        free, last, chunks, matched = list(range(len(reference))), -2, 0, []
        for word in words:
            places = [place for place in free if reference[place] == word]
            if not places:
                last = -2
                continue
            place = last + 1 if last + 1 in places else places[0]
            chunks += place != last + 1
            free.remove(place)
            matched.append(word)
            last = place
        if not matched:
            return 0.0
        precision, recall = (
            self._weight(matched) / self._weight(all_words) for all_words in (words, reference)
        )
        mean = precision * recall / (ALPHA * precision + (1 - ALPHA) * recall)
        return mean * (1 - GAMMA * (chunks / len(matched)) ** BETA)

    def _weight(self, words):
        return sum(1 - DELTA if word in self.function_words else DELTA for word in words)


class Reward:
    """What self-critical training pays for a caption: 2 CIDEr-D + 5 BLEU-4 + 10 METEOR.

    They are 10, 1 and 1 for a perfect caption, and about 0.5, 0.2 and 0.2 for a usual one. CIDEr-D alone is paid best by
    captions that are short; METEOR asks for what they leave out.
    """

    def __init__(self, captions, function_words=frozenset()):
        self.parts = (
            (2, CiderD(captions)),
            (5, Bleu4(captions)),
            (10, Meteor(captions, function_words)),
        )

    def score(self, picture, words):
        """Return the reward of a caption's `words` (without end) for picture number `picture`."""
        return sum(weight * part.score(picture, words) for weight, part in self.parts)
