"""JSON of requests: its values by name and type, and what is said of those that do not fit."""

from typing import Any, TypeVar

from .....parsing import MalformedError, parse_json
from ..exchange import ApiError

Value = TypeVar("Value")

_DESCRIPTIONS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    list: "a list",
    dict: "an object",
}


def parse_body(body: bytes) -> dict[str, Any]:
    """Return the object that a request's body holds.

    Raises:
        ApiError: It holds none.
    """
    try:
        value = parse_json(body)
    except MalformedError as error:
        where = "" if error.line is None else f" in line {error.line}"
        raise ApiError(400, f"the body is not JSON: {error}{where}") from None
    if not isinstance(value, dict):
        raise ApiError(400, "the body is not a JSON object")
    return value


def optional(values: dict[str, Any], name: str, value_type: type[Value], default: Value) -> Value:
    """Return a value of an object; `default` where it is missing or null.

    Raises:
        ApiError: It has another type.
    """
    value = values.get(name)
    if value is None:
        return default
    if not isinstance(value, value_type) or (value_type is int and isinstance(value, bool)):
        raise ApiError(400, f"{name} is not {_DESCRIPTIONS[value_type]}")
    return value


def required(values: dict[str, Any], name: str, value_type: type[Value]) -> Value:
    """Return a value of an object.

    Raises:
        ApiError: It is missing or null, or has another type.
    """
    if values.get(name) is None:
        raise ApiError(400, f"{name} is missing")
    return optional(values, name, value_type, value_type())


def objects(values: list[Any], name: str) -> list[dict[str, Any]]:
    """Return a list whose entries are objects.

    Raises:
        ApiError: One is none.
    """
    for value in values:
        if not isinstance(value, dict):
            raise ApiError(400, f"an entry of {name} is not an object")
    return values
