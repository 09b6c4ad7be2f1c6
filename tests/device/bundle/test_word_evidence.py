"""How far a picture calls for a word, by hand."""

from types import SimpleNamespace

import numpy as np
import pytest

from picaption.device.bundle.metadata import Metadata
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.bundle.word_evidence import MAX_WORD_EVIDENCE, compute_word_evidence

VOCABULARY = Vocabulary((*SPECIAL_WORDS, "on", "a", "dog"))


def test_evidence_is_the_mean_over_prompts():
    def next_word(history, context):
        assert context == "seen"
        after = {
            (0, 4): [1e-9, 0.1, 1e-9, 0.001, 0.4, 0.499],
            (3, 4): [1e-9, 0.009, 1e-9, 0.001, 1e-9, 0.99],
        }
        return np.log([after[tuple(row)] for row in history.tolist()]).astype(np.float32)

    model = SimpleNamespace(
        vocabulary=VOCABULARY,
        metadata=Metadata("asked", order=3, prompts=("a", "on a")),
        next_word=next_word,
    )
    evidence = compute_word_evidence(model, "seen")
    assert evidence.dtype == np.float32
    by_hand = [
        0,
        (np.log(101) + np.log(10)) / 2,
        0,
        np.log(2),
        np.log(401) / 2,
        (np.log(500) + np.log(991)) / 2,
    ]
    np.testing.assert_allclose(evidence, by_hand, atol=1e-5)
    assert evidence.max() < MAX_WORD_EVIDENCE == pytest.approx(np.log(1001))
