"""Words and their numbers, and words as a sentence."""

import pytest

from picaption.device.bundle.vocabulary import (
    END_ID,
    SPECIAL_WORDS,
    START_ID,
    UNKNOWN_ID,
    Vocabulary,
    sentence,
)

WORDS = (*SPECIAL_WORDS, "a", "cat", "'s", "face")


def test_the_special_words_come_first():
    vocabulary = Vocabulary(WORDS)
    assert len(vocabulary) == 7
    assert [vocabulary.words[number] for number in (START_ID, END_ID, UNKNOWN_ID)] == [
        "<s>",
        "</s>",
        "<unk>",
    ]
    assert vocabulary.word_ids["a"] == 3


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("a", "cat"),
        ("<s>", "</s>", "cat"),
        ("</s>", "<s>", "<unk>", "cat"),
        ("cat", *SPECIAL_WORDS),
    ],
)
def test_a_vocabulary_without_them_is_refused(words):
    with pytest.raises(ValueError, match="a vocabulary starts with <s> </s> <unk>"):
        Vocabulary(words)


@pytest.mark.parametrize("twice", ["cat", "</s>"])
def test_a_word_that_stands_twice_is_refused(twice):
    with pytest.raises(ValueError, match="a word stands twice"):
        Vocabulary((*WORDS, twice))


def test_words_become_numbers():
    vocabulary = Vocabulary(WORDS)
    assert vocabulary.encode(["a", "cat", "'s", "face", "a"]) == [3, 4, 5, 6, 3]
    assert vocabulary.encode(["a", "dog", "Cat", ""]) == [3, UNKNOWN_ID, UNKNOWN_ID, UNKNOWN_ID]
    assert vocabulary.encode([]) == []


def test_numbers_become_words():
    vocabulary = Vocabulary(iter(WORDS))
    assert vocabulary.decode([3, 4]) == ("a", "cat")
    assert vocabulary.decode([UNKNOWN_ID, END_ID]) == ("<unk>", "</s>")
    assert vocabulary.decode(()) == ()
    with pytest.raises(IndexError):
        vocabulary.decode([7])


def test_a_sentence_joins_possessives_to_their_noun():
    assert sentence(("a", "cat", "'s", "face")) == "a cat's face"
    assert (
        sentence(("the", "men", "'s", "and", "women", "'s", "race")) == "the men's and women's race"
    )
    assert sentence(("a", "t-shirt")) == "a t-shirt"
    assert sentence(()) == ""
