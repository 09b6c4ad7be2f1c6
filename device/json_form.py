"""Dataclasses as values that JSON has a form for."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any


def to_json_form(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with dataclasses as dicts and tuples as lists, at any depth.

    Args:
        value: A dataclass, or a dict, list or tuple of such, or a plain value.
        names: What fields are called in JSON, where it is not their own name.
    """
    if is_dataclass(value):
        return {
            names.get(field.name, field.name): to_json_form(getattr(value, field.name), names)
            for field in fields(value)
        }
    if isinstance(value, Mapping):
        return {name: to_json_form(entry, names) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_form(entry, names) for entry in value]
    return value
