"""Which objects a caption names, by hand."""

import pytest

from picaption.models.evaluation.object_hallucination import (
    SYNONYMS,
    hallucination_figures,
    named_objects,
    object_phrases,
    plural,
)

COCO = frozenset((*SYNONYMS, "zebra", "elephant", "giraffe", "bench", "pizza", "sink"))


@pytest.mark.parametrize(
    "word, expected",
    [
        ("dog", "dogs"),
        ("bus", "buses"),
        ("couch", "couches"),
        ("puppy", "puppies"),
        ("boy", "boys"),
        ("box", "boxes"),
        ("woman", "women"),
        ("child", "children"),
        ("knife", "knives"),
        ("giraffe", "giraffes"),
        ("mouse", "mice"),
        ("human", "humans"),
        ("y", "ys"),
    ],
)
def test_plural(word, expected):
    assert plural(word) == expected


@pytest.mark.parametrize(
    "caption, named",
    [
        ("A zebra stands.", {"zebra"}),
        ("Two ZEBRAS, standing", {"zebra"}),
        ("zebra-like", {"zebra"}),
        ("a zebroid", set()),
        ("", set()),
        ("two men and a lady on motorbikes", {"person", "motorcycle"}),
        ("Children", {"person"}),
        ("nothing", set()),
        ("a hot dog on a plate", {"hot dog"}),
        ("a dog is hot", {"dog"}),
        ("hot-dogs", {"hot dog"}),
        ("a teddy bear", {"teddy bear"}),
        ("bears", {"bear"}),
        ("a dirt bike", {"motorcycle"}),
        ("a bike", {"bicycle"}),
        ("a couple of dogs", {"dog"}),
        ("a couple on a bench", {"person", "bench"}),
        ("a baby elephant", {"elephant"}),
        ("a baby sees an elephant", {"person", "elephant"}),
        ("the train tracks", set()),
        ("a train", {"train"}),
        ("a man's tie", {"person", "tie"}),
        ("glasses of wine", set()),
        ("a glass of wine", {"wine glass"}),
    ],
)
def test_a_caption_names_what_its_words_name(caption, named):
    assert named_objects(caption, object_phrases(COCO)) == named


def test_only_the_labels_that_are_asked_for_are_named():
    phrases = object_phrases({"person", "woman", "golf_ball"})
    assert named_objects("A woman sees a dog", phrases) == {"person", "woman"}
    assert named_objects("golf balls", phrases) == {"golf_ball"}
    assert named_objects("a woman", object_phrases(())) == set()


def test_the_share_that_names_an_object_by_hand():
    captions = ["a man runs", "a man and his dog", "a man runs", "a cat sleeps", "a man runs"]
    labels = [("person", "dog"), ("person", "dog"), ("person",), ("dog",), ()]
    # Three of the four images with labels are right; of the three with another label than person,
    # the second. A cat is named once.
    assert hallucination_figures(captions, labels, ("cat", "dog", "person")) == {
        "labelled_pictures": 4,
        "names_an_object": 75.0,
        "names_an_object_but_person": 33.33,
        "names_an_absent_object": 25.0,
    }
    figures = hallucination_figures(["a man and his dog"], [("person",)], ("dog", "person"))
    assert (figures["names_an_object_but_person"], figures["names_an_absent_object"]) == (
        None,
        100.0,
    )
    # Without a class for it, none is absent.
    assert (
        hallucination_figures(["a man and his dog"], [("person",)], ("person",))[
            "names_an_absent_object"
        ]
        == 0.0
    )
