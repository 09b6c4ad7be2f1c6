"""n-gram models against KenLM and nltk.lm, on the same text.

KenLM's estimates are files (lmplz/README.md); its module and nltk are asked where they are
installed.
"""

import math
from pathlib import Path

import numpy as np
import pytest

from picaption.device.bundle.vocabulary import (
    END_ID,
    SPECIAL_WORDS,
    START_ID,
    UNKNOWN_ID,
    Vocabulary,
)
from picaption.models.language.arpa import read_arpa, write_arpa
from picaption.models.language.ngram import (
    history_of,
    kneser_ney,
    log_probability,
    maximum_likelihood,
    perplexity,
    probability,
)

FOLDER = Path(__file__).parent / "lmplz"
TEXT = [line.split() for line in (FOLDER / "text.txt").read_text().splitlines()]
TRAIN, NEW = TEXT[:120], TEXT[120:]  # NEW has words that TRAIN has not.


def encode_sentences(sentences):
    """Return (vocabulary of `sentences`, their word numbers)."""
    vocabulary = Vocabulary(
        (*SPECIAL_WORDS, *dict.fromkeys(word for words in sentences for word in words))
    )
    return vocabulary, [vocabulary.encode(words) for words in sentences]


def word_count(captions):
    """Return how many words are told in `captions`, ends counted."""
    return sum(len(words) + 1 for words in captions)


@pytest.mark.parametrize("order", [1, 5])
def test_lmplz_estimates_the_same(order):
    theirs, vocabulary = read_arpa(FOLDER / f"order{order}.arpa")
    captions = [vocabulary.encode(words) for words in TEXT]
    ours = kneser_ney(captions, order, len(vocabulary))
    assert ours.probabilities.keys() == theirs.probabilities.keys()
    for history, following in ours.probabilities.items():
        assert following == pytest.approx(theirs.probabilities[history], rel=1e-6)
        if history:
            assert ours.backoff_weights[history] == pytest.approx(
                theirs.backoff_weights.get(history, 1.0), rel=1e-6
            )
    assert perplexity(ours, captions) == pytest.approx(perplexity(theirs, captions), rel=1e-6)


@pytest.fixture
def kenlm():
    return pytest.importorskip(
        "kenlm", reason="KenLM's module has to be compiled: pip install kenlm"
    )


@pytest.mark.parametrize("estimate", [maximum_likelihood, kneser_ney])
@pytest.mark.parametrize("order", range(2, 6))  # KenLM reads no unigram models.
def test_kenlm_scores_what_we_write_as_we_do(kenlm, tmp_path, order, estimate):
    vocabulary, train = encode_sentences(TRAIN)
    new = [vocabulary.encode(words) for words in NEW]
    train.append(
        next(words for words in new if UNKNOWN_ID in words)
    )  # <unk> counted like a word, too
    model = estimate(train, order, len(vocabulary))
    write_arpa(tmp_path / "model.arpa", model, vocabulary)
    theirs = kenlm.Model(str(tmp_path / "model.arpa"))
    scores = [theirs.score(" ".join(words)) * math.log(10) for words in NEW]
    ours = [log_probability(model, words) for words in new]
    for score, found in zip(scores, ours):
        assert score == pytest.approx(found, abs=1e-4) if found > -math.inf else score < -200
    if estimate is kneser_ney:
        assert perplexity(model, new) == pytest.approx(
            math.exp(-sum(scores) / word_count(new)), rel=1e-5
        )


def test_we_score_what_lmplz_wrote_as_kenlm_does(kenlm):
    model, vocabulary = read_arpa(FOLDER / "order5.arpa")
    theirs = kenlm.Model(str(FOLDER / "order5.arpa"))
    for words in (*TEXT, ["a", "zebra", "runs"], ["zebra"], [], ["runs"] * 7):
        assert log_probability(model, vocabulary.encode(words)) == pytest.approx(
            theirs.score(" ".join(words)) * math.log(10), abs=1e-4
        )


@pytest.fixture
def lm():
    return pytest.importorskip("nltk.lm")


def fit(model, order):
    """Return nltk's `model` fitted on TRAIN: n-grams up to `order`, never <s> alone."""
    from nltk.util import everygrams

    grams = [
        [gram for gram in everygrams(("<s>", *words, "</s>"), max_len=order) if gram != ("<s>",)]
        for words in TRAIN
    ]
    model.fit(grams, [word for words in TRAIN for word in (*words, "</s>")])
    return model


def nltk_perplexity(model, ours, vocabulary, captions):
    """Return the perplexity that nltk's `model` has on `captions`, with the histories of `ours`."""
    return model.perplexity(
        [
            (*vocabulary.decode(history_of(ours, words[:index])), vocabulary.words[word])
            for words in captions
            for index, word in enumerate([*words, END_ID])
        ]
    )


@pytest.mark.parametrize("order", range(1, 6))
def test_nltk_has_the_same_maximum_likelihood(lm, order):
    vocabulary, train = encode_sentences(TRAIN)
    ours, theirs = maximum_likelihood(train, order, len(vocabulary)), fit(lm.MLE(order), order)
    for history in ours.probabilities:
        context = vocabulary.decode(history)
        for word in (*ours.probabilities[history], UNKNOWN_ID, 3):
            assert probability(ours, history, word) == pytest.approx(
                theirs.score(vocabulary.words[word], context)
            )
    assert perplexity(ours, train) == pytest.approx(
        nltk_perplexity(theirs, ours, vocabulary, train), rel=1e-6
    )


@pytest.mark.parametrize("order", [2, 3])
def test_nltk_has_the_same_kneser_ney_with_one_discount(lm, order):
    # nltk discounts no unigrams, so it has no uniform distribution, and counts what follows <s> by
    # contexts, not times.
    vocabulary, train = encode_sentences(TRAIN)
    ours = kneser_ney(train, order, len(vocabulary), [(0, 0, 0)] + [(0.4, 0.4, 0.4)] * (order - 1))
    theirs = fit(lm.KneserNeyInterpolated(order, 0.4), order)
    random = np.random.default_rng(0)
    histories = [
        history
        for history in ours.probabilities
        if len(history) == order - 1 and (order == 2 or history[0] != START_ID)
    ]
    for index in random.choice(len(histories), 20, replace=False):
        context = vocabulary.decode(histories[index])
        for word in (
            *ours.probabilities[histories[index]],
            *random.integers(END_ID, len(vocabulary), 5).tolist(),
        ):
            if word != UNKNOWN_ID:
                assert probability(ours, histories[index], word) == pytest.approx(
                    theirs.score(vocabulary.words[word], context)
                )
    if order == 2:
        known = [words for words in map(vocabulary.encode, NEW) if UNKNOWN_ID not in words]
        assert perplexity(ours, known) == pytest.approx(
            nltk_perplexity(theirs, ours, vocabulary, known), rel=1e-6
        )
