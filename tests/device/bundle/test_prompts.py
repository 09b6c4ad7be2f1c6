"""Prompts as the histories that a captioner takes."""

import numpy as np
import pytest

from picaption.device.bundle.prompts import encode_prompts
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary

VOCABULARY = Vocabulary((*SPECIAL_WORDS, "on", "a", "dog"))


def test_prompts_are_histories_that_end_with_their_words():
    histories = encode_prompts(VOCABULARY, ("on a", "a", ""), 4)
    assert histories.dtype == np.int32 and histories.tolist() == [[0, 3, 4], [0, 0, 4], [0, 0, 0]]
    assert encode_prompts(VOCABULARY, ("on a", "a", ""), 4) is histories


@pytest.mark.parametrize(
    "text, message",
    [
        ("on a dog", "the prompt 'on a dog' is too long"),
        ("a cat", "the prompt 'a cat' has the unknown word 'cat'"),
    ],
)
def test_a_prompt_that_cannot_be_asked_is_refused(text, message):
    with pytest.raises(ValueError, match=message):
        encode_prompts(VOCABULARY, (text,), 3)
