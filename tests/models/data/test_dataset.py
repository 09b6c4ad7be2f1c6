"""What a run learns from: transferred captions, vocabulary, tags and prompts."""

import dataclasses
from collections import Counter

import numpy as np
import pytest

from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.models.data import dataset as reading
from picaption.models.data.readers import Record, read_captions

WORDS = ("a", "dog", "on", "mat", "cat", "sofa", "bed", "pig", "in", "car")


def test_a_share_of_the_labelled_images_borrows(data, settings, tmp_path):
    some = dataclasses.replace(settings, transfer_share=0.5)
    loaded, path = reading.load_data(some, data), tmp_path / "borrowed.token.txt"
    transferred = reading.add_transferred_captions(loaded, some, data, path)
    captioned = [record for record in transferred.labels.records if record.captions]
    assert len(captioned) == round(len(transferred.labels.records) / 2)
    # Captions in the file are taken as they are.
    path.write_text(f"{captioned[0].name}#0\tA kept caption.\n")
    again = reading.add_transferred_captions(loaded, some, data, path).labels.records
    assert [record.captions for record in again if record.captions] == [("A kept caption.",)]


def test_vocabulary_and_tags_are_the_frequent_words(data):
    records = read_captions(data / "captions.token.txt", data / "images").records
    vocabulary = reading.learn_vocabulary(records, 16)
    assert "a" in vocabulary.word_ids and "spoon" not in vocabulary.word_ids
    assert reading.learn_tags(records, reading.learn_vocabulary(records, 1), 3) == (
        "camera",
        "astronaut",
        "brown",
    )


def test_prompts_are_frequent_words_that_much_can_follow():
    def record(*captions):
        return Record("a.jpg", "a.jpg", captions)

    records = [
        record("a dog on a mat", "a dog on a mat", "a cat on a sofa"),
        record("a dog on a bed", "a pig in a car"),
    ]
    vocabulary = Vocabulary((*SPECIAL_WORDS, *WORDS))
    # After "a" at the start: dog three times, cat and pig once. After "on a": mat twice, sofa
    # and bed once, which is a higher entropy, 1.04 against 0.95. Elsewhere one word follows.
    assert reading.learn_prompts(records, vocabulary, 3, count=2) == ("on a", "a")
    # "on a" stands four times, as the third most frequent: what is seen less is no prompt.
    assert reading.learn_prompts(records, vocabulary, 3, 2, candidates=2) == ("a", "")
    # A word that the vocabulary lacks can follow a prompt, but not be in one.
    few_words = Vocabulary((*SPECIAL_WORDS, "a", "dog"))
    assert reading.learn_prompts(records, few_words, 3, 2, candidates=2) == ("a", "")
    assert reading.entropy(Counter("aab")) == pytest.approx(np.log(3) - 2 / 3 * np.log(2))
