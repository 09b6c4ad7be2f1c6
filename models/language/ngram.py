"""Count-based n-gram language models: which words follow which, whatever the image.

They are the baseline that a captioner with an image has to beat. Words are ids of a
picaption.device.bundle.vocabulary.Vocabulary, UNKNOWN for those that are not in it. A sentence
begins with START and ends with END; START is never predicted. A history is a tuple of the up to
n - 1 words before a word; near a sentence's start it is shorter and begins with START.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from picaption.device.bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID

#: Discounts where the text is too small to estimate them: those of lmplz --discount_fallback.
FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)

History = tuple[int, ...]
#: D1, D2 and D3+: what is taken from n-grams that occur once, twice and more often.
Discounts = Sequence[float]
#: How often each word follows each history.
Counts = Mapping[History, Mapping[int, int]]


@dataclass(frozen=True, eq=False)
class NGramModel:
    """An n-gram model in back-off form, as ARPA files have it, however it was estimated.

    P(w | h) = probabilities[h][w] if w followed h in the text, else
    backoff_weights[h] * P(w | h without its first word).

    Attributes:
        order: n, at least 1.
        size: The number of words in the vocabulary.
        probabilities: {history: {word: probability}}; words that are not in probabilities[()] are
            impossible.
        backoff_weights: {history: weight}; the weight of other histories is 1.
    """

    order: int
    size: int
    probabilities: Mapping[History, Mapping[int, float]]
    backoff_weights: Mapping[History, float]


def maximum_likelihood(captions: Sequence[Sequence[int]], order: int, size: int) -> NGramModel:
    """Estimate P(w_i | h) = count(h w_i) / count(h), with h = w_{i-n+1} ... w_{i-1}.

    After a history that never occurred, where the ratio is 0 / 0, the model answers for the
    longest end of it that did.

    Args:
        captions: Lists of word ids without start and end.
        order: n.
        size: The number of words in the vocabulary.

    Raises:
        ValueError: The order is below 1, there are no captions, or a word is not
            UNKNOWN ... size - 1.
    """
    probabilities = {}
    for history, word_counts in _count(captions, order, size).items():
        total = sum(word_counts.values())
        probabilities[history] = {word: count / total for word, count in word_counts.items()}
    return NGramModel(order, size, probabilities, dict.fromkeys(probabilities, 0.0))


def kneser_ney(
    captions: Sequence[Sequence[int]],
    order: int,
    size: int,
    discounts: Sequence[Discounts] | None = None,
) -> NGramModel:
    """Estimate interpolated modified Kneser-Ney smoothing, as KenLM's lmplz does.

    Sources: Chen and Goodman, "An empirical study of smoothing techniques for language modeling",
    Harvard TR-10-98, 1998; Heafield et al., "Scalable modified Kneser-Ney language model
    estimation", ACL 2013, section 3.

        P(w | h) = (a(h w) - D(a(h w))) / sum_v a(h v) + b(h) * P(w | h without its first word)

    The back-off weight b(h) is the share that the discounts D take, so that P sums to one; before
    the first word, P is uniform over all words but START. For the longest n-grams, and for those
    that begin with START, which nothing precedes, the adjusted count a is how often they occur;
    for all others, how many different words precede them.

    For its discounts, lmplz takes the last n-gram of each order, in its own sorting, by how often
    it occurs; here it counts like all others. In a text of few sentences that one n-gram can show.

    Args:
        captions: Lists of word ids without start and end.
        order: n.
        size: The number of words in the vocabulary.
        discounts: (D1, D2, D3+) for each order from 1 to n, each at most the count that it is
            taken from; None for those of estimate_discounts.

    Raises:
        ValueError: As maximum_likelihood.
    """
    counts = _adjust(_count(captions, order, size), order)
    if discounts is None:
        discounts = [
            estimate_discounts(
                count
                for history, word_counts in counts.items()
                if len(history) == length
                for count in word_counts.values()
            )
            for length in range(order)
        ]
    words = range(END_ID, size)
    counts[()] = {word: counts[()].get(word, 0) for word in words}
    uniform = dict.fromkeys(words, 1 / len(words))
    probabilities: dict[History, Mapping[int, float]] = {}
    backoff_weights = {}
    for history in sorted(counts, key=len):
        word_counts = counts[history]
        lower_order = probabilities[history[1:]] if history else uniform
        discount = (0, *discounts[len(history)])
        total = sum(word_counts.values())
        discounted = sum([discount[min(count, 3)] for count in word_counts.values()])
        weight = discounted / total
        backoff_weights[history] = weight
        probabilities[history] = {
            word: (count - discount[min(count, 3)]) / total + weight * lower_order[word]
            for word, count in word_counts.items()
        }
    return NGramModel(order, size, probabilities, backoff_weights)


def estimate_discounts(counts: Iterable[int]) -> Discounts:
    """Estimate (D1, D2, D3+) of one order (Chen and Goodman, equation 26).

    D_k = k - (k + 1) * Y * n_{k+1} / n_k with Y = n_1 / (n_1 + 2 n_2), n_k being how many of the
    counts are k.

    Args:
        counts: The adjusted counts of all n-grams of the order.

    Returns:
        The discounts; FALLBACK_DISCOUNTS where n_1, n_2 or n_3 is zero or a discount is not within
        0 ... k, as it happens in small or artificial text.
    """
    n = Counter(counts)
    if not (n[1] and n[2] and n[3]):
        return FALLBACK_DISCOUNTS
    y = n[1] / (n[1] + 2 * n[2])
    discounts = tuple(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))
    if not all(0 <= discount <= k for k, discount in enumerate(discounts, 1)):
        return FALLBACK_DISCOUNTS
    return discounts


def _count(captions: Sequence[Sequence[int]], order: int, size: int) -> Counts:
    """Return the counts of all n-grams of orders 1 to `order`."""
    if order < 1:
        raise ValueError(f"the order of an n-gram model is at least 1, not {order}")
    if not captions:
        raise ValueError("there are no captions to count words in")
    wrong = set().union(*captions).difference(range(UNKNOWN_ID, size))
    if wrong:
        raise ValueError(
            f"{min(wrong)} is not the number of a word: they are {UNKNOWN_ID} to {size - 1}"
        )
    # Faster than Counters.
    counts: defaultdict[History, defaultdict[int, int]] = defaultdict(_zero_counts)
    for caption in captions:
        words = (START_ID, *caption, END_ID)
        for end in range(1, len(words)):
            for length in range(min(order - 1, end) + 1):
                counts[words[end - length : end]][words[end]] += 1
    return dict(counts)


def _zero_counts() -> defaultdict[int, int]:
    return defaultdict(int)


def _adjust(counts: Counts, order: int) -> dict[History, Mapping[int, int]]:
    """Return the adjusted counts, a(h w) of kneser_ney."""
    preceding: defaultdict[History, defaultdict[int, int]] = defaultdict(_zero_counts)
    for history, word_counts in counts.items():
        if history:
            shorter = preceding[history[1:]]
            for word in word_counts:
                shorter[word] += 1
    adjusted: dict[History, Mapping[int, int]] = {}
    for history, word_counts in counts.items():
        is_longest = len(history) == order - 1
        is_start = history[:1] == (START_ID,)
        adjusted[history] = word_counts if is_longest or is_start else preceding[history]
    return adjusted


def history_of(model: NGramModel, words: Sequence[int]) -> History:
    """Return the history that the next word depends on after `words`, a sentence's beginning."""
    sentence = (START_ID, *words)
    return sentence[max(0, len(sentence) - model.order + 1) :]


def probability(model: NGramModel, history: History, word: int) -> float:
    """Return P(word | history), of a history as history_of returns it."""
    weight = 1.0
    while word not in model.probabilities.get(history, ()):
        if not history:
            return 0.0
        weight *= model.backoff_weights.get(history, 1.0)
        history = history[1:]
    return weight * model.probabilities[history][word]


def distribution(model: NGramModel, history: History) -> np.ndarray:
    """Return P(w | history) for every word, float64 [size]."""
    probabilities = np.zeros(model.size)
    for start in range(len(history), -1, -1):
        suffix = history[start:]
        known = model.probabilities.get(suffix, {})
        probabilities *= model.backoff_weights.get(suffix, 1.0)
        probabilities[list(known)] = list(known.values())
    return probabilities


def log_probability(model: NGramModel, words: Sequence[int]) -> float:
    """Return a sentence's natural log-probability, its end counted; -inf where it cannot occur."""
    sentence = [*words, END_ID]
    values = (
        probability(model, history_of(model, sentence[:index]), word)
        for index, word in enumerate(sentence)
    )
    return sum(math.log(value) if value else -math.inf for value in values)


def perplexity(model: NGramModel, captions: Sequence[Sequence[int]]) -> float:
    """Return exp(-log-probability a word) over all captions, ends counted.

    It is inf where one cannot occur.

    Raises:
        ValueError: There are no captions.
    """
    if not captions:
        raise ValueError("there are no captions to measure perplexity on")
    total = sum(log_probability(model, words) for words in captions)
    with np.errstate(over="ignore"):
        return float(np.exp(-total / sum(len(words) + 1 for words in captions)))


def sample(model: NGramModel, random: np.random.Generator, max_words: int = 30) -> list[int]:
    """Draw a sentence from the model.

    Args:
        model: The model.
        random: Draws the words.
        max_words: Where a sentence is cut that has not ended.

    Returns:
        Word ids without the end; UNKNOWN may be among them.
    """
    words: list[int] = []
    while len(words) < max_words:
        cumulative = distribution(model, history_of(model, words)).cumsum()
        # The probabilities in a file are rounded: their sum is not exactly one.
        drawn = random.random() * cumulative[-1]
        word = int(np.searchsorted(cumulative, drawn, side="right"))
        if word == END_ID:
            break
        words.append(word)
    return words


def next_word_function(
    model: NGramModel, cache_size: int = 1024
) -> Callable[[np.ndarray], np.ndarray]:
    """Return the model as picaption.device.recognition.beam_search.beam_search asks for words.

    Args:
        model: The model.
        cache_size: How many histories' distributions are cached.

    Returns:
        A function from histories int32 [width, order-1], padded with START, to log-probabilities
        float32 [width, size].
    """

    @lru_cache(cache_size)
    def log_probabilities(history: History) -> np.ndarray:
        with np.errstate(divide="ignore"):
            return np.log(distribution(model, history)).astype(np.float32)

    def next_word(histories: np.ndarray) -> np.ndarray:
        rows = []
        for words in histories.tolist():
            padding = max(0, words.count(START_ID) - 1)
            rows.append(log_probabilities(tuple(words[padding:])))
        return np.stack(rows)

    return next_word
