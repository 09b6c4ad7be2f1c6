"""Captions near to an image's own, by hand."""

from pathlib import Path

import pytest

from picaption.models.data import paraphrases
from picaption.models.data.paraphrases import add_paraphrases
from picaption.models.data.readers import Record


def image(*captions, borrowed=False):
    return Record("x", Path("x"), captions, borrowed=borrowed)


def text(*captions):
    return tuple(
        Record(str(index), Path("y"), (caption,)) for index, caption in enumerate(captions)
    )


def anything(caption, record):
    return True


@pytest.fixture(autouse=True)
def every_word_counts(monkeypatch):
    """Of a handful of captions every word is common, and most are in one only."""
    monkeypatch.setattr(paraphrases, "COMMON", 1.0)
    monkeypatch.setattr(paraphrases, "MIN_CAPTIONS", 1)


FILLING = (
    "two cats asleep",
    "a boat at sea",
    "dogs run",
    "a plate of food",
    "snow falls",
    "a tree",
)
OTHERS = text("a bus on a road", "a red bus on the road", *FILLING)


def test_the_nearest_come_first_and_the_far_not_at_all():
    (record,) = add_paraphrases([image("a red bus on a road")], OTHERS, 8, anything)
    assert record.paraphrases == ("a bus on a road", "a red bus on the road")
    assert record.captions == ("a red bus on a road",)


def test_an_image_gets_no_more_than_asked_for():
    (record,) = add_paraphrases([image("a red bus on a road")], OTHERS, 1, anything)
    assert record.paraphrases == ("a bus on a road",)


def test_its_own_words_and_what_is_not_true_are_left_out():
    own = image("a red bus on a road", "A bus on a road.")
    (record,) = add_paraphrases([own], OTHERS, 8, anything)
    assert record.paraphrases == ("a red bus on the road",)
    (record,) = add_paraphrases([own], OTHERS, 8, lambda caption, record: "red" not in caption)
    assert record.paraphrases == ()


def test_captions_of_the_same_words_count_once():
    twice = text("a bus on a road", "A bus on a road.", *FILLING)
    (record,) = add_paraphrases([image("a bus on the road")], twice, 8, anything)
    assert len(record.paraphrases) == 1


def test_a_woman_is_no_man_and_two_are_not_one():
    riders = text("a woman rides a horse", "two men ride horses", "a man rides the horse", *FILLING)
    (record,) = add_paraphrases([image("a man rides a horse")], riders, 8, anything)
    assert record.paraphrases == ("a man rides the horse",)


def test_images_without_captions_of_their_own_stay_as_they_are():
    records = (image(), image("a red bus on a road", borrowed=True))
    assert add_paraphrases(records, OTHERS, 8, anything) == records
