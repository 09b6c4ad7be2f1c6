"""Names of taught classes in captions: where they fit, and where the caption stays."""

import numpy as np
import pytest

from picaption.device.recognition.class_nouns import ClassNamer, class_phrase
from picaption.device.recognition.result import Caption

LABELS = ("my mug", "Rex", "apple_tree")
NAMER = ClassNamer(LABELS, (("cup", "mug"), ("dog",), ("tree",)))


def rename(text, best, score=0.9):
    scores = np.full(3, (1 - score) / 2, np.float32)
    scores[best] = score
    caption = Caption(text, tuple(text.replace("'s", " 's").split()), -5.0)
    return NAMER.rename(caption, scores)


@pytest.mark.parametrize(
    ("text", "best", "expected"),
    [
        ("a cup on a table", 0, "my mug on a table"),
        ("a small white cup of coffee", 0, "my mug of coffee"),
        ("a man holding the mug", 0, "a man holding my mug"),
        ("a brown dog is running", 1, "Rex is running"),
        ("a bird in a tree", 2, "a bird in an apple tree"),
        ("a bird in the tree", 2, "a bird in the apple tree"),
    ],
)
def test_a_certain_class_is_said_by_its_name(text, best, expected):
    renamed = rename(text, best)
    assert renamed.text == expected
    assert renamed.words == tuple(expected.split())
    assert renamed.alternatives == (text,)
    assert renamed.log_probability == -5.0


@pytest.mark.parametrize(
    ("text", "best"),
    [
        ("a dog on a table", 0),  # It has no word for it.
        ("two cup on a table", 0),
        ("his dog on a table", 1),
        ("dog", 1),
        ("a dog beside a dog", 1),  # Which one?
        ("a cup holder", 0),
        ("a dog 's bowl", 1),
        ("a tall old green tree", 2),
        ("a man walking dog", 1),
        ("a dog cup", 0),
    ],
)
def test_where_that_is_in_doubt_the_caption_stays(text, best):
    assert rename(text, best).text == text


def test_a_class_that_is_not_certain_is_not_said():
    assert rename("a cup on a table", 0, 0.79).text == "a cup on a table"


@pytest.mark.parametrize(
    ("label", "article", "phrase"),
    [
        ("my mug", "the", "my mug"),
        ("Rex", "a", "Rex"),
        ("the hall", "a", "the hall"),
        ("mug", "the", "the mug"),
        ("empty_desk", "a", "an empty desk"),
        ("7 of 9", "a", "7 of 9"),
    ],
)
def test_names_have_the_article_that_they_take(label, article, phrase):
    assert class_phrase(label, article) == phrase
