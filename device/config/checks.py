"""The rules that settings follow: each value by itself, and all together."""

import dataclasses
import math
import re
from collections.abc import Mapping
from typing import Any

import click

from ..addresses import STREAM_SCHEMES, check_address, scheme_of
from ..errors import PicaptionError
from .settings import Config, Event

#: The entries of an event in the file, and their types there.
EVENT_TYPES = {
    "word": str,
    "class": str,
    "caption": bool,
    "run": list,
    "post": str,
    "every": float,
}

_MIN_TOKEN_LENGTH = 16
_MAX_DIOPTRES = 100
_DESCRIPTIONS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list of texts",
}


def check_value(field: dataclasses.Field, value: Any, origin: str) -> Any:
    """Check the value of a setting.

    Args:
        field: The field of Config.
        value: What the file, the environment or the command line says.
        origin: Where it comes from; an error begins with it.

    Returns:
        The value, of the field's type.

    Raises:
        PicaptionError: It is not valid.
    """
    if field.type not in _DESCRIPTIONS:  # Events are checked already.
        return value
    if field.type is float and type(value) is int:
        value = float(value)
    is_finite = field.type is not float or type(value) is not float or math.isfinite(value)
    if type(value) is not field.type or not is_finite:
        description = _DESCRIPTIONS[field.type]
        shown = "" if field.metadata["secret"] else f" = {value!r}"
        raise PicaptionError(f"{origin}: {field.name}{shown} is not {description}")
    if field.metadata["click_type"] is None:
        return value
    try:
        return field.metadata["click_type"].convert(value, None, None)
    except click.BadParameter as error:
        raise PicaptionError(f"{origin}: {field.name}: {error.message}") from None


def check_config(config: Config, origins: Mapping[str, str]) -> None:
    """Check what the settings' types leave open, and the settings together.

    Args:
        config: The settings.
        origins: Where each of them comes from; an error begins with it.

    Raises:
        PicaptionError: A setting makes no sense by itself or beside the others.
    """

    def need(condition: bool, name: str, message: str) -> None:
        if not condition:
            raise PicaptionError(f"{origins[name]}: {message}")

    if scheme_of(config.source) in STREAM_SCHEMES:
        _check_address(config.source, origins["source"])
    need(
        _is_focus(config.focus),
        "focus",
        f"focus = {config.focus!r}: it is continuous, once, or dioptres from 0 to 100",
    )
    need(
        not config.token or len(config.token) >= _MIN_TOKEN_LENGTH,
        "token",
        "token: at least 16 characters, please",
    )
    need(
        not config.web or is_loopback(config.host) or bool(config.token),
        "host",
        f"host = {config.host!r} can be reached from the network: set a token too, from "
        "python3 -c 'import secrets; print(secrets.token_urlsafe())'",
    )
    need(
        not config.mqtt_password or bool(config.mqtt_user),
        "mqtt_password",
        "mqtt_password: set mqtt_user too",
    )
    for name in ("mqtt_topic", "mqtt_discovery"):
        topic = getattr(config, name)
        need(_is_topic(topic), name, f"{name} = {topic!r}: no topic that can be published to")
    need(bool(config.mqtt_topic), "mqtt_topic", "mqtt_topic: it is not empty")


def make_event(table: Any, origin: str) -> Event:
    """Return the Event that a TOML table describes.

    Args:
        table: The table, of any content.
        origin: Where it comes from; an error begins with it.

    Raises:
        PicaptionError: It describes none.
    """

    def need(condition: bool, message: str) -> None:
        if not condition:
            raise PicaptionError(f"{origin}: event: {message}")

    need(isinstance(table, dict), "write each one as a table [[event]]")
    values = {}
    for name, value in table.items():
        need(name in EVENT_TYPES, f"it has no entry {name!r}; there are: {', '.join(EVENT_TYPES)}")
        expected = EVENT_TYPES[name]
        if expected is float and type(value) is int:
            value = float(value)
        need(_is_of(expected, value), f"{name} = {value!r} is not {_DESCRIPTIONS[expected]}")
        values[name] = value
    if "class" in values:
        values["class_"] = values.pop("class")
    if "run" in values:
        values["run"] = tuple(values["run"])
    event = Event(**values)
    triggers = [bool(event.word), bool(event.class_), event.caption]
    need(sum(triggers) == 1, "give one of word, class and caption = true")
    need(bool(event.run) != bool(event.post), "give run or post")
    if event.post:
        need(
            scheme_of(event.post) in ("http", "https"),
            "post: it is an http:// or https:// address",
        )
        _check_address(event.post, f"{origin}: event: post")
    need(0 <= event.every < math.inf, f"every = {event.every} is not a number of seconds")
    return event


def is_loopback(host: str) -> bool:
    """Return whether `host` can be reached from this computer alone."""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.\d{1,3}){3}", host))


def _is_of(expected: type, value: Any) -> bool:
    """Return whether a value of an event has the type `expected`; a list is one of texts."""
    if expected is list:
        return type(value) is list and all(type(text) is str for text in value)
    return type(value) is expected


def _is_focus(text: str) -> bool:
    if text in ("", "continuous", "once"):
        return True
    try:
        return 0 <= float(text) <= _MAX_DIOPTRES
    except ValueError:
        return False


def _is_topic(topic: str) -> bool:
    """Return whether MQTT can publish to `topic`, or it is empty."""
    if set(topic) & set("+#\0"):
        return False
    return not topic.startswith(("/", "$")) and not topic.endswith("/")


def _check_address(address: str, origin: str) -> None:
    """Raise PicaptionError, which begins with `origin`, for an address that cannot be one."""
    try:
        check_address(address)
    except PicaptionError as error:
        raise PicaptionError(f"{origin}: {error}") from None
