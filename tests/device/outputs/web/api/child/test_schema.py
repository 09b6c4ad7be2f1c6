"""Forms that clients ask for, filled with what is certain, or refused."""

import jsonschema
import pytest

from picaption.device.outputs.web.api.child.schema import fill_schema
from picaption.device.outputs.web.api.exchange import ApiError
from picaption.device.recognition.result import Score
from tests.device.outputs.web.api.child.test_answers import PHRASES, SEEN, view

TEXT = {"type": "string"}
NUMBER = {"type": "number"}
BOOLEAN = {"type": "boolean"}


def form(required=None, **properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties) if required is None else required,
    }


@pytest.mark.parametrize(
    "schema, expected",
    [
        (form(caption=TEXT), {"caption": "A cat sits on a table."}),
        (form(description=TEXT, confidence=NUMBER), {"description": SEEN, "confidence": 0.8}),
        (
            form(labels={"type": "array", "items": form(name=TEXT, confidence=NUMBER)}),
            {
                "labels": [
                    {"name": "cat", "confidence": 0.97},
                    {"name": "table", "confidence": 0.63},
                ]
            },
        ),
        (form(objects={"type": "array", "maxItems": 1, "items": TEXT}), {"objects": ["cat"]}),
        (form(tags={"type": "array", "items": TEXT}), {"tags": ["cat", "table", "eyes"]}),
        # Only what is certain is true; a dog is not there, a person is uncertain.
        (
            form(hasCat=BOOLEAN, is_dog_visible=BOOLEAN, person_present=BOOLEAN),
            {"hasCat": True, "is_dog_visible": False, "person_present": False},
        ),
        (form(dog={"enum": ["yes", "no", "unsure"]}), {"dog": "no"}),
        (form(person={"enum": ["yes", "no", "unsure"]}), {"person": "unsure"}),
        (form(kind={"enum": ["dog", "cat", "other"]}), {"kind": "cat"}),
        (form(kind={"enum": ["bus", "unknown"]}), {"kind": "unknown"}),
        # What picaption does not know is left out, where it may be.
        (form(required=[], mood=TEXT, caption=TEXT), {"caption": "A cat sits on a table."}),
        (form(mood={"type": ["string", "null"]}), {"mood": None}),
        (form(mood={"anyOf": [{"type": "null"}]}), {"mood": None}),
        ({"type": "array", "items": TEXT}, ["cat", "table"]),
        (TEXT, SEEN),
        (
            {"$ref": "#/$defs/Answer", "$defs": {"Answer": form(title=TEXT)}},
            {"title": "A cat sits on a table."},
        ),
        (form(version={"const": 3}), {"version": 3}),
    ],
)
def test_a_form_is_filled_by_its_names(schema, expected):
    filled = fill_schema(schema, view(), PHRASES)
    assert filled == expected
    jsonschema.validate(filled, schema)


@pytest.mark.parametrize(
    "schema, message",
    [
        (form(mood=TEXT), "requires 'mood', which picaption does not know"),
        (form(people={"type": "integer"}), "'people'"),
        (form(potential_threat_level={"type": "integer"}), "'potential_threat_level'"),
        (form(cat_or_dog=BOOLEAN), "'cat_or_dog'"),
        (form(required=["mood"]), "'mood'"),
        (form(steps={"type": "array", "items": TEXT}), "'steps'"),
        ({"$ref": "#/nowhere"}, "no '#/nowhere'"),
        ({"$ref": "https://elsewhere.example/schema"}, "send all of it"),
        ({"$ref": "#/a", "a": {"$ref": "#/a"}}, "refers to itself"),
        ({"type": "object", "properties": []}, "properties are not an object"),
        ({"type": "object", "required": [["caption"]]}, "required is not a list of names"),
        (form(**{f"p{index}": TEXT for index in range(201)}), "more than 200 properties"),
    ],
)
def test_what_is_not_known_is_refused(schema, message):
    with pytest.raises(ApiError, match=message) as error:
        fill_schema(schema, view(), PHRASES)
    assert error.value.status == 400 and "\n" not in str(error.value)


def test_a_deep_form_is_refused():
    schema = TEXT
    for _ in range(50):
        schema = form(description=schema)
    with pytest.raises(ApiError, match="deeper than 8 levels"):
        fill_schema(schema, view(), PHRASES)


def test_a_score_in_a_list_is_its_entrys():
    schema = {"type": "array", "items": form(label=TEXT, score=NUMBER, topicality=NUMBER)}
    filled = fill_schema(schema, view(objects=(Score("cat", 0.75),)), PHRASES)
    assert filled == [{"label": "cat", "score": 0.75, "topicality": 0.75}]
