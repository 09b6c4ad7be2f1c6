"""The rules that settings follow: each value by itself, and all together."""

import dataclasses
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import click

from ..addresses import STREAM_SCHEMES, check_address, scheme_of
from ..errors import PicaptionError
from .hours import parse_hours
from .settings import Config, Event

#: The entries of an event in the file, and their types there.
EVENT_TYPES = {
    "word": str,
    "class": str,
    "caption": bool,
    "run": list,
    "post": str,
    "image": bool,
    "save": bool,
    "every": float,
    "quiet_hours": str,
}

#: What is filled into the arguments of an event's program.
PLACEHOLDERS = (*("caption", "confidence", "class", "word", "score", "time", "picture", "camera"),)

_MIN_TOKEN_LENGTH = 16
#: A source expression of Content-Security-Policy for a scheme, a host and a port.
_ORIGIN = re.compile(r"https?://(\*\.)?([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:(\d{1,5}|\*))?")
_MAX_DIOPTRES = 100
#: A device's name is a level of a topic.
_DEVICE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
#: MQTT's 65,535 without what stands behind the topic, such as "/status".
_MAX_TOPIC_BYTES = 65_000
#: So much of a long text an error repeats.
_SHOWN_CHARACTERS = 80
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
    if field.type not in _DESCRIPTIONS and field.metadata["click_type"] is None:
        return value  # Events and cameras are checked already.
    if field.type is float and type(value) is int:
        value = _to_float(value)
    if field.type not in _DESCRIPTIONS:
        return _convert(field, value, origin)
    is_finite = field.type is not float or type(value) is not float or math.isfinite(value)
    if type(value) is not field.type or not is_finite:
        description = _DESCRIPTIONS[field.type]
        shown = "" if field.metadata["secret"] else f" = {value!r}"
        raise PicaptionError(f"{origin}: {field.name}{shown} is not {description}")
    if field.metadata["click_type"] is None:
        return value
    return _convert(field, value, origin)


def _convert(field: dataclasses.Field, value: Any, origin: str) -> Any:
    """Return a value as the setting's own click type takes it."""
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
    for origin in config.frame_ancestors.split():
        need(
            bool(_ORIGIN.fullmatch(origin)),
            "frame_ancestors",
            f"frame_ancestors: {origin!r} is not an origin such as http://homeassistant.local:8123",
        )
    need(
        not config.mqtt_password or bool(config.mqtt_user),
        "mqtt_password",
        "mqtt_password: set mqtt_user too",
    )
    need(not config.fleet or bool(config.mqtt), "fleet", "fleet: set mqtt, the broker, too")
    need(
        not config.fleet_name or bool(_DEVICE_NAME.fullmatch(config.fleet_name)),
        "fleet_name",
        f"fleet_name = {config.fleet_name[:_SHOWN_CHARACTERS]!r}: a name has up to 63 letters, "
        "digits, dots, - and _, the first of them a letter or a digit",
    )
    for scheme in config.fleet_schemes.replace(",", " ").split():
        need(
            scheme in ("https", "http", "file"),
            "fleet_schemes",
            f"fleet_schemes: {scheme[:_SHOWN_CHARACTERS]!r} is not https, http or file",
        )
    need(bool(config.fleet_topic), "fleet_topic", "fleet_topic: it is not empty")
    for name in ("mqtt_topic", "mqtt_discovery", "fleet_topic"):
        topic = getattr(config, name)
        fault = _topic_fault(topic)
        shown = repr(topic[:_SHOWN_CHARACTERS])
        need(not fault, name, f"{name} = {shown}: no topic that can be published to: {fault}")
    need(bool(config.mqtt_topic), "mqtt_topic", "mqtt_topic: it is not empty")
    need(
        bool(config.snapshots) or not any(event.save for event in config.event),
        "event",
        "event: save = true needs a folder: set snapshots",
    )
    _check_hours(config.quiet_hours, f"{origins['quiet_hours']}: quiet_hours")


def requirement(subject: str) -> Callable[[bool, str], None]:
    """Return a check that raises PicaptionError, about a subject, for what does not hold."""

    def need(condition: bool, message: str) -> None:
        if not condition:
            raise PicaptionError(f"{subject}: {message}")

    return need


def make_event(table: Any, origin: str) -> Event:
    """Return the Event that a TOML table describes.

    Args:
        table: The table, of any content.
        origin: Where it comes from; an error begins with it.

    Raises:
        PicaptionError: It describes none.
    """
    need = requirement(f"{origin}: event")
    need(isinstance(table, dict), "write each one as a table [[event]]")
    values = {}
    for name, value in table.items():
        need(name in EVENT_TYPES, f"it has no entry {name!r}; there are: {', '.join(EVENT_TYPES)}")
        expected = EVENT_TYPES[name]
        if expected is float and type(value) is int:
            value = _to_float(value)
        need(_is_of(expected, value), f"{name} = {value!r} is not {_DESCRIPTIONS[expected]}")
        values[name] = value
    if "class" in values:
        values["class_"] = values.pop("class")
    if "run" in values:
        values["run"] = tuple(values["run"])
    event = Event(**values)
    triggers = [bool(event.word), bool(event.class_), event.caption]
    need(sum(triggers) == 1, "give one of word, class and caption = true")
    need(bool(event.run or event.post or event.save), "give run, post or save = true")
    need(not (event.run and event.post), "give run or post, not both; write two events")
    need(not event.image or bool(event.post), "image = true is for post; run has {picture}")
    _check_hours(event.quiet_hours, f"{origin}: event: quiet_hours")
    for argument in event.run[1:]:
        for name in re.findall(r"\{([a-z_]+)\}", argument):
            advice = suggestion(name, PLACEHOLDERS)
            need(name in PLACEHOLDERS or not advice, f"run: {{{name}}} is not filled in{advice}")
    if event.post:
        need(
            scheme_of(event.post) in ("http", "https"),
            "post: it is an http:// or https:// address",
        )
        _check_address(event.post, f"{origin}: event: post")
    need(0 <= event.every < math.inf, f"every = {event.every} is not a number of seconds")
    return event


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return the part of an error that suggests one of the names that is similar, or ""."""
    similar = get_close_matches(name, list(names), 1)
    return "".join(f"; did you mean {name}?" for name in similar)


def is_loopback(host: str) -> bool:
    """Return whether `host` can be reached from this computer alone."""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.\d{1,3}){3}", host))


def _is_of(expected: type, value: Any) -> bool:
    """Return whether a value of an event has the type `expected`; a list is one of texts."""
    if expected is list:
        return type(value) is list and all(type(text) is str for text in value)
    return type(value) is expected


def _to_float(value: int) -> float:
    """Return a whole number as a float; one beyond all floats as infinity, which no setting is."""
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def _is_focus(text: str) -> bool:
    if text in ("", "continuous", "once"):
        return True
    try:
        return 0 <= float(text) <= _MAX_DIOPTRES
    except ValueError:
        return False


def _topic_fault(topic: str) -> str:
    """Return why MQTT cannot publish below `topic` (MQTT 3.1.1, 1.5.3 and 4.7), "" if it can."""
    if set(topic) & set("+#"):
        return "+ and # are for those who subscribe"
    if topic.startswith("$"):
        return "those that begin with $ are the broker's own"
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in topic):
        return "it has a control character"
    if len(topic.encode()) > _MAX_TOPIC_BYTES:
        return f"it is longer than {_MAX_TOPIC_BYTES} bytes"
    return ""


def _check_hours(text: str, origin: str) -> None:
    """Raise PicaptionError, which begins with `origin`, for a text that is no hours."""
    try:
        parse_hours(text)
    except PicaptionError as error:
        raise PicaptionError(f"{origin}: {error}") from None


def _check_address(address: str, origin: str) -> None:
    """Raise PicaptionError, which begins with `origin`, for an address that cannot be one."""
    try:
        check_address(address)
    except PicaptionError as error:
        raise PicaptionError(f"{origin}: {error}") from None
