"""Which classes a caption names, by hand."""

import pytest

from picaption.device.bundle.object_words import index_phrases, named_classes

#: Of the classes 0 person, 1 dog, 2 hot dog, 3 train, 4 wine glass.
PHRASES = index_phrases(
    (
        ("person", "man", "men"),
        ("dog", "dogs"),
        ("hot dog", "hot dogs"),
        ("train",),
        ("glass of wine", "glass"),
    ),
    ("train track", "dog house"),
)


@pytest.mark.parametrize(
    "caption, classes",
    [
        ("", ()),
        ("a cat", ()),
        ("two men and a dog", (0, 1)),
        ("a dog and two men", (1, 0)),
        ("a dog and dogs", (1,)),
        ("a hot dog", (2,)),
        ("hot dogs and a dog", (2, 1)),
        ("a hot red dog", (1,)),
        ("a dog is hot", (1,)),
        ("hot", ()),
        ("a train track", ()),
        ("a train on a train track", (3,)),
        ("a glass of wine", (4,)),
        ("a glass of milk", (4,)),
        ("a dog house dog", (1,)),
    ],
)
def test_the_longest_phrase_names_a_class(caption, classes):
    assert named_classes(tuple(caption.split()), PHRASES) == classes


def test_a_phrase_may_name_two_classes():
    phrases = index_phrases((("computer",), ("computer", "screen")), ())
    assert named_classes(("computer",), phrases) == (0, 1)
    assert named_classes(["a", "screen"], phrases) == (1,)


def test_a_phrase_of_something_else_that_names_a_class_names_it():
    assert named_classes(("bat",), index_phrases((("bat",),), ("bat",))) == (0,)


def test_without_phrases_nothing_is_named():
    assert named_classes(("a", "dog"), index_phrases((), ())) == ()


def test_a_phrase_without_words_names_nothing():
    assert named_classes(("a", "dog"), index_phrases((("", "dog"),), ("",))) == (0,)
