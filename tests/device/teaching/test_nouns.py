"""Which words captions have for taught classes: counted by hand, and taught."""

from dataclasses import replace

import pytest

from picaption.device import PicaptionError, Recognizer, default_bundle
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.names import NamedClass
from picaption.device.teaching.nouns import class_nouns, known_nouns, same_thing
from picaption.device.teaching.teach import teach


@pytest.fixture(scope="module")
def contents(bundle):
    """The small bundle, with words for its classes and one name."""
    small = read_bundle(bundle)
    words = (("cup", "cups", "spoon"), ("woman", "women"), ("cat",))[: len(small.labels)]
    metadata = replace(small.metadata, object_words=words)
    return replace(small, metadata=metadata, names=(NamedClass("n1", "coffee", ("coffee",), ()),))


def test_nouns_are_single_words_of_things_that_the_captioner_knows(contents):
    assert known_nouns(contents) == {"cup", "spoon", "woman", "cat", "coffee"} & {
        *(word for row in contents.metadata.object_words for word in row),
        "coffee",
    }


def test_the_same_thing_has_the_words_of_the_name_and_of_its_class(contents):
    assert same_thing(contents, "my_cup") == ["cup", "cups", "spoon"]
    assert same_thing(contents, "7") == []
    assert same_thing(contents, "Rex", "a brown, big cat") == ["rex", "brown"]
    assert same_thing(contents, "Rex", "a woman who is big") == ["rex", "woman", "women"]


def test_words_are_measured_on_captions(contents):
    def captions(**texts):
        return {label: [frozenset(text.split()) for text in rows] for label, rows in texts.items()}

    measured = captions(
        cup=["a spoon on a table", "a spoon", "a cup", "a table", "a spoon of coffee"],
        zarf=["a cup of coffee", "coffee", "a cup", "a table"],
        none=["a table", "a table"],
    )
    labels = ("cup", "none", "untold", "zarf")
    before = {"untold": ["cat"], "cup": ["cat"]}
    # A spoon is a cup here, and in more of its captions. Nobody knows what a zarf is.
    nouns = class_nouns(contents, labels, measured, {}, before)
    assert nouns == (("spoon", "cup"), (), ("cat",), ())
    descriptions = {"zarf": "a small cup for coffee, on a table", "none": "a cat"}
    nouns = class_nouns(contents, labels, measured, descriptions, before)
    assert nouns == (("spoon", "cup"), (), ("cat",), ("cup",))


def test_taught_classes_are_said(folder, photos, tmp_path):
    (folder / "cat").rename(folder / "our Tom")
    path = tmp_path / "mine.tflite"
    descriptions = {"our Tom": "a cat with stripes"}
    taught = teach(default_bundle(), folder, path, descriptions=descriptions, say=True)
    assert taught.nouns["our Tom"] == ("cat",)
    recognizer = Recognizer(path)
    text = recognizer(photos["cat"]).caption.text
    assert "our Tom" in text and "a our" not in text
    added = teach(path, folder, path, keep=True, say=True, descriptions=descriptions)
    assert teach(path, None, path, add=True, descriptions={"table": ""}).nouns == {
        **added.nouns,
        "table": (),
    }  # What was asked for once stays.
    teach(path, folder, path)
    assert "our Tom" not in Recognizer(path)(photos["cat"]).caption.text  # Off by default.


@pytest.mark.parametrize("nouns", [(("cat",),), ("cat",)])
def test_nouns_that_do_not_fit_are_refused(bundle, tmp_path, nouns):
    contents = read_bundle(bundle)
    metadata = replace(contents.metadata, class_nouns=nouns * (len(contents.labels) + 1))
    path = tmp_path / "bad.tflite"
    write_bundle(path, replace(contents, metadata=metadata))
    with pytest.raises(PicaptionError, match="it has nouns for|class_nouns are not lists"):
        Bundle(path, trusted=True)
