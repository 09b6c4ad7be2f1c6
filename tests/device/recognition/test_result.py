"""The JSON form of a recognition, against one written by hand and the published schema."""

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest

from picaption.device.recognition.result import Caption, Recognition, Score

REFERENCE = Path(__file__).parents[3] / "docs/reference"
SCHEMA = json.loads((REFERENCE / "recognition.schema.json").read_text(encoding="utf-8"))
RECOGNITION = Recognition(
    caption=Caption("the cat's bowl", ("the", "cat", "'s", "bowl"), -3.14159265),
    tags=(Score("cat", 0.123456),),
    classes=(Score("cat", 0.98765), Score("bowl", 0.5)),
    timings={"encode": 1.23456, "total": 2.0},
    frame=7,
    captured_at=1700000000.12345,
    unsure=True,
    scene=2,
    camera={"Lux": 40.5},
    names=(Score("tabby cat", 0.66666),),
)
SILENT = Recognition(None, (), (), {"total": 0.5}, unsure=True, silence="too dark to tell")


def test_the_json_form_rounds_what_it_holds():
    form = RECOGNITION.to_json()
    assert form == {
        "version": 1,
        "frame": 7,
        "captured_at": 1700000000.123,
        "caption": {
            "text": "the cat's bowl",
            "words": ["the", "cat", "'s", "bowl"],
            "log_probability": -3.1416,
            "confidence": None,
            "unsure": False,
        },
        "tags": [{"name": "cat", "score": 0.1235}],
        "classes": [{"name": "cat", "score": 0.9877}, {"name": "bowl", "score": 0.5}],
        "unsure": True,
        "names": [{"name": "tabby cat", "score": 0.6667}],
        "scene": 2,
        "camera": {"Lux": 40.5},
        "silence": None,
        "timings_ms": {"encode": 1.235, "total": 2.0},
    }
    jsonschema.validate(form, SCHEMA)


def test_a_confidence_is_rounded_and_people_read_the_doubt():
    caption = Caption("a dog", ("a", "dog"), -1.0, 0.123456, unsure=True)
    form = dataclasses.replace(RECOGNITION, caption=caption).to_json()
    assert form["caption"]["confidence"] == 0.1235 and form["caption"]["unsure"] is True
    assert form["caption"]["text"] == "a dog" and caption.hedged == "perhaps a dog"
    jsonschema.validate(form, SCHEMA)


def test_without_a_captioner_there_is_no_caption():
    form = dataclasses.replace(RECOGNITION, caption=None, tags=()).to_json()
    assert form["caption"] is None and form["tags"] == []
    jsonschema.validate(form, SCHEMA)


def test_where_there_is_nothing_to_see_the_json_form_says_why():
    form = SILENT.to_json()
    assert form["silence"] == "too dark to tell"
    assert (form["caption"], form["tags"], form["classes"]) == (None, [], [])
    jsonschema.validate(form, SCHEMA)


def test_the_text_is_the_captions_or_why_there_is_none():
    assert RECOGNITION.text == "the cat's bowl"
    assert SILENT.text == "too dark to tell"
    assert dataclasses.replace(RECOGNITION, caption=None).text is None


def test_a_recognition_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        RECOGNITION.frame = 8


def test_the_classes_are_doubted_one_by_one_and_stand_by_score():
    recognition = dataclasses.replace(
        RECOGNITION,
        classes=(Score("cat", 0.4), Score("bowl", 0.45)),
        certain=(True, False),
        unsure=False,
    )
    assert recognition.doubted_classes == ((Score("bowl", 0.45), True), (Score("cat", 0.4), False))
    form = dataclasses.replace(recognition, threshold=0.5, file="a.mp4", seconds=1.23456).to_json()
    assert form["classes"][1] == {"name": "bowl", "score": 0.45, "certain": False}
    assert (form["threshold"], form["file"], form["seconds"]) == (0.5, "a.mp4", 1.235)
    jsonschema.validate(form, SCHEMA)
