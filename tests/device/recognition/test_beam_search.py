"""Beam search over small tables, by hand: a, b, c are 3, 4, 5."""

import itertools
import math

import numpy as np
import pytest

from picaption.device.bundle.metadata import Beam
from picaption.device.bundle.vocabulary import END_ID, START_ID, UNKNOWN_ID
from picaption.device.recognition.beam_search import beam_search, top_candidates

A, B, C, SIZE = 3, 4, 5, 6


def bigrams(table):
    """Return next_word over {last word: {word: probability}}; what is not there is impossible."""

    def next_word(history):
        scores = np.full((len(history), SIZE), -np.inf, np.float32)
        for row, last in enumerate(history[:, -1].tolist()):
            for word, probability in table.get(last, {}).items():
                scores[row, word] = math.log(probability)
        return scores

    return next_word


def search(table, order=2, **beam):
    """Return the captions found as (words, probability), best first."""
    captions = beam_search(
        bigrams(table), order, Beam(**{"min_words": 1, "length_penalty": 0.0} | beam)
    )
    return [
        (hypothesis.words, pytest.approx(math.exp(hypothesis.log_probability)))
        for hypothesis in captions
    ]


def test_a_wider_beam_finds_what_the_greedy_one_passes_over():
    table = {
        START_ID: {A: 0.6, B: 0.4},
        A: {B: 0.36, C: 0.34, END_ID: 0.3},
        B: {END_ID: 0.9, A: 0.1},
        C: {END_ID: 0.5},
    }
    # One hypothesis goes on with a, then with b, and ends; two keep b, which ends better.
    assert search(table, width=1, max_words=2) == [((A, B), 0.6 * 0.36 * 0.9)]
    assert search(table, width=2, max_words=2) == [((B,), 0.4 * 0.9), ((A,), 0.6 * 0.3)]


@pytest.mark.parametrize(
    "penalty, best",
    [
        # a: log 0.4 / 2 ** penalty; a b: log 0.3 / 3 ** penalty.
        (0, (A,)),  # -0.916 against -1.204
        (0.5, (A,)),  # -0.648 against -0.695
        (0.7, (A, B)),  # -0.564 against -0.558
        (1, (A, B)),
    ],
)  # -0.458 against -0.401
def test_the_score_is_divided_by_a_power_of_the_length(penalty, best):
    table = {START_ID: {A: 1}, A: {END_ID: 0.4, B: 0.6}, B: {END_ID: 0.5, C: 0.5}}
    captions = search(table, width=4, max_words=2, length_penalty=penalty)
    assert sorted(captions) == [((A,), 0.4), ((A, B), 0.3)]
    assert captions[0][0] == best


@pytest.mark.parametrize(
    "weight, best",
    [
        # a: -0.916 / 2 + 0.1 weight; a b: -1.204 / 3 + 0.3 weight, whose c is never finished.
        (0, (A, B)),
        (1, (A, B)),
        (-1, (A,)),
    ],
)
def test_evidence_chooses_among_the_finished_captions(weight, best):
    table = {START_ID: {A: 1}, A: {END_ID: 0.4, B: 0.6}, B: {END_ID: 0.5, C: 0.5}}
    evidence = np.zeros(SIZE, np.float32)
    evidence[[A, B, C]] = 0.1, 0.2, 9
    beam = Beam(4, 1, 2, 1.0, weight)
    captions = beam_search(bigrams(table), 2, beam, evidence)
    assert {hypothesis.words for hypothesis in captions} == {(A,), (A, B)} and captions[
        0
    ].words == best


def test_evidence_counts_a_word_once():
    table = {START_ID: {A: 0.5, B: 0.3}, A: {A: 0.7, END_ID: 0.3}, B: {END_ID: 0.8}}
    evidence = np.zeros(SIZE, np.float32)
    evidence[[A, B]] = 0.5, 0.1
    # b: log 0.24 + 0.1 = -1.327; a: log 0.15 + 0.5 = -1.397; a a: log 0.105 + 0.5 = -1.754, where
    # twice would be -1.254.
    captions = beam_search(bigrams(table), 2, Beam(4, 1, 2, 0.0, 1.0), evidence)
    assert [hypothesis.words for hypothesis in captions] == [(B,), (A,), (A, A)]


def test_a_caption_is_cut_short_only_where_none_has_ended():
    # A beam of one looks at the two best: after a b, both would go on.
    table = {START_ID: {A: 1}, A: {B: 0.7, END_ID: 0.3}, B: {C: 0.6, A: 0.35, END_ID: 0.05}}
    assert search(table, width=1, max_words=2, length_penalty=4) == [((A,), 0.3)]
    table[A] = {B: 0.7, C: 0.2, END_ID: 0.1}
    assert search(table, width=1, max_words=2, length_penalty=4) == [((A, B), 0.7 * 0.05)]


def test_no_word_pair_stands_twice():
    table = {START_ID: {A: 1}, A: {B: 0.9, END_ID: 0.1}, B: {A: 0.9, END_ID: 0.1}}
    assert search(table, width=8, max_words=10) == [
        ((A,), 0.1),
        ((A, B), 0.9 * 0.1),
        ((A, B, A), 0.9**2 * 0.1),
    ]
    stutter = {START_ID: {A: 1}, A: {A: 0.9, END_ID: 0.1}}
    assert search(stutter, width=8, max_words=10) == [((A,), 0.1), ((A, A), 0.9 * 0.1)]


def test_captions_have_as_many_words_as_they_may():
    table = {
        START_ID: {A: 0.9, END_ID: 0.1},
        A: {B: 0.9, END_ID: 0.1},
        B: {C: 0.9, END_ID: 0.1},
        C: {A: 0.9, END_ID: 0.1},
    }
    assert [words for words, _ in search(table, width=8, min_words=0, max_words=3)] == [
        (),
        (A,),
        (A, B),
        (A, B, C),
    ]
    assert search(table, width=1, min_words=0, max_words=3) == [((), 0.1)]
    assert search(table, width=8, min_words=2, max_words=2) == [((A, B), 0.9**2 * 0.1)]
    assert search(table, width=1, min_words=0, max_words=0) == [((), 0.1)]
    # Without a fourth word there is no caption of four.
    assert (
        search(
            {START_ID: {A: 1}, A: {B: 1}, B: {C: 1}, C: {END_ID: 1}},
            width=8,
            min_words=4,
            max_words=6,
        )
        == []
    )


def test_start_and_unknown_are_never_told():
    table = {
        START_ID: {START_ID: 0.4, UNKNOWN_ID: 0.3, A: 0.1, B: 0.2},
        A: {UNKNOWN_ID: 0.9, END_ID: 0.1},
        B: {START_ID: 0.9, END_ID: 0.1},
    }
    assert search(table, width=4, max_words=3) == [((B,), 0.2 * 0.1), ((A,), 0.1 * 0.1)]


def test_each_hypothesis_brings_its_own_last_words():
    table, histories = (
        {
            START_ID: {A: 0.6, B: 0.4},
            A: {C: 0.9, END_ID: 0.1},
            B: {A: 0.9, END_ID: 0.1},
            C: {END_ID: 1},
        },
        [],
    )

    def next_word(history):
        assert history.dtype == np.int32
        histories.append(history.tolist())
        return bigrams(table)(history)

    beam_search(next_word, 4, Beam(2, 3, 3, 0.0))
    assert histories[0] == [[START_ID] * 3] * 2
    assert histories[1:3] == [
        [[START_ID, START_ID, A], [START_ID, START_ID, B]],
        [[START_ID, A, C], [START_ID, B, A]],
    ]
    # a c is said to its end; only b a goes on.
    assert histories[3][0] == [B, A, C]
    assert len(histories) == 4


@pytest.mark.parametrize(
    "penalty, best, steps",
    [
        # a: log 0.6 / 2 ** penalty; a b, could it end for nothing: log 0.4 / 3 ** penalty.
        (0, (A,), 2),  # -0.511 against -0.916
        (1, (A,), 2),  # -0.255 against -0.305
        (1.5, (A, B, C), 4),
    ],
)  # -0.181 against -0.176
def test_the_search_ends_once_nothing_open_would_win_by_ending(penalty, best, steps):
    table, widths = {START_ID: {A: 1}, A: {END_ID: 0.6, B: 0.4}, B: {C: 1}, C: {END_ID: 1}}, []

    def next_word(history):
        widths.append(len(history))
        return bigrams(table)(history)

    assert beam_search(next_word, 2, Beam(1, 1, 3, penalty))[0].words == best
    assert widths == [1] * steps


# Where captions may differ by more than one word in length and that is rewarded, the search may
# end too early.
@pytest.mark.parametrize("order", [2, 3, 4])
@pytest.mark.parametrize("minimum, penalty", [(0, 0.0), (2, 0.0), (3, 0.7), (3, 1.0), (4, 1.3)])
def test_a_beam_that_is_wide_enough_finds_the_best_of_all(order, minimum, penalty):
    random, maximum = np.random.default_rng(order), 4
    table = np.log(random.dirichlet(np.full(SIZE, 0.5), [SIZE] * (order - 1))).astype(np.float32)
    totals = {}
    for words in itertools.chain(
        *(itertools.product((A, B, C), repeat=n) for n in range(minimum, maximum + 1))
    ):
        pairs = list(zip(words, words[1:]))
        if len(set(pairs)) == len(pairs):
            history_words = (START_ID,) * (order - 1) + words + (END_ID,)
            totals[words] = sum(
                float(table[history_words[at : at + order]]) for at in range(len(words) + 1)
            )
    captions = beam_search(
        lambda history: table[tuple(history.T)], order, Beam(3**maximum, minimum, maximum, penalty)
    )
    for hypothesis in captions:
        assert hypothesis.log_probability == pytest.approx(totals[hypothesis.words], rel=1e-5)
    scores = [
        totals[hypothesis.words] / (len(hypothesis.words) + 1) ** penalty for hypothesis in captions
    ]
    assert scores == pytest.approx(sorted(scores, reverse=True), rel=1e-5)
    # The score, not the words: captions of the same pairs are equally good.
    assert scores[0] == pytest.approx(
        max(totals[words] / (len(words) + 1) ** penalty for words in totals), rel=1e-5
    )


@pytest.mark.parametrize(
    "size, count", ((3, 6), (48, 6), (100, 6), (3789, 6), (3789, 128), (1263, 2))
)
def test_the_greatest_are_among_few(size, count):
    random = np.random.default_rng(size + count)
    for values in (
        random.normal(size=size),
        random.integers(0, 40, size),
        np.where(random.random(size) < 0.9, -np.inf, 0),
    ):
        values = values.astype(np.float32)
        places = top_candidates(values, count).tolist()
        assert places == sorted(set(places))
        assert sorted(values[places])[-count:] == sorted(values)[-count:]
    values = np.arange(3789, dtype=np.float32)[random.permutation(3789)]
    assert len(top_candidates(values, 6)) < 30


def test_a_unigram_model_has_no_history():
    def next_word(history):
        assert history.shape == (2, 0)
        scores = np.full((2, SIZE), -np.inf, np.float32)
        scores[:, [A, B, END_ID]] = np.log([0.5, 0.2, 0.3])
        return scores

    beam = Beam(width=2, min_words=1, max_words=2, length_penalty=0.0)
    best, second = beam_search(next_word, 1, beam)
    assert (best.words, second.words) == ((A,), (A, A))
    assert math.exp(best.log_probability) == pytest.approx(0.5 * 0.3)
    assert math.exp(second.log_probability) == pytest.approx(0.5 * 0.5 * 0.3)
