"""The rewards of self-critical training, against reference implementations and by hand."""

import shutil

import numpy as np
import pytest

from picaption.device.bundle.vocabulary import END_ID
from picaption.models.evaluation.object_hallucination import object_phrases
from picaption.models.training.rewards import AbsentObjects, Bleu4, CiderD, Meteor, Reward

REFERENCES = [
    [["a", "dog", "runs", "fast"], ["the", "dog", "runs"]],
    [["a", "cat", "sleeps"], ["a", "cat", "on", "a", "sofa"]],
    [["two", "men", "talk"], ["men", "in", "a", "street"]],
]


def test_equal_to_pycocoevalcap_with_the_end_as_a_word():
    scorer = pytest.importorskip("pycocoevalcap.cider.cider").Cider()
    captions = [["a", "dog", "runs"], ["a", "cat", "on", "the", "sofa"], ["a", "a", "a"]]
    end = str(END_ID)
    _, expected = scorer.compute_score(
        {
            index: [" ".join([*reference, end]) for reference in references]
            for index, references in enumerate(REFERENCES)
        },
        {index: [" ".join([*caption, end])] for index, caption in enumerate(captions)},
    )
    cider = CiderD(REFERENCES)
    np.testing.assert_allclose(
        [cider.score(index, caption) for index, caption in enumerate(captions)],
        expected,
        atol=1e-6,
    )


def test_a_caption_that_trails_off_is_worth_less():
    cider = CiderD(REFERENCES)
    complete = cider.score(0, ["a", "dog", "runs", "fast"])
    assert complete > cider.score(0, ["a", "dog", "runs", "fast", "in", "a"])


def test_bleu_by_hand():
    bleu = Bleu4(REFERENCES)
    # All but the four words with the end are somewhere in the captions, and one caption is as long.
    assert bleu.score(0, ["a", "dog", "runs"]) == pytest.approx((0.1 / 1.1) ** 0.25)
    assert bleu.score(0, ["the", "dog", "runs"]) == pytest.approx(1)
    # "dog" and the end stand there; too short by half.
    assert bleu.score(0, ["dog"]) == pytest.approx((0.1 / 1.1) ** 0.25 * np.exp(1 - 4 / 2))
    assert bleu.score(0, []) == pytest.approx(np.exp(1 - 4))
    # The end is all that matches.
    assert 0 < bleu.score(0, ["zebra", "zebra"]) < bleu.score(0, ["dog"])


def test_meteor_by_hand():
    meteor = Meteor([REFERENCES[0][:1]], frozenset(("a", "the")))
    # Of "a dog runs fast" all but 0.75 of 2.5 is matched, in one run of three words.
    mean = 0.7 / (0.85 + 0.15 * 0.7)
    penalty = 0.6 * (1 / 3) ** 0.2
    assert meteor.score(0, ["a", "dog", "runs"]) == pytest.approx(mean * (1 - penalty))
    # Of several references the best counts: of "the dog runs" 1.5 of 1.75 is matched, in one run
    # of two.
    best = Meteor(REFERENCES[:1], frozenset(("a", "the"))).score(0, ["a", "dog", "runs"])
    assert best == pytest.approx(1.5 / 1.75 * (1 - 0.6 * 0.5**0.2))
    assert meteor.score(0, ["zebra"]) == meteor.score(0, []) == 0
    # The same words in two runs are worth less.
    assert meteor.score(0, ["fast", "a", "dog", "runs"]) == pytest.approx(1 - 0.6 * (2 / 4) ** 0.2)


def test_meteor_is_that_of_the_reference_where_words_match_exactly():
    scorer = pytest.importorskip("pycocoevalcap.meteor.meteor")
    if not shutil.which("java"):
        pytest.skip("METEOR needs Java")
    reference = "a brown dog runs fast on the wet grass"
    captions = ["a brown dog sleeps", "the wet grass on a dog"]
    meteor = Meteor([[reference.split()]], frozenset(("a", "on", "the")))
    _, expected = scorer.Meteor().compute_score(
        {index: [reference] for index in range(2)},
        {index: [caption] for index, caption in enumerate(captions)},
    )
    np.testing.assert_allclose(
        [meteor.score(0, caption.split()) for caption in captions], expected, atol=1e-3
    )


def test_reward_is_the_sum_of_its_parts():
    words = ["a", "dog", "runs"]
    expected = (
        2 * CiderD(REFERENCES).score(0, words)
        + 5 * Bleu4(REFERENCES).score(0, words)
        + 10 * Meteor(REFERENCES, frozenset(("a",))).score(0, words)
    )
    assert Reward(REFERENCES, frozenset(("a",))).score(0, words) == pytest.approx(expected)


def test_each_absent_class_that_is_named_costs():
    words = ("a", "cat", "dog", "hot", "pot-plant", "puppy")
    phrases = object_phrases(["cat", "dog", "hot dog"])
    term = AbsentObjects([{"dog", "hot dog"}, frozenset(), {"cat"}], words, phrases)
    assert term.score(0, [0, 1]) == 0
    assert term.score(0, [0, 2, 0, 5]) == 1  # a dog, a puppy: one class
    assert term.score(0, [0, 3, 2, 2]) == 2  # a hot dog, and a dog
    assert term.score(1, [1, 2]) == 0  # nothing is known
    assert term.score(2, [0, 4]) == 0 and term.score(2, []) == 0
    references = [[[0, 1]], [[0, 2]], [[0, 2]]]
    plain = Reward(references).score(0, [0, 2])
    assert Reward(references, (), [(-1.5, term)]).score(0, [0, 2]) == pytest.approx(plain - 1.5)
