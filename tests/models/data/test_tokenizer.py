"""Words of a caption, by hand."""

import pytest

from picaption.models.data.tokenizer import STOP_WORDS, tokenize


@pytest.mark.parametrize(
    "caption, words",
    [
        ("A dog runs .", "a dog runs"),
        ("TWO Dogs", "two dogs"),
        ("  a\tdog\nruns  ", "a dog runs"),
        ("A man, a plan; (a canal): Panama!?", "a man a plan a canal panama"),
        ('A "red" car & a #7 bus', "a red car a 7 bus"),
        ("dogs...cats/birds_fish", "dogs cats birds fish"),
        ("12 men in 1950s suits at 3:30", "12 men in 1950s suits at 3 30"),
    ],
)
def test_words_are_lower_case_without_punctuation(caption, words):
    assert tokenize(caption) == words.split()


@pytest.mark.parametrize(
    "caption, words",
    [
        ("A dog's ball", "a dog 's ball"),
        ("It's the BOY'S cat.", "it 's the boy 's cat"),
        ("the boys' room", "the boys room"),
        ("they don't rock'n'roll at five o'clock", "they don't rock'n'roll at five o'clock"),
        ("a 'red' car", "a red car"),
        ("a 'stop' sign", "a stop sign"),
        ("slip n 'slide", "slip n slide"),
        ("the dog\u2019s ball", "the dog 's ball"),
        ("the dog 's ball", "the dog 's ball"),
        ("a caf\u00e9", "a caf\u00e9"),
    ],
)
def test_only_the_possessive_is_a_word_of_its_own(caption, words):
    assert tokenize(caption) == words.split()


@pytest.mark.parametrize(
    "caption, words",
    [
        ("a black-and-white t-shirt", "a black-and-white t-shirt"),
        ("a 4-year-old", "a 4-year-old"),
        ("a dog - wet -, runs", "a dog wet runs"),
        ("a dog--wet-- runs-", "a dog wet runs"),
    ],
)
def test_hyphens_stay_only_inside_words(caption, words):
    assert tokenize(caption) == words.split()


@pytest.mark.parametrize("caption", ["", "  ", "...", "-' \"", "\n"])
def test_without_letters_and_digits_there_are_no_words(caption):
    assert tokenize(caption) == []


def test_words_are_found_again_in_their_own_sentence():
    words = tokenize("The dog's 2nd black-and-white ball isn't his.")
    assert words == ["the", "dog", "'s", "2nd", "black-and-white", "ball", "isn't", "his"]
    assert tokenize(" ".join(words)) == words


def test_stop_words_leave_what_an_image_shows():
    words = [
        word
        for word in tokenize("A man's dog is looking at the camera with two others")
        if word not in STOP_WORDS
    ]
    assert words == ["man", "dog", "camera"]
