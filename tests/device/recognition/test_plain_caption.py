"""Plain captions name what is certain, and nothing else."""

import pytest

from picaption.device.recognition.plain_caption import certain_things, plain_text
from picaption.device.recognition.result import Score

PHRASES = {"cat": ("cat", "cats", "kitten"), "laptop": ("laptop", "computer"), "cup": ("cup",)}


def named(things):
    return [thing.name for thing in things]


def test_classes_that_are_certain_are_named_best_first():
    classes = [Score("cat", 0.95), Score("laptop", 0.9), Score("cup", 0.5)]
    assert named(certain_things(classes, (), 0.9, PHRASES)) == ["cat", "laptop"]
    assert certain_things(classes, (), 0.96, PHRASES) == []


def test_a_name_comes_first_unless_a_class_covers_it():
    classes = [Score("cat", 0.95), Score("laptop", 0.2)]
    espresso = [Score("espresso", 0.9), Score("coffee", 0.95)]
    assert named(certain_things(classes, espresso, 0.8, PHRASES)) == ["espresso", "cat"]
    # An Egyptian cat is a cat, which stands there already.
    egyptian = [Score("Egyptian cat", 0.9), Score("cat", 0.95)]
    assert named(certain_things(classes, egyptian, 0.8, PHRASES)) == ["cat"]
    assert named(certain_things(classes, egyptian, 0.99, PHRASES)) == ["Egyptian cat"]


def test_no_more_than_three_things():
    classes = [Score(name, 0.9) for name in ("cat", "laptop", "cup")]
    assert named(certain_things(classes, [Score("barn", 0.9)], 0.5, PHRASES)) == [
        "barn",
        "cat",
        "laptop",
    ]


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["cat"], "a cat"),
        (["orange", "cup"], "an orange and a cup"),
        (["espresso", "cup"], "an espresso and a cup"),
        (["corn", "cup"], "corn and a cup"),
        (["person", "skis", "bus"], "a person, skis and a bus"),
        (["wine glass", "broccoli"], "a wine glass and broccoli"),
        (["umbrella", "unicycle"], "an umbrella and a unicycle"),
    ],
)
def test_text(names, text):
    assert plain_text(names) == text
