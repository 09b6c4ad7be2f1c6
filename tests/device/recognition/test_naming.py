"""Captions say what is certain: names in their place, and classes added to them, by hand."""

import math

import numpy as np
import pytest

from picaption.device import Recognizer
from picaption.device.bundle.metadata import Confidence, Metadata, Naming
from picaption.device.bundle.names import NamedClass
from picaption.device.bundle.object_words import index_phrases
from picaption.device.recognition.naming import Namer, name_phrase
from picaption.device.recognition.result import Caption
from tests.device.fakes.model import StandInModel

NAMES = (
    NamedClass("1", "rotary phone", ("rotary phone", "phone"), ("phone",)),
    NamedClass("2", "pay phone", ("pay phone", "phone"), ("phone",)),
    NamedClass("3", "tabby cat", ("tabby", "cat"), ("cat", "animal")),
)
LABELS = ("cat", "cup", "laptop")
OBJECT_WORDS = (("cat", "kitten"), ("cup",), ("laptop",))
CONFIDENCE = Confidence(threshold=0.9)
NAMING = Naming(threshold=0.8, support=0.7, addition=0.95)


def namer(naming=NAMING, names=NAMES, confidence=CONFIDENCE):
    metadata = Metadata("x", object_words=OBJECT_WORDS, naming=naming, confidence=confidence)
    return Namer(metadata, LABELS, names, index_phrases(OBJECT_WORDS, ()))


def caption(text, confidence=0.99):
    return Caption(text, tuple(text.split()), -7.0, confidence, False, ("a bunch of animals",))


def scores(*values):
    return np.array(values, np.float32)


def instead(text, classes, names, **changes):
    named = namer(**changes).name_instead(caption(text), scores(*classes), scores(*names))
    return named and named.text


def test_a_certain_name_takes_the_place_of_a_caption_of_something_else():
    text = "a bunch of shoes on a counter"
    named = namer().name_instead(caption(text), scores(0, 0, 0), scores(0.875, 0.1, 0.025))
    assert named.text == "a rotary phone" and named.words == ("a", "rotary", "phone")
    assert named.confidence == 0.875 and named.unsure
    assert named.log_probability == pytest.approx(math.log(0.875))
    assert named.alternatives == (text, "a bunch of animals")
    assert not namer().name_instead(caption(text), scores(0, 0, 0), scores(0.95, 0, 0)).unsure


@pytest.mark.parametrize(
    "text, classes, names, expected",
    [
        # Neither phone is certain by itself; that it is one is.
        ("shoes on a counter", (0, 0, 0), (0.5, 0.45, 0.05), "a phone"),
        ("shoes on a counter", (0, 0, 0), (0.4, 0.3, 0.3), None),
        # It speaks of the phone, in one of its words.
        ("a phone on a counter", (0, 0, 0), (0.9, 0.05, 0.05), None),
        ("two phones on a counter", (0, 0, 0), (0.9, 0.05, 0.05), None),
        # It speaks of what the names give a tenth of the phone's probability, and of less.
        ("a tabby on a counter", (0, 0, 0), (0.875, 0.025, 0.1), None),
        ("a tabby on a counter", (0, 0, 0), (0.9, 0.05, 0.05), "a rotary phone"),
        # The classes vouch for the cup, but not for the cup and the cat.
        ("a cup on a counter", (0, 0.75, 0), (0.9, 0.05, 0.05), None),
        ("a cup on a counter", (0, 0.5, 0), (0.9, 0.05, 0.05), "a rotary phone"),
        ("a cat in a cup", (0.5, 0.75, 0), (0.95, 0.05, 0), "a rotary phone"),
    ],
)
def test_when_a_name_is_said_instead(text, classes, names, expected):
    assert instead(text, classes, names) == expected


def test_without_names_or_confidence():
    assert namer(names=()).name_instead(caption("shoes"), scores(0, 0, 0), scores()) is None
    named = namer(confidence=None).name_instead(
        caption("shoes"), scores(0, 0, 0), scores(0.95, 0, 0)
    )
    assert named.confidence is None and not named.unsure


@pytest.mark.parametrize(
    "text, classes, expected",
    [
        ("a woman on a couch", (0.5, 0.96, 0.97), "a woman on a couch with a laptop"),
        ("a woman with a laptop", (0.5, 0.96, 0.97), "a woman with a laptop and a cup"),
        ("a kitten on a couch", (0.99, 0.9, 0.9), "a kitten on a couch"),
    ],
)
def test_the_likeliest_class_that_is_not_named_is_added(text, classes, expected):
    said = namer().with_certain_class(caption(text), scores(*classes))
    assert said.text == expected and said.words == tuple(expected.split())
    assert said.log_probability == -7.0


@pytest.mark.parametrize(
    "tags, expected",
    [
        ((0.6, 0.6, 0.6), "a man and a girl"),
        ((0.4, 0.6, 0.6), "a person and a girl"),
        ((0.4, 0.4, 0.4), "a person and a child"),
    ],
)
def test_people_of_a_doubtful_sex_get_general_words(tags, expected):
    metadata = Metadata("x", tags=("man", "woman", "girl"), naming=Naming(doubt=0.5))
    people = Namer(metadata, (), (), index_phrases((), ()))
    said = people.with_general_words(caption("a man and a girl"), scores(*tags))
    assert said.text == expected and said.words == tuple(expected.split())


@pytest.mark.parametrize(
    "name, expected",
    [
        ("tripod", "a tripod"),
        ("apron", "an apron"),
        ("Egyptian cat", "an Egyptian cat"),
        ("hourglass", "an hourglass"),
        ("unicycle", "a unicycle"),
        ("one-piece swimsuit", "a one-piece swimsuit"),
        ("jeans", "some jeans"),
        ("school bus", "a school bus"),
        ("beer glass", "a beer glass"),
        ("chest of drawers", "a chest of drawers"),
        ("Great Pyrenees", "a Great Pyrenees"),
        ("fast food", "some fast food"),
        ("drilling machine (tool)", "a drilling machine"),
    ],
)
def test_a_name_gets_its_article(name, expected):
    assert name_phrase(name) == expected


class NamedModel(StandInModel):
    """Says "a cat with green eyes" of what its names know as a rotary phone."""

    names = NAMES

    def __init__(self, class_scores, **changes):
        changes = {"object_words": (("cat",), ("dog",)), "naming": NAMING} | changes
        self.metadata = Metadata(**(vars(StandInModel.metadata) | changes))
        self._class_scores = scores(*class_scores)

    def classify(self, features, word_evidence):
        return self._class_scores

    def name_scores(self, features):
        return scores(0.9, 0.05, 0.05)


GREY = np.random.default_rng(1).integers(0, 255, (8, 8, 3), np.uint8)


def said(*class_scores, **changes):
    return Recognizer(NamedModel(class_scores, **changes))(GREY).caption


def test_a_recognizer_says_what_is_certain():
    assert said(0.2, 0.1).text == "a rotary phone"
    assert said(0.97, 0.1).text == "a cat with green eyes"
    assert said(0.97, 0.96).text == "a cat with green eyes and a dog"
    assert said(0.2, 0.1, naming=None).text == "a cat with green eyes"
    # Without words for the classes, nothing tells what a caption is worth.
    assert said(0.2, 0.1, object_words=()).text == "a cat with green eyes"


def test_a_caption_that_names_nothing_known_is_unsure():
    confidence = Confidence(bias=5.0, threshold=0.5)
    nothing = said(0.5, 0.1, naming=None, confidence=confidence, object_words=(("mug",), ("dog",)))
    assert nothing.confidence == pytest.approx(0.499) and nothing.unsure
    assert not said(0.5, 0.1, naming=None, confidence=confidence).unsure
