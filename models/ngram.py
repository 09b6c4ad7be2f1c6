"""The count-based n-gram language model: what words follow which, the picture left aside.

It is the yardstick that a captioner which looks at the picture has to beat. Words are numbers of a
device.vocabulary.Vocabulary; a sentence begins with START and ends with END, and START is never told.
"""

import math
from collections import Counter, defaultdict

import numpy as np

from device.vocabulary import END, START


class MaximumLikelihood:
    """P(w_i | w_{i-n+1} ... w_{i-1}) = count(w_{i-n+1} ... w_i) / count(w_{i-n+1} ... w_{i-1}).

    captions: lists of word numbers without start and end; order: n, at least 1; size: of the vocabulary.
    Near a sentence's start the history is shorter: it begins with START.
    """

    def __init__(self, captions, order, size):
        if order < 1:
            raise ValueError(f"the order of an n-gram model is at least 1, not {order}")
        self.order, self.size = order, size
        self.counts = self._count(captions)

    def _count(self, captions):
        """Return {history: Counter of the words that follow it} for histories of 0 to order - 1 words."""
        counts = defaultdict(Counter)
        for caption in captions:
            words = (START, *caption, END)
            for end in range(1, len(words)):
                for length in range(min(self.order - 1, end) + 1):
                    counts[words[end - length:end]][words[end]] += 1
        return dict(counts)

    def history(self, words):
        """Return the part of `words`, all those told so far, that the next one depends on, as a tuple."""
        told = (START, *words)
        return told[max(0, len(told) - self.order + 1):]

    def probabilities(self, history):
        """Return P(w | history) for every word, float64 [size]; all zeros after a history that never occurred."""
        found = np.zeros(self.size)
        following = self.counts.get(history)
        if following:
            found[list(following)] = list(following.values())
            found /= found.sum()
        return found


class KneserNey(MaximumLikelihood):
    """Interpolated Kneser-Ney smoothing with one discount an order (Chen and Goodman 1999, equations 23 to 25).

    From the longest history to none, and at last the uniform distribution over all words but START,
    P(w | h) = max(c(h w) - D, 0) / c(h) + D * N(h) / c(h) * P(w | h without its first word), where N(h) is how
    many words follow h, and D = n1 / (n1 + 2 n2), n1 and n2 being how many n-grams of that order occur once
    and twice (1/2 where none does, so that nothing is impossible). Below the highest order, c(h w) is not how often
    h w occurs but after how many different words; an n-gram that begins with START, which nothing precedes, keeps
    its count.
    """

    def __init__(self, captions, order, size):
        super().__init__(captions, order, size)
        self.counts = self._adjusted()
        self.discounts = [self._discount(length) for length in range(order)]
        self._lower = {}

    def _adjusted(self):
        preceded = defaultdict(Counter)
        for history, following in self.counts.items():
            if history:
                preceded[history[1:]].update(following.keys())
        return {history: following if len(history) == self.order - 1 or history[:1] == (START,) else preceded[history]
                for history, following in self.counts.items()}

    def _discount(self, length):
        found = Counter(count for history, following in self.counts.items() if len(history) == length
                        for count in following.values())
        return found[1] / (found[1] + 2 * found[2]) if found[1] and found[2] else 0.5

    def probabilities(self, history):
        """Return P(w | history) for every word, float64 [size]; they sum to one after any history."""
        if history:
            shorter = history[1:]
            lower = self._lower.get(shorter)
            if lower is None:
                lower = self._lower[shorter] = self.probabilities(shorter)
        else:
            lower = np.full(self.size, 1 / (self.size - 1))
            lower[START] = 0
        following = self.counts.get(history)
        if not following:
            return lower.copy()
        discount, total = self.discounts[len(history)], sum(following.values())
        found = lower * (discount * len(following) / total)
        found[list(following)] += (np.array(list(following.values())) - discount) / total
        return found


def log_probability(model, words):
    """Return a sentence's log-probability: the sum over its words and its end; -inf where one cannot occur."""
    told = [*words, END]
    with np.errstate(divide="ignore"):
        return float(sum(np.log(model.probabilities(model.history(told[:index]))[word])
                         for index, word in enumerate(told)))


def perplexity(model, captions):
    """Return exp(-log-probability a word) over all of `captions`, ends counted; inf where one cannot occur."""
    asked = defaultdict(Counter)  # The same history is asked for again and again.
    for words in captions:
        told = [*words, END]
        for index, word in enumerate(told):
            asked[model.history(told[:index])][word] += 1
    total = count = 0.0
    with np.errstate(divide="ignore"):
        for history, following in asked.items():
            times = np.array(list(following.values()))
            total += float(times @ np.log(model.probabilities(history)[list(following)]))
            count += times.sum()
    return math.exp(-total / count) if np.isfinite(total) else math.inf
