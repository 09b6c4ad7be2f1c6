"""Fills the form that a client asks for, a JSON schema, with what a picture shows.

A property is filled by its name: `caption` with the sentence, `labels` with what is certain,
`person_present` with whether that is. What picaption cannot know is left out, and refused where the
client requires it: nothing is made up.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from .....bundle.object_words import match_phrases
from .....recognition.result import Score
from ..exchange import ApiError
from .answers import certain_labels, describe
from .observer import YES, NamePhrases, View

MAX_DEPTH = 8
MAX_PROPERTIES = 200

_CAPTION_NAMES = ("caption", "title", "headline", "sentence", "alt", "alt_text", "short_summary")
_DESCRIPTION_NAMES = (
    *("description", "scene", "summary", "text", "answer", "response", "content", "result"),
    *("response_text", "analysis", "observation"),
)
_LIST_NAMES = (
    *("labels", "objects", "classes", "items", "categories", "detections", "detected_objects"),
    *("tags", "keywords"),
)
_SCORE_NAMES = ("confidence", "score", "probability", "certainty", "topicality", "relevance")
_LABEL_NAMES = ("name", "label", "object", "class", "tag", "category", "type")


class _UnknownError(Exception):
    """A part of a schema that picaption cannot fill; its text is the part's name."""


@dataclass(frozen=True)
class _Context:
    """What a schema is filled with.

    Attributes:
        root: The whole schema, in which references are.
        view: What the images show.
        phrases: What words name.
        label: The entry of a list that is being filled; None outside of lists.
    """

    root: Mapping[str, Any]
    view: View
    phrases: NamePhrases
    label: Score | None = None


def fill_schema(schema: Mapping[str, Any], view: View, phrases: NamePhrases) -> Any:
    """Return a value that fits a JSON schema.

    Args:
        schema: The schema; objects, lists, texts, numbers, booleans, enums and references.
        view: What the images show.
        phrases: What words name.

    Raises:
        ApiError: It requires what a picture does not tell, or is no schema.
    """
    try:
        return _fill(schema, "", _Context(schema, view, phrases), 0)
    except _UnknownError as error:
        known = ", ".join((_CAPTION_NAMES[0], _DESCRIPTION_NAMES[0], *_LIST_NAMES[:2], "tags"))
        raise ApiError(
            400,
            f"the schema requires {str(error) or 'a value'!r}, which picaption does not know; it "
            f"fills {known}, confidence, and booleans named after an object, as person_present",
        ) from None


def _fill(schema: Any, name: str, context: _Context, depth: int) -> Any:
    schema = _resolve(schema, context.root, depth)
    if "const" in schema:
        return schema["const"]
    if isinstance(schema.get("enum"), list):
        return _choose(schema["enum"], name, context)
    types = _types(schema)
    unknown = _UnknownError(name)
    for value_type in types:
        try:
            return _fill_type(value_type, schema, name, context, depth)
        except _UnknownError as error:
            unknown = error
    if "null" in types:
        return None
    raise unknown


def _fill_type(
    value_type: str, schema: Mapping[str, Any], name: str, context: _Context, depth: int
) -> Any:
    if value_type == "object":
        return _fill_object(schema, context, depth)
    if value_type == "array":
        return _fill_list(schema, name, context, depth)
    if value_type == "string":
        return _text(name, context)
    if value_type == "number":
        return _number(name, context)
    if value_type == "boolean":
        return _boolean(name, context)
    raise _UnknownError(name)


def _fill_object(schema: Mapping[str, Any], context: _Context, depth: int) -> dict[str, Any]:
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    are_names = isinstance(required, list) and all(isinstance(name, str) for name in required)
    if not isinstance(properties, dict) or not are_names:
        raise ApiError(
            400, "the schema's properties are not an object, or required is not a list of names"
        )
    if len(properties) > MAX_PROPERTIES:
        raise ApiError(400, f"the schema has an object of more than {MAX_PROPERTIES} properties")
    values = {}
    for name, part in properties.items():
        try:
            values[name] = _fill(part, name, context, depth + 1)
        except _UnknownError:
            if name in required:
                raise
    for name in required:
        if name not in values:
            raise _UnknownError(name)
    return values


def _fill_list(schema: Mapping[str, Any], name: str, context: _Context, depth: int) -> list[Any]:
    if name and _snake(name) not in _LIST_NAMES:
        raise _UnknownError(name)
    labels = certain_labels(context.view)
    if _snake(name) in ("tags", "keywords"):
        labels = tuple({label.name: label for label in (*labels, *context.view.tags)}.values())
    most = schema.get("maxItems")
    if isinstance(most, int) and most >= 0:
        labels = labels[:most]
    items = schema.get("items", {"type": "string"})
    return [_fill(items, "name", replace(context, label=label), depth + 1) for label in labels]


def _text(name: str, context: _Context) -> str:
    name = _snake(name)
    if context.label is not None and name in _LABEL_NAMES:
        return context.label.name
    if context.view.silence is not None and name in (*_CAPTION_NAMES, *_DESCRIPTION_NAMES):
        return context.view.silence
    if name in _CAPTION_NAMES and context.view.sentences:
        return " ".join(context.view.sentences)
    if name in (*_CAPTION_NAMES, *_DESCRIPTION_NAMES, ""):
        return describe(context.view)
    raise _UnknownError(name)


def _number(name: str, context: _Context) -> float:
    if _snake(name) not in _SCORE_NAMES:
        raise _UnknownError(name)
    if context.label is not None:
        return round(context.label.score, 4)
    confidence = context.view.confidence
    if confidence is None:
        confidence = max((label.score for label in certain_labels(context.view)), default=0.0)
    return round(confidence, 4)


def _boolean(name: str, context: _Context) -> bool:
    """Return whether the only object that a property's name names is certain."""
    if _snake(name) in ("unsure", "uncertain"):
        return context.view.is_unsure
    words = _snake(name).split("_")
    named = [label for labels in match_phrases(words, context.phrases) for label in labels]
    if len(set(named)) != 1:
        raise _UnknownError(name)
    return context.view.verdict(named[0]) == YES


def _choose(values: list[Any], name: str, context: _Context) -> Any:
    """Return the value of an enum that names what is certain, or the verdict on what it asks."""
    words = _snake(name).split("_")
    named = [label for labels in match_phrases(words, context.phrases) for label in labels]
    for label in named:
        verdict = context.view.verdict(label)
        if verdict in values:
            return verdict
    labels = certain_labels(context.view)
    if context.label is not None:
        labels = (context.label, *labels)
    for candidate in labels:
        if candidate.name in values:
            return candidate.name
    for value in ("unsure", "unknown", "uncertain", "none", "other", None):
        if value in values:
            return value
    raise _UnknownError(name)


def _resolve(schema: Any, root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    """Return a schema itself, in place of a reference or of alternatives."""
    for _ in range(MAX_DEPTH):
        if not isinstance(schema, dict) or depth > MAX_DEPTH:
            raise ApiError(400, f"the schema is none, or deeper than {MAX_DEPTH} levels")
        if isinstance(schema.get("$ref"), str):
            schema = _follow(schema["$ref"], root)
            continue
        alternatives = schema.get("anyOf", schema.get("oneOf"))
        if not isinstance(alternatives, list) or not alternatives:
            return schema
        filled = [part for part in alternatives if part != {"type": "null"}]
        schema = (filled or alternatives)[0]
    raise ApiError(400, "the schema refers to itself")


def _follow(reference: str, root: Mapping[str, Any]) -> Any:
    if not reference.startswith("#/"):
        raise ApiError(400, "the schema refers to another one; send all of it")
    part: Any = root
    for step in reference.removeprefix("#/").split("/"):
        if not isinstance(part, dict) or step not in part:
            raise ApiError(400, f"the schema has no {reference[:80]!r}")
        part = part[step]
    return part


def _types(schema: Mapping[str, Any]) -> list[str]:
    value_type = schema.get("type")
    if isinstance(value_type, list):
        return [entry for entry in value_type if isinstance(entry, str)]
    if isinstance(value_type, str):
        return [value_type]
    return ["object"] if "properties" in schema else ["string"]


def _snake(name: str) -> str:
    """Return a property's name in lower case, with underscores between its words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])|[- ]", "_", name).lower()
