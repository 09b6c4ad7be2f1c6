"""Answers in words, by scores that are known."""

import pytest

from picaption.device.bundle.object_words import Phrases
from picaption.device.outputs.web.api.child.answers import (
    answer_in_words,
    description_json,
    named_objects,
)
from picaption.device.outputs.web.api.child.observer import View
from picaption.device.recognition.result import Score
from tests.device.fakes.standins import recognition, silent

PHRASES = Phrases(
    {
        ("cat",): ("cat",),
        ("cats",): ("cat",),
        ("dog",): ("dog",),
        ("hot", "dog"): (),
        ("table",): ("table",),
        ("dining", "table"): ("table",),
        ("person",): ("person",),
    }
)
SEEN = "A cat sits on a table. Objects: cat (97 %), table (63 %). Tags: cat, eyes."


def view(*recognitions, **changes):
    recognitions = recognitions or (recognition("a cat sits on a table", confidence=0.8),)
    values = {
        "scores": {"cat": 0.97, "table": 0.63, "person": 0.3, "dog": 0.001},
        "objects": (Score("cat", 0.97), Score("table", 0.63)),
        "names": (),
        "tags": (Score("cat", 0.8), Score("eyes", 0.8)),
        "threshold": 0.5,
    }
    return View(recognitions, **(values | changes))


@pytest.mark.parametrize(
    "prompt, answer",
    [
        ("", SEEN),
        ("Describe this picture.", SEEN),
        ("Why is the sky blue?", SEEN),
        # A sentence about an object asks for nothing.
        ("Focus on the dog. What does the cat do?", SEEN),
        ("Is there a dog?", "No: dog (1 %). A cat sits on a table."),
        ("is there a CAT in the image?", "Yes: cat (97 %). A cat sits on a table."),
        ("Do you see any cats?", "Yes: cat (97 %). A cat sits on a table."),
        ("Does the picture show a person?", "Unsure: person (30 %). A cat sits on a table."),
        ("Is a dog visible?", "No: dog (1 %). A cat sits on a table."),
        (
            "Image 1:\nAre there a cat, a dog or a dining table?",
            "Yes: cat (97 %). No: dog (1 %). Yes: table (63 %). A cat sits on a table.",
        ),
        (
            "Is there a hot dog?",
            "Unsure: the question names nothing that is known by name. A cat sits on a table.",
        ),
        ("Create a caption with exactly one sentence.", "A cat sits on a table."),
    ],
)
def test_prompts_are_answered_by_the_scores(prompt, answer):
    assert answer_in_words(prompt, view(), PHRASES) == answer


def test_what_is_too_dark_is_told_whatever_is_asked():
    dark = view(silent(), scores={}, objects=(), tags=())
    assert answer_in_words("Is there a cat?", dark, PHRASES) == "Too dark to tell."
    form = description_json("Is there a cat?", dark, PHRASES)
    assert form["silence"] == "too dark to tell" and form["caption"] is None
    assert form["answers"] == [{"object": "cat", "answer": "unsure", "confidence": None}]


def test_an_uncertain_caption_is_hedged():
    unsure = view(recognition("a cat on a sofa", confidence=0.2, doubted=True), objects=())
    assert answer_in_words("", unsure, PHRASES) == "Perhaps a cat on a sofa. Tags: cat, eyes."
    assert description_json("", unsure, PHRASES)["unsure"] is True


def test_where_no_class_is_certain_a_name_may_be():
    named = view(objects=(), names=(Score("tabby cat", 0.9), Score("animal", 0.999)))
    assert "Shows: tabby cat (90 %)." in answer_in_words("", named, PHRASES)
    assert "animal (99 %)" in answer_in_words("", view(objects=(Score("animal", 1.0),)), PHRASES)


def test_without_anything_certain_that_is_said():
    nothing = view(recognition(None, (), ()), objects=(), tags=())
    assert answer_in_words("", nothing, PHRASES) == "Nothing that is certain."


def test_json_has_what_is_certain():
    form = description_json("Is there a dog?", view(names=(Score("tabby cat", 0.9),)), PHRASES)
    assert form == {
        "caption": "A cat sits on a table.",
        "confidence": 0.8,
        "unsure": False,
        "labels": [
            {"name": "cat", "confidence": 0.97},
            {"name": "table", "confidence": 0.63},
            {"name": "tabby cat", "confidence": 0.9},
        ],
        "tags": ["cat", "eyes"],
        "silence": None,
        "answers": [{"object": "dog", "answer": "no", "confidence": 0.001}],
    }


def test_the_longest_phrase_names_an_object():
    assert named_objects("A hot dog, cats & a dining-table", PHRASES) == ["cat", "table"]


def test_a_long_prompt_takes_no_long_time():
    assert answer_in_words("is the " * 100_000 + "?", view(), PHRASES) == SEEN
