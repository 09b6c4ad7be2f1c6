"""Which objects a caption names, by hand."""

import pytest

from picaption.device.bundle.object_words import index_phrases, named_classes
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.models.evaluation.object_hallucination import (
    SYNONYMS,
    absent_objects,
    caption_phrases,
    chair_figures,
    chair_mentions,
    chair_phrases,
    clean_captions,
    hallucination_figures,
    named_objects,
    object_mentions,
    object_phrases,
    plural,
    read_chair_synonyms,
)

COCO = frozenset((*SYNONYMS, "zebra", "elephant", "giraffe", "bench", "pizza", "sink"))
CHAIR = ("CHAIRs", "CHAIRi", "object_recall", "object_recall_labels")
OWN_WORDS = tuple(f"{name}_own_words" for name in CHAIR)


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


def test_a_bundle_lists_the_phrases_that_its_vocabulary_has():
    words = "a man men child fire hydrant hydrants dogs hot train tracks teddy puppy dog-like"
    vocabulary = Vocabulary((*SPECIAL_WORDS, *words.split()))
    labels = ("dog", "person", "fire hydrant", "hot dog", "train", "teddy bear", "golf_ball")
    object_words, other_things = caption_phrases(labels, vocabulary)
    assert object_words == (
        ("dog-like", "dogs", "puppy"),
        ("child", "man", "men"),
        ("fire hydrant", "fire hydrants", "hydrant", "hydrants"),
        ("hot dogs",),
        ("train",),
        ("teddy",),
        (),
    )
    assert other_things == ("train tracks",)
    phrases = index_phrases(object_words, other_things)
    assert named_classes(("men", "hot", "dogs", "train", "tracks"), phrases) == (1, 3)


def test_only_the_labels_that_are_asked_for_are_named():
    phrases = object_phrases({"person", "woman", "golf_ball"})
    assert named_objects("A woman sees a dog", phrases) == {"person", "woman"}
    assert named_objects("golf balls", phrases) == {"golf_ball"}
    assert named_objects("a woman", object_phrases(())) == set()


def test_a_label_is_there_as_often_as_it_is_mentioned():
    caption = "A man, a woman and their dogs"
    assert object_mentions(caption, object_phrases(COCO)) == ["person", "person", "dog"]
    assert object_mentions(caption, object_phrases({"person", "woman"})) == [
        "person",
        "person",
        "woman",
    ]


def test_chairs_list_has_cocos_classes():
    synonyms = read_chair_synonyms()
    assert len(synonyms) == 80 and set(SYNONYMS) <= set(synonyms)
    assert synonyms["motorcycle"] == (
        "motorcycle",
        "scooter",
        "motor bike",
        "motor cycle",
        "motorbike",
        "scooter",
        "moped",
    )
    assert synonyms["cow"][-1] == "bison" and synonyms["toothbrush"] == ("toothbrush",)
    names = [name for words in synonyms.values() for name in set(words)]
    assert len(names) == len(set(names)) and "" not in names


@pytest.mark.parametrize(
    "caption, mentions",
    [
        ("Two men, a WOMAN and three puppies.", ["person", "person", "dog"]),
        ("thieves and grandchildren", ["person", "person"]),
        ("geese on benches near buses", ["bird", "bench", "bus"]),
        ("motor bikes", ["motorcycle"]),
        ("a bike and a motorcycle", ["bicycle", "motorcycle"]),
        ("a hot dog, two hot dogs", ["hot dog", "hot dog"]),
        ("a dog is hot", ["dog"]),
        ("wine glasses and a glass", ["wine glass"]),
        ("a street light", ["traffic light"]),
        ("home plate", []),
        ("the train is on the train tracks", ["train"]),
        ("a toilet seat", ["toilet"]),
        ("the seats of the toilets", ["toilet"]),
        ("a seat", ["chair"]),
        ("a baby elephant and an adult zebra", ["elephant", "zebra"]),
        ("a baby animal and a bear cub", ["bear"]),
        ("a baby sees an adult", ["person", "person"]),
        ("a passenger jet, a passenger train", ["airplane", "train"]),
        ("a passenger bus", ["person", "bus"]),
        ("a bow tie", ["tie"]),
        ("a dining table", ["dining table"]),
        ("a man's orange shirt", ["person", "orange"]),
        ("an orange-and-white wall", []),
        ("", []),
    ],
)
def test_chairs_rules_by_hand(caption, mentions):
    assert chair_mentions(caption, chair_phrases()) == mentions


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


def test_chairs_figures_by_hand():
    captions = [
        # A reference names the frisbee, which has no label; a man and a boy are two mentions.
        "a man and a boy with a frisbee",
        # Both mentions of dogs are wrong; a reference names the table.
        "a dog and dogs on a table",
        "nothing at all",
        "a train on train tracks",
        # An image without labels: a bird is there.
        "a bird on a bench",
    ]
    labels = [("person", "dog"), ("hot dog",), ("cat",), ("train",), ()]
    references = [
        ["A puppy catches a frisbee.", "A dog."],
        ["Hot dogs on a table."],
        ["A cat on two beds.", "A cat."],
        [],
        ["Two geese."],
    ]
    classes = ("bed", "bench", "bird", "cat", "dining table", "dog", "frisbee", "hot dog")
    classes += ("person", "train")
    # Two of five captions; two dogs and a bench of 3 + 3 + 0 + 1 + 2 mentions. Named are person and
    # frisbee of three objects, the table of two, none of cat and bed, the train, and the bird; of
    # the five labels person and train.
    assert chair_figures(captions, labels, classes, references) == {
        "CHAIRs": 40.0,
        "CHAIRi": 33.33,
        "object_recall": 55.56,
        "object_recall_labels": 40.0,
        "CHAIRs_own_words": 40.0,
        "CHAIRi_own_words": 33.33,
        "object_recall_own_words": 55.56,
        "object_recall_labels_own_words": 40.0,
    }
    # Without a class for it, none is absent by our own words; CHAIR's list always has dogs.
    figures = chair_figures(["a man and his dog"], [("person",)], ("person",), [[]])
    assert [figures[name] for name in CHAIR] == [100.0, 50.0, 100.0, 100.0]
    assert [figures[name] for name in OWN_WORDS] == [0.0, 0.0, 100.0, 100.0]
    nothing = dict.fromkeys((*CHAIR, *OWN_WORDS))
    assert chair_figures([], [], ("dog",), []) == nothing
    figures = chair_figures(["nothing"], [()], ("dog",), [["at all"]])
    assert figures == nothing | {"CHAIRs": 0.0, "CHAIRs_own_words": 0.0}


def test_clean_captions_by_hand():
    captions = ["a man and his puppy", "a surfer with a dog", "a boat", "nothing"]
    labels = [("person",), ("person", "dog"), (), ("cat",)]
    references = [["Someone walks a dog."], [], ["A ship at sea."], []]
    classes = ("boat", "cat", "dog", "person")
    assert clean_captions(captions, labels, classes, references) == [True] * 4
    assert clean_captions(captions, labels, classes, [[]] * 4) == [False, True, False, True]
    # Without one of CHAIR's classes our own words count.
    pumps = clean_captions(["a gas pump"] * 2, [("gas pump",), ()], ("gas pump",), [[], []])
    assert pumps == [True, False]


def test_absent_objects_are_those_that_neither_labels_nor_people_name():
    captions = ["two dogs and a dog on a couch with a cat", "a man", "nothing"]
    labels = [("dog",), (), ("cat",)]
    references = [["A sofa.", "An animal."], [], ["A cat."]]
    classes = ("cat", "couch", "dog", "person")
    assert absent_objects(captions, labels, classes, references) == [["cat"], ["person"], []]
    # CHAIR's list has none of these classes: ours counts.
    captions = ["a church and a gas pump"]
    assert absent_objects(captions, [("church",)], ("church", "gas pump"), [[]]) == [["gas pump"]]
    assert absent_objects([], [], ("dog",), []) == []


def test_the_lists_differ_and_chairs_needs_one_of_its_classes():
    captions = ["a surfer on the grass"]
    figures = chair_figures(captions, [("dog",)], ("dog", "person"), [["A dog."]])
    # Surfers are none of CHAIR's persons.
    assert [figures[name] for name in CHAIR] == [0.0, None, 0.0, 0.0]
    assert [figures[name] for name in OWN_WORDS] == [100.0, 100.0, 0.0, 0.0]
    captions = ["a church and a gas pump"]
    references = [["A gas pump by a road."]]
    figures = chair_figures(captions, [("gas pump",)], ("church", "gas pump"), references)
    assert tuple(figures) == OWN_WORDS
    assert list(figures.values()) == [100.0, 50.0, 100.0, 100.0]
    # Labels that CHAIR's list does not have are no objects of its figures.
    captions = ["a dog and a gas pump"]
    labels = [("dog", "gas pump", "church")]
    figures = chair_figures(captions, labels, ("church", "dog", "gas pump"), [[]])
    assert [figures[name] for name in CHAIR] == [0.0, 0.0, 100.0, 100.0]
    assert [figures[name] for name in OWN_WORDS] == [0.0, 0.0, 66.67, 66.67]
