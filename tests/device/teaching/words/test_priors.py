"""What a bundle knows of classes by words, by hand."""

from dataclasses import replace

import numpy as np
import pytest

from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.classifier_graph import with_names
from picaption.device.bundle.names import NamedClass
from picaption.device.recognition.classifier import Classifier
from picaption.device.teaching.words.priors import (
    ClassPriors,
    ClassWords,
    index_names,
    select_classes,
    split_words,
)

NAMES = (
    NamedClass("n1", "coffee mug", ("mug", "cup"), ("container",)),
    NamedClass("n2", "poodle", ("poodle", "dog"), ("animal",)),
    NamedClass("n3", "collie", ("collie", "dog"), ("animal",)),
    NamedClass("n4", "wall clock", ("clock",), ()),
)
#: Of unit features: mug is the first, poodle the second, collie the third; their mean is 1 / 4.
NAME_WEIGHTS = np.zeros((8, 4), np.float32)
NAME_WEIGHTS[range(4), range(4)] = 127


@pytest.fixture(scope="module")
def contents(bundle):
    """The small bundle, with names. It knows cat, coffee, cup, face, spoon, suit, table, woman."""
    small = read_bundle(bundle)
    weights = np.zeros((feature_count(bundle), 4), np.float32)
    weights[:8] = NAME_WEIGHTS
    graph = with_names(small.graph, Classifier(weights, None, np.zeros(4, np.float32), raw=True))
    return replace(small, graph=graph, names=NAMES)


def feature_count(bundle):
    from picaption.device import Bundle

    model = Bundle(bundle)
    shape = model.metadata.input
    return model.encode(np.zeros((shape.height, shape.width, 3), np.uint8)).features.shape[1]


def test_words_are_split():
    assert split_words("A cup's (groß) for two-way use_2") == [
        *("a", "cup", "groß", "for", "two", "way", "use")
    ]


def test_names_are_found_by_phrases_in_singular_and_plural():
    phrases = index_names(NAMES)
    assert phrases[("dog",)] == (("dog",), (1, 2))
    assert phrases[("coffee", "mugs")] == (("coffee", "mugs"), (0,))


def test_a_description_counts_by_the_words_that_the_captioner_knows(contents):
    words = ClassWords(replace(contents, names=()))
    descriptions = {"zarf": "a cup beside the spoons, on a shelf"}
    priors = words.priors(("zarf", "cat"), descriptions, np.ones((1, 4), np.float32))
    word_ids = contents.vocabulary.word_ids
    # Three of its words are known; "a" and "the" say nothing. The shelf is not known.
    expected = np.zeros((len(word_ids), 2), np.float32)
    expected[[word_ids["cup"], word_ids["beside"], word_ids["spoon"]], 0] = 0.2 / np.sqrt(3)
    expected[word_ids["cat"], 1] = 0.4  # Its name is known.
    np.testing.assert_allclose(priors.words, expected, rtol=1e-6)
    assert priors.features is None
    assert priors.unknown == {"zarf": ("shelf",), "cat": ()}
    assert priors.known.tolist() == [True, True]
    # With a third class that is not known, all counts two thirds.
    with_third = words.priors(("zarf", "cat", "blorp"), descriptions, np.ones((1, 4), np.float32))
    np.testing.assert_allclose(with_third.words[:, :2], expected * 2 / 3, rtol=1e-6)
    assert with_third.known.tolist() == [True, True, False]


def test_a_description_counts_by_the_names_that_it_has(contents):
    words = ClassWords(contents)
    features = np.array([[0, 2]], np.float32)  # Only their length counts.
    descriptions = {"rex": "a dog with a coffee mug", "poodle": "a dog"}
    priors = words.priors(("rex", "poodle", "cat"), descriptions, features)
    share = 2 / 3  # The names know nothing of a cat.
    # Two dogs count 1 / sqrt(2), a mug 1, of a quarter in all. The mean name is 127 / 4 of each.
    dogs, mug = 0.25 * np.array([2**-0.5, 1]) / (2**-0.5 + 1)
    mean = 127 / 4
    rex = (
        2 * share * np.array([mug * 127, dogs * 127 / 2, dogs * 127 / 2, 0], np.float32)
        - 2 * share * (dogs + mug) * mean
    )
    np.testing.assert_allclose(priors.features[:4, 0], rex, rtol=1e-4)
    # The poodle is known by its name; that it is a dog counts a quarter of 1 / sqrt(2).
    dogs = 0.25 * 2**-0.5
    poodle = (
        2 * share * np.array([0, 127 + dogs * 127 / 2, dogs * 127 / 2, 0], np.float32)
        - 2 * share * (1 + dogs) * mean
    )
    np.testing.assert_allclose(priors.features[:4, 1], poodle, rtol=1e-4)
    assert not priors.features[:, 2].any()
    assert priors.unknown == {"rex": (), "poodle": (), "cat": ()}  # Coffee is the captioner's.


@pytest.mark.parametrize(
    ("label", "description", "is_known"),
    [
        ("cat", None, True),  # By the captioner.
        ("wall_clock", None, True),  # By the names.
        ("animal", None, True),
        ("zarf", None, False),
        ("zarf", "", False),
        ("zarf", "the one on it", False),
        ("zarf", "a blorp", False),
        ("zarf", "a blorp for coffee", True),
        ("my dog", None, False),  # Half a name may be that of something else.
        ("my dog", "", True),
        ("the", None, False),
    ],
)
def test_a_class_needs_no_image_where_words_say_what_it_is(contents, label, description, is_known):
    descriptions = {} if description is None else {label: description}
    words = ClassWords(contents)
    assert words.knows(label, descriptions) is is_known
    # What is known is what the priors have.
    priors = words.priors((label, "zyx"), descriptions, np.ones((1, 4), np.float32))
    assert bool(priors.known[0]) is is_known or label == "the"


def test_some_classes_of_the_priors():
    priors = ClassPriors(np.array([[1, 2, 3]]), None, {"a": (), "b": ("x",), "c": ()})
    selected = select_classes(priors, np.array([False, True, True]))
    assert selected.words.tolist() == [[2, 3]]
    assert selected.features is None and selected.unknown == {"b": ("x",), "c": ()}
