"""Count-based n-grams, by hand: a, b, c are 3, 4, 5."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest

from picaption.device.bundle.metadata import Beam
from picaption.device.bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID
from picaption.device.recognition.beam_search import beam_search
from picaption.models.language.ngram import (
    FALLBACK_DISCOUNTS,
    distribution,
    estimate_discounts,
    history_of,
    kneser_ney,
    log_probability,
    maximum_likelihood,
    next_word_function,
    perplexity,
    probability,
    sample,
)

A, B, C, SIZE = 3, 4, 5, 6
#: a b / a b / a c / b a
CAPTIONS = [[A, B], [A, B], [A, C], [B, A]]
ORDERS = range(1, 6)
ESTIMATES = maximum_likelihood, kneser_ney


def test_maximum_likelihood_is_a_ratio_of_counts():
    model = maximum_likelihood(CAPTIONS, 2, SIZE)
    assert distribution(model, (START_ID,)).tolist() == [0, 0, 0, 3 / 4, 1 / 4, 0]
    assert distribution(model, (A,)).tolist() == [
        0,
        1 / 4,
        0,
        0,
        2 / 4,
        1 / 4,
    ]  # a ends one sentence of four
    assert log_probability(model, [A, B]) == pytest.approx(math.log(3 / 4 * 2 / 4 * 2 / 3))


def test_a_longer_history_is_a_longer_ratio():
    model = maximum_likelihood(CAPTIONS, 3, SIZE)
    assert history_of(model, []) == (START_ID,)
    assert history_of(model, [A]) == (START_ID, A)
    assert history_of(model, [A, B]) == (A, B)
    assert probability(model, (START_ID, A), B) == 2 / 3
    assert probability(model, (B, A), END_ID) == 1


def test_without_history_words_are_as_frequent_as_they_are():
    model = maximum_likelihood(CAPTIONS, 1, SIZE)
    assert history_of(model, [A, B]) == ()
    assert distribution(model, ()).tolist() == [0, 4 / 12, 0, 4 / 12, 3 / 12, 1 / 12]


def test_what_never_occurred_is_impossible_without_smoothing():
    model = maximum_likelihood(CAPTIONS, 2, SIZE)
    assert probability(model, (A,), A) == probability(model, (A,), UNKNOWN_ID) == 0
    assert log_probability(model, [C, C]) == -math.inf
    assert perplexity(model, [[A, B], [C, C]]) == math.inf


def test_after_an_unknown_history_its_known_end_answers():
    model = maximum_likelihood(CAPTIONS, 3, SIZE)
    assert distribution(model, (C, A)).tolist() == distribution(model, (A,)).tolist()
    assert distribution(model, (A, UNKNOWN_ID)).tolist() == distribution(model, ()).tolist()


def test_perplexity_is_the_inverse_geometric_mean():
    model = maximum_likelihood(CAPTIONS, 2, SIZE)
    expected = (3 / 4 * 2 / 4 * 2 / 3) ** (-1 / 3)
    assert perplexity(model, [[A, B]]) == pytest.approx(expected)
    assert perplexity(model, [[A, B]] * 5) == pytest.approx(expected)


def test_discounts_by_hand():
    y = 5 / (5 + 2 * 3)
    counts = [1] * 5 + [2] * 3 + [3] * 2 + [4] + [9] * 7
    assert estimate_discounts(counts) == pytest.approx(
        (1 - 2 * y * 3 / 5, 2 - 3 * y * 2 / 3, 3 - 4 * y * 1 / 2)
    )


@pytest.mark.parametrize(
    "counts",
    [
        [],
        [1, 1, 2],
        [2, 2, 3],
        [1, 3, 3],  # none that is one, two or three
        [1] * 3 + [2] + [3] * 6,  # D2 below zero
        [1] * 9 + [2] * 9 + [3] + [4] * 9,  # D3 below zero
    ],
)
def test_discounts_fall_back_where_the_text_is_too_small(counts):
    assert estimate_discounts(counts) == FALLBACK_DISCOUNTS


def test_kneser_ney_by_hand():
    model = kneser_ney(CAPTIONS, 2, SIZE)
    # Words by how many different ones they follow: </s> a, b, c; a <s>, b; b <s>, a; c a.
    # n1, n2, n3 = 1, 2, 1.
    y = 1 / 5
    one, two, more = 1 - 2 * y * 2 / 1, 2 - 3 * y * 1 / 2, 3
    base = (one + 2 * two + more) / 8 * 1 / 5  # what the discounts leave, spread over five words
    unigram = {
        END_ID: (3 - more) / 8 + base,
        A: (2 - two) / 8 + base,
        B: (2 - two) / 8 + base,
        C: (1 - one) / 8 + base,
        UNKNOWN_ID: base,
        START_ID: 0,
    }
    assert distribution(model, ()).tolist() == pytest.approx(
        [unigram[word] for word in range(SIZE)]
    )
    # Bigrams: <s>a 3, <s>b 1, ab 2, ac 1, a</s> 1, b</s> 2, ba 1, c</s> 1: n1, n2, n3 = 5, 2, 1.
    y = 5 / 9
    one, two, more = 1 - 2 * y * 2 / 5, 2 - 3 * y * 1 / 2, 3
    left = (one + one + two) / 4
    assert probability(model, (A,), B) == pytest.approx((2 - two) / 4 + left * unigram[B])
    assert probability(model, (A,), C) == pytest.approx((1 - one) / 4 + left * unigram[C])
    assert probability(model, (A,), UNKNOWN_ID) == pytest.approx(left * unigram[UNKNOWN_ID])
    assert probability(model, (START_ID,), A) == pytest.approx(
        (3 - more) / 4 + (one + more) / 4 * unigram[A]
    )


def test_kneser_ney_keeps_the_counts_of_sentence_starts():
    model = kneser_ney(
        CAPTIONS, 3, SIZE, [(0, 0, 0)] * 3
    )  # undiscounted, so that the adjusted counts show
    assert distribution(model, (START_ID,)).tolist() == [0, 0, 0, 3 / 4, 1 / 4, 0]
    # a b occurs twice, but only behind <s>
    assert distribution(model, (A,)).tolist() == pytest.approx([0, 1 / 3, 0, 0, 1 / 3, 1 / 3])


def test_unknown_words_are_a_word_and_unseen_ones_are_not_impossible():
    model = kneser_ney([[A, UNKNOWN_ID], [UNKNOWN_ID, B]], 2, SIZE)
    assert probability(model, (START_ID,), UNKNOWN_ID) > probability(model, (START_ID,), C) > 0
    assert probability(model, (C,), C) == probability(model, (), C) > 0
    assert probability(maximum_likelihood([[A, UNKNOWN_ID]], 2, SIZE), (A,), UNKNOWN_ID) == 1


def captions_of(order):
    random = np.random.default_rng(order)
    return [random.integers(2, 12, random.integers(0, 8)).tolist() for _ in range(60)]


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("order", ORDERS)
def test_every_distribution_sums_to_one(order, estimate):
    model = estimate(captions_of(order), order, 14)
    unseen = [(UNKNOWN_ID,) * (order - 1), (13, 4, 5, 6)[: order - 1], (3, 13, 4, 5)[: order - 1]]
    for history in [*model.probabilities, *unseen]:
        found = distribution(model, history)
        assert found.sum() == pytest.approx(1)
        assert found.min() >= found[START_ID] == 0
        assert found.tolist() == pytest.approx(
            [probability(model, history, word) for word in range(14)]
        )


@pytest.mark.parametrize("order", ORDERS)
def test_smoothing_makes_no_sentence_impossible(order):
    assert perplexity(kneser_ney(captions_of(order), order, 14), [[13, 12], [3], []]) < math.inf


def test_smoothing_predicts_new_sentences_better_the_more_it_sees():
    random = np.random.default_rng(0)
    # A word is followed by itself plus one or two, so a bigram knows more than single words do.
    captions = [
        [3 + (start + step) % 9 for step in np.cumsum(random.integers(1, 3, 6))]
        for start in range(200)
    ]
    train, new = captions[:150], captions[150:]
    assert perplexity(kneser_ney(train, 2, 12), new) < 0.5 * perplexity(
        kneser_ney(train, 1, 12), new
    )


def test_samples_follow_the_probabilities_and_the_seed():
    model = maximum_likelihood(CAPTIONS, 5, SIZE)
    random = np.random.default_rng(3)
    drawn = [tuple(sample(model, random)) for _ in range(2000)]
    for words, times in Counter(map(tuple, CAPTIONS)).items():
        assert drawn.count(words) / 2000 == pytest.approx(times / 4, abs=0.04)
    assert set(drawn) == set(map(tuple, CAPTIONS))
    again = np.random.default_rng(3)
    assert drawn == [tuple(sample(model, again)) for _ in range(2000)]


def test_a_sample_that_does_not_end_is_cut():
    model = maximum_likelihood([[A] * 1000], 2, SIZE)
    assert sample(model, np.random.default_rng(0), 7) == [A] * 7


@pytest.mark.parametrize("estimate", ESTIMATES)
@pytest.mark.parametrize("order", ORDERS)
def test_beam_search_captions_without_an_image(order, estimate):
    model = estimate(CAPTIONS, order, SIZE)
    best = beam_search(next_word_function(model), order, Beam(3, 2, 2, 0.0))[
        0
    ]  # Three words: all of two are searched.
    assert best.log_probability == pytest.approx(log_probability(model, best.words), rel=1e-5)
    assert best.log_probability == pytest.approx(
        max(log_probability(model, words) for words in product((A, B, C), repeat=2)), rel=1e-5
    )


def test_next_words_take_histories_padded_with_start():
    model = kneser_ney(CAPTIONS, 4, SIZE)
    ask = next_word_function(model, cache_size=1)
    asked = np.array(
        [[START_ID, START_ID, START_ID], [START_ID, START_ID, A], [START_ID, A, B], [A, B, A]],
        np.int32,
    )
    found = ask(asked)
    assert found.dtype == np.float32
    expected = [
        distribution(model, history)
        for history in ((START_ID,), (START_ID, A), (START_ID, A, B), (A, B, A))
    ]
    assert np.exp(found) == pytest.approx(np.array(expected), rel=1e-5)
    found[:] = 0  # The search writes into what it was given.
    assert np.exp(ask(asked)) == pytest.approx(np.array(expected), rel=1e-5)


@pytest.mark.parametrize("estimate", ESTIMATES)
def test_what_cannot_be_counted_is_refused(estimate):
    with pytest.raises(ValueError, match="at least 1, not 0"):
        estimate(CAPTIONS, 0, SIZE)
    with pytest.raises(ValueError, match="no captions"):
        estimate([], 2, SIZE)
    for word in (START_ID, END_ID, SIZE, -1):
        with pytest.raises(
            ValueError, match=f"{word} is not the number of a word: they are 2 to 5"
        ):
            estimate([[A, word]], 2, SIZE)
    with pytest.raises(ValueError, match="no captions"):
        perplexity(estimate(CAPTIONS, 2, SIZE), [])
