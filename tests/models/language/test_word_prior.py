"""Captions without pictures tell which words go with which class."""

import numpy as np

from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.recognition.classifier import name_prior
from picaption.models.data.readers import Record
from picaption.models.language.word_prior import word_prior

VOCABULARY = Vocabulary((*SPECIAL_WORDS, "desk", "keyboard", "grass", "a", "dog"))


def record(caption, *labels):
    return Record(caption, caption, (caption,), labels)


def test_words_that_go_with_a_class_speak_for_it():
    records = 40 * [
        record("a desk with a keyboard", "mouse"),
        record("a keyboard", "mouse"),
        record("a dog on grass"),
        record("a desk"),
    ]
    prior = word_prior(records, ("mouse", "dog"), VOCABULARY)
    words = dict(zip(VOCABULARY.words, prior[:, 0]))
    assert prior.shape == (len(VOCABULARY), 2) and prior.dtype == np.float32
    assert (
        words["keyboard"] > 0.06 > words["desk"] and words["grass"] < 0 and abs(words["a"]) < 0.05
    )
    # No text has the class dog, but its name is a word.
    np.testing.assert_array_equal(prior[:, 1], name_prior(("mouse", "dog"), VOCABULARY)[:, 1])
