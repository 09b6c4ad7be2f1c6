"""Count-based n-gram language models: what words follow which, the picture left aside.

They are the yardstick that a captioner which looks at the picture has to beat. Words are numbers of a
picaption.device.bundle.vocabulary.Vocabulary, UNKNOWN for those that are not in it; a sentence begins with START and ends with END,
and START is never told. A history is a tuple of the up to n - 1 words before a word; near a sentence's start it is
shorter and begins with START.
"""

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from picaption.device.bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID

#: Discounts where the text is too small to estimate them: those of lmplz --discount_fallback.
FALLBACK = (0.5, 1.0, 1.5)


@dataclass(frozen=True, eq=False)
class NGramModel:
    """An n-gram model in back-off form, the one that ARPA files have, however it was estimated:

    P(w | h) = seen[h][w] where w was seen after h, else backoff[h] * P(w | h without its first word).

    order: n, at least 1; size: of the vocabulary
    seen: {history: {word: probability}}; words not in seen[()] are impossible
    backoff: {history: weight}; the weight of histories that are not in it is 1
    """

    order: int
    size: int
    seen: dict
    backoff: dict


def maximum_likelihood(captions, order, size):
    """Return the NGramModel of P(w_i | h) = count(h w_i) / count(h), with h = w_{i-n+1} ... w_{i-1}.

    captions: a list of lists of word numbers without start and end; order: n; size: of the vocabulary.
    After a history that never occurred, where the ratio is 0 / 0, the model answers for the longest end of it that did.
    Raises ValueError for an order below 1, no captions, and words that are not UNKNOWN ... size - 1.
    """
    counts = _count(captions, order, size)
    seen = {}
    for history, following in counts.items():
        total = sum(following.values())
        seen[history] = {word: count / total for word, count in following.items()}
    return NGramModel(order, size, seen, dict.fromkeys(seen, 0.0))


def kneser_ney(captions, order, size, discounts=None):
    """Return the NGramModel of interpolated modified Kneser-Ney smoothing, as KenLM's lmplz estimates it.

    Sources: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", Harvard TR-10-98,
    1998; Heafield et al., "Scalable modified Kneser-Ney language model estimation", ACL 2013, section 3.

        P(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v) + b(h) * P(w | h without its first word)

    where b(h) is what the discounts D leave, so that P sums to one, and, before the first word, P is uniform over all
    words but START. For the longest n-grams, and for those that begin with START, which nothing precedes, a is how
    often they occur; for all others, how many different words precede them.

    For its discounts, lmplz takes the last n-gram of each order, in its own sorting, by how often it occurs; here it is
    taken like all others. In a text of few sentences that one n-gram can show.

    captions, order, size: as for maximum_likelihood, and what it raises
    discounts: for each order from 1 to n its (D1, D2, D3+), in place of those of estimate_discounts; each is at most
    the count that it is taken from
    """
    counts = _adjusted(_count(captions, order, size), order)
    if discounts is None:
        discounts = [
            estimate_discounts(
                count
                for history, following in counts.items()
                if len(history) == length
                for count in following.values()
            )
            for length in range(order)
        ]
    words = range(END_ID, size)
    counts[()] = {word: counts[()].get(word, 0) for word in words}
    uniform = dict.fromkeys(words, 1 / len(words))
    seen, backoff = {}, {}
    for history in sorted(counts, key=len):
        following, lower = counts[history], seen[history[1:]] if history else uniform
        total, discount = sum(following.values()), (0, *discounts[len(history)])
        weight = backoff[history] = (
            sum([discount[min(count, 3)] for count in following.values()]) / total
        )
        seen[history] = {
            word: (count - discount[min(count, 3)]) / total + weight * lower[word]
            for word, count in following.items()
        }
    return NGramModel(order, size, seen, backoff)


def estimate_discounts(counts):
    """Return (D1, D2, D3+), what is taken from n-grams that occur once, twice and more often.

    D_k = k - (k + 1) * Y * n_{k+1} / n_k with Y = n_1 / (n_1 + 2 n_2) (Chen and Goodman, equation 26), n_k being
    how many of `counts`, the adjusted counts of all n-grams of one order, are k. FALLBACK where n_1, n_2 or n_3 is
    zero or a discount is not within 0 ... k, as it happens in small or artificial text.
    """
    n = Counter(counts)
    if not (n[1] and n[2] and n[3]):
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    found = tuple(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
    return found if all(0 <= discount <= k for k, discount in enumerate(found, 1)) else FALLBACK


def _count(captions, order, size):
    """Return {history: {word: how often it follows}} for histories of 0 to order - 1 words."""
    if order < 1:
        raise ValueError(f"the order of an n-gram model is at least 1, not {order}")
    if not captions:
        raise ValueError("there are no captions to count words in")
    wrong = set().union(*captions).difference(range(UNKNOWN_ID, size))
    if wrong:
        raise ValueError(
            f"{min(wrong)} is not the number of a word: they are {UNKNOWN_ID} to {size - 1}"
        )
    counts = defaultdict(lambda: defaultdict(int))  # Faster than Counters.
    for caption in captions:
        words = (START_ID, *caption, END_ID)
        for end in range(1, len(words)):
            for length in range(min(order - 1, end) + 1):
                counts[words[end - length : end]][words[end]] += 1
    return dict(counts)


def _adjusted(counts, order):
    """Return `counts` adjusted for Kneser-Ney smoothing, see kneser_ney."""
    preceded = defaultdict(lambda: defaultdict(int))
    for history, following in counts.items():
        if history:
            shorter = preceded[history[1:]]
            for word in following:
                shorter[word] += 1
    return {
        history: following
        if len(history) == order - 1 or history[:1] == (START_ID,)
        else preceded[history]
        for history, following in counts.items()
    }


def history_of(model, words):
    """Return the history that the next word depends on after `words`, all those told so far."""
    told = (START_ID, *words)
    return told[max(0, len(told) - model.order + 1) :]


def probability(model, history, word):
    """Return P(word | history), a history as history_of gives it."""
    weight = 1.0
    while word not in model.seen.get(history, ()):
        if not history:
            return 0.0
        weight *= model.backoff.get(history, 1.0)
        history = history[1:]
    return weight * model.seen[history][word]


def distribution(model, history):
    """Return P(w | history) for every word, float64 [size]."""
    found = np.zeros(model.size)
    for start in range(len(history), -1, -1):
        known = history[start:]
        following = model.seen.get(known, {})
        found *= model.backoff.get(known, 1.0)
        found[list(following)] = list(following.values())
    return found


def log_probability(model, words):
    """Return a sentence's natural log-probability, the sum over its words and its end; -inf where it cannot occur."""
    told = [*words, END_ID]
    each = (
        probability(model, history_of(model, told[:index]), word) for index, word in enumerate(told)
    )
    return sum(math.log(found) if found else -math.inf for found in each)


def perplexity(model, captions):
    """Return exp(-log-probability a word) over all of `captions`, ends counted; inf where one cannot occur.

    Raises ValueError where there are no captions.
    """
    if not captions:
        raise ValueError("there are no captions to measure perplexity on")
    total = sum(log_probability(model, words) for words in captions)
    with np.errstate(over="ignore"):
        return float(np.exp(-total / sum(len(words) + 1 for words in captions)))


def sample(model, random, max_words=30):
    """Return a sentence drawn from the model, as a list of word numbers without its end; UNKNOWN may be among them.

    random: numpy.random.Generator. What has not ended after `max_words` words is cut there.
    """
    words = []
    while len(words) < max_words:
        cumulated = distribution(model, history_of(model, words)).cumsum()
        # What was read from a file sums to one no closer than it was written.
        word = int(np.searchsorted(cumulated, random.random() * cumulated[-1], side="right"))
        if word == END_ID:
            break
        words.append(word)
    return words


def next_word(model, cached=1024):
    """Return the function that picaption.device.recognition.beam_search.beam_search asks for words, without a picture; or the prior of one that
    sees it: history int32 [width, order-1], padded with START -> log-probabilities float32 [width, size].

    The distributions of the `cached` histories asked for last are kept.
    """

    @lru_cache(cached)
    def log_probabilities(history):
        with np.errstate(divide="ignore"):
            return np.log(distribution(model, history)).astype(np.float32)

    def ask(histories):
        return np.stack(
            [
                log_probabilities(tuple(words[max(0, words.count(START_ID) - 1) :]))
                for words in histories.tolist()
            ]
        )

    return ask
