"""The rewards of self-critical training, against reference implementations and by hand."""

import numpy as np
import pytest

from picaption.device.bundle.vocabulary import END_ID
from picaption.models.training.rewards import Bleu4, CiderD, Meteor, Reward

TOLD = [
    [["a", "dog", "runs", "fast"], ["the", "dog", "runs"]],
    [["a", "cat", "sleeps"], ["a", "cat", "on", "a", "sofa"]],
    [["two", "men", "talk"], ["men", "in", "a", "street"]],
]


def test_equal_to_pycocoevalcap_with_the_end_as_a_word():
    scorer = pytest.importorskip("pycocoevalcap.cider.cider").Cider()
    said = [["a", "dog", "runs"], ["a", "cat", "on", "the", "sofa"], ["a", "a", "a"]]
    end = str(END_ID)
    _, expected = scorer.compute_score(
        {
            row: [" ".join([*caption, end]) for caption in captions]
            for row, captions in enumerate(TOLD)
        },
        {row: [" ".join([*caption, end])] for row, caption in enumerate(said)},
    )
    cider = CiderD([[[*caption] for caption in captions] for captions in TOLD])
    np.testing.assert_allclose(
        [cider.score(row, caption) for row, caption in enumerate(said)], expected, atol=1e-6
    )


def test_a_caption_that_trails_off_is_worth_less():
    cider = CiderD(TOLD)
    whole = cider.score(0, ["a", "dog", "runs", "fast"])
    assert whole > cider.score(0, ["a", "dog", "runs", "fast", "in", "a"])


def test_bleu_by_hand():
    bleu = Bleu4(TOLD)
    # All but the four words with the end are somewhere in the captions, and one caption is as long.
    assert bleu.score(0, ["a", "dog", "runs"]) == pytest.approx((0.1 / 1.1) ** 0.25)
    assert bleu.score(0, ["the", "dog", "runs"]) == pytest.approx(1)
    # "dog" and the end stand there; too short by half.
    assert bleu.score(0, ["dog"]) == pytest.approx((0.1 / 1.1) ** 0.25 * np.exp(1 - 4 / 2))
    assert bleu.score(0, []) == pytest.approx(np.exp(1 - 4))
    # The end is all that matches.
    assert 0 < bleu.score(0, ["zebra", "zebra"]) < bleu.score(0, ["dog"])


def test_meteor_by_hand():
    meteor = Meteor([TOLD[0][:1]], frozenset(("a", "the")))
    # Of "a dog runs fast" all but 0.75 of 2.5 is told, in one run of three words.
    mean, penalty = 0.7 / (0.85 + 0.15 * 0.7), 0.6 * (1 / 3) ** 0.2
    assert meteor.score(0, ["a", "dog", "runs"]) == pytest.approx(mean * (1 - penalty))
    # Of several captions, the one it does best with: "the dog runs", of which 1.5 of 1.75 is told, in one run of two.
    best = Meteor(TOLD[:1], frozenset(("a", "the"))).score(0, ["a", "dog", "runs"])
    assert best == pytest.approx(1.5 / 1.75 * (1 - 0.6 * 0.5**0.2))
    assert meteor.score(0, ["zebra"]) == meteor.score(0, []) == 0
    # The same words in two runs are worth less.
    assert meteor.score(0, ["fast", "a", "dog", "runs"]) == pytest.approx(1 - 0.6 * (2 / 4) ** 0.2)


def test_meteor_is_that_of_the_reference_where_words_match_exactly():
    scorer = pytest.importorskip("pycocoevalcap.meteor.meteor")
    import shutil

    if not shutil.which("java"):
        pytest.skip("METEOR needs Java")
    told, said = (
        ["a brown dog runs fast on the wet grass"],
        ["a brown dog sleeps", "the wet grass on a dog"],
    )
    meteor = Meteor([[told[0].split()]], frozenset(("a", "on", "the")))
    reference = scorer.Meteor()
    _, expected = reference.compute_score(
        {row: told for row in range(2)}, {row: [text] for row, text in enumerate(said)}
    )
    np.testing.assert_allclose(
        [meteor.score(0, text.split()) for text in said], expected, atol=1e-3
    )


def test_reward_is_the_sum_of_its_parts():
    words = ["a", "dog", "runs"]
    expected = (
        2 * CiderD(TOLD).score(0, words)
        + 5 * Bleu4(TOLD).score(0, words)
        + 10 * Meteor(TOLD, frozenset(("a",))).score(0, words)
    )
    assert Reward(TOLD, frozenset(("a",))).score(0, words) == pytest.approx(expected)
