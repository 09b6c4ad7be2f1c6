"""Count-based n-grams, by hand: a, b, c are 3, 4, 5."""

import math

import numpy as np
import pytest

from device.vocabulary import END, START, UNKNOWN
from models.ngram import KneserNey, MaximumLikelihood, log_probability, perplexity

A, B, C, SIZE = 3, 4, 5, 6
#: a b / a b / a c / b a
TOLD = [[A, B], [A, B], [A, C], [B, A]]


def test_maximum_likelihood_is_a_ratio_of_counts():
    model = MaximumLikelihood(TOLD, 2, SIZE)
    assert model.probabilities((START,)).tolist() == [0, 0, 0, 3 / 4, 1 / 4, 0]
    assert model.probabilities((A,)).tolist() == [0, 1 / 4, 0, 0, 2 / 4, 1 / 4]  # a ends one sentence of four
    assert log_probability(model, [A, B]) == pytest.approx(math.log(3 / 4 * 2 / 4 * 2 / 3))


def test_a_longer_history_is_a_longer_ratio():
    model = MaximumLikelihood(TOLD, 3, SIZE)
    assert model.history([]) == (START,)
    assert model.history([A]) == (START, A)
    assert model.history([A, B]) == (A, B)
    assert model.probabilities((START, A))[B] == 2 / 3
    assert model.probabilities((B, A))[END] == 1


def test_without_history_words_are_as_frequent_as_they_are():
    model = MaximumLikelihood(TOLD, 1, SIZE)
    assert model.history([A, B]) == ()
    assert model.probabilities(()).tolist() == [0, 4 / 12, 0, 4 / 12, 3 / 12, 1 / 12]


def test_what_never_occurred_is_impossible_without_smoothing():
    model = MaximumLikelihood(TOLD, 2, SIZE)
    assert model.probabilities((UNKNOWN,)).sum() == 0
    assert log_probability(model, [C, C]) == -math.inf
    assert perplexity(model, [[A, B], [C, C]]) == math.inf


def test_perplexity_is_the_inverse_geometric_mean():
    model = MaximumLikelihood(TOLD, 2, SIZE)
    expected = (3 / 4 * 2 / 4 * 2 / 3) ** (-1 / 3)
    assert perplexity(model, [[A, B]]) == pytest.approx(expected)
    assert perplexity(model, [[A, B]] * 5) == pytest.approx(expected)


def test_kneser_ney_by_hand():
    model = KneserNey(TOLD, 2, SIZE)
    # Bigrams: <s>a 3, <s>b 1, ab 2, ac 1, a</s> 1, b</s> 2, ba 1, c</s> 1: five occur once and two twice.
    assert model.discounts[1] == pytest.approx(5 / 9)
    # Words by how many different ones they follow: </s> a, b, c; a <s>, b; b <s>, a; c a: n1 = 1, n2 = 2.
    assert dict(model.counts[()]) == {END: 3, A: 2, B: 2, C: 1}
    assert model.discounts[0] == pytest.approx(1 / 5)
    base = 1 / 5 * 4 / 8 * 1 / 5  # what the discount leaves, spread over five words
    unigram = {END: (3 - 1 / 5) / 8 + base, B: (2 - 1 / 5) / 8 + base, C: (1 - 1 / 5) / 8 + base, UNKNOWN: base}
    found = model.probabilities((A,))
    left = 5 / 9 * 3 / 4
    assert found[B] == pytest.approx((2 - 5 / 9) / 4 + left * unigram[B])
    assert found[C] == pytest.approx((1 - 5 / 9) / 4 + left * unigram[C])
    assert found[UNKNOWN] == pytest.approx(left * unigram[UNKNOWN])
    assert found[START] == 0


def test_kneser_ney_keeps_the_counts_of_sentence_starts():
    model = KneserNey(TOLD, 3, SIZE)
    assert dict(model.counts[(START,)]) == {A: 3, B: 1}
    assert dict(model.counts[(A,)]) == {B: 1, C: 1, END: 1}  # a b occurs twice, but only behind <s>


@pytest.mark.parametrize("order", range(1, 6))
def test_every_distribution_sums_to_one(order):
    random = np.random.default_rng(order)
    captions = [random.integers(3, 12, random.integers(0, 8)).tolist() for _ in range(60)]
    plain, smooth = MaximumLikelihood(captions, order, 14), KneserNey(captions, order, 14)
    for history in plain.counts:
        assert plain.probabilities(history).sum() == pytest.approx(1)
        assert smooth.probabilities(history).sum() == pytest.approx(1)
    for history in ((UNKNOWN,) * (order - 1), (13, 4, 5, 6)[:order - 1]):
        assert smooth.probabilities(history).sum() == pytest.approx(1)
    assert perplexity(smooth, [[13, 12], [3]]) < math.inf


def test_smoothing_predicts_new_sentences_better_the_more_it_sees():
    random = np.random.default_rng(0)
    # A word is followed by itself plus one or two, so a bigram knows more than single words do.
    captions = [[3 + (start + step) % 9 for step in np.cumsum(random.integers(1, 3, 6))] for start in range(200)]
    train, new = captions[:150], captions[150:]
    assert perplexity(KneserNey(train, 2, 12), new) < 0.5 * perplexity(KneserNey(train, 1, 12), new)


def test_an_order_below_one_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        MaximumLikelihood(TOLD, 0, SIZE)
