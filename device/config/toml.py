"""The settings of the live loop: one TOML file, every one an option of the command line too, and each checked the same way.

What the command line says goes before the environment, that before the file, that before the defaults.
"""

import json
import math
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from ..errors import PicaptionError
from .settings import (
    FIELDS,
    NAME,
    SECRETS,
    Config,
    Event,
    environment_name,
    option_name,
)


@dataclass(frozen=True)
class LoadedConfig:
    """A Config, where each of its settings came from ("default", "picaption.toml:3", "--port"), and the file that was read."""

    config: Config
    origins: dict[str, str]
    path: Path | None


def find_config_file():
    """Return the path of the first file of settings there is: here, the user's, the system's; None where there is none."""
    places = Path(NAME), Path(click.get_app_dir("picaption"), NAME), Path("/etc", NAME)
    return next((path for path in places if path.is_file()), None)


def load_config(told, path=None, environment=os.environ):
    """Return the Effective settings.

    told: what the command line says, by name, None where it says nothing; path: the file of settings, where find_file()
    is not to find it. Raises PicaptionError, which names the line or the option, where a setting is unknown or not valid.
    """
    path = path or find_config_file()
    values, origins = _read(path) if path else ({}, {})
    for name in SECRETS:
        if secret := environment.get(environment_name(name)):
            values[name], origins[name] = secret, environment_name(name)
    for name, value in told.items():
        if value is not None and value != ():
            values[name], origins[name] = value, option_name(name)
    if "event" in told and origins.get("event") == "--event":
        values["event"] = tuple(_told_event(text) for text in values["event"])
    for name, value in values.items():
        values[name] = _checked(FIELDS[name], value, origins[name])
    config = Config(**values)
    _check(config, {name: origins.get(name, option_name(name)) for name in FIELDS})
    return LoadedConfig(config, {name: origins.get(name, "default") for name in FIELDS}, path)


def to_toml(found):
    """Return the Effective settings as TOML, each with where it came from; of secrets, only whether they are set."""
    lines = []
    for name in FIELDS:
        value = getattr(found.config, name)
        if name == "event":
            value = [_plain(event) for event in value]
        hidden = name in SECRETS and value
        lines.append(
            (f"# {name} is set" if hidden else f"{name} = {_toml(value)}", found.origins[name])
        )
    width = min(60, max(len(line) for line, _ in lines))
    return "".join(f"{line:{width}}  # {origin}\n" for line, origin in lines)


def plain_toml(found):
    """Return the Effective settings that are not the defaults as TOML, secrets too: a file of settings for another machine."""
    values = {
        name: getattr(found.config, name) for name in FIELDS if found.origins[name] != "default"
    }
    if "event" in values:
        values["event"] = [_plain(event) for event in values["event"]]
    return "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return (
        f"{value:g}"
        if isinstance(value, float) and value % 1
        else json.dumps(value, ensure_ascii=False)
    )


def _plain(event):
    """Return an Event as the table that makes it, without what is not given."""
    given = {name.rstrip("_"): value for name, value in vars(event).items()}
    return {name: value for name, value in given.items() if value or name == "every"}


def _read(path):
    """Return a file's settings and where each stands: "picaption.toml:3"."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot read the settings: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PicaptionError(f"{path}: not a TOML file: it is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        message, _, place = str(error).partition(" (at ")
        line = re.search(r"\d+", place)  # otherwise it is the end of the file
        line = line[0] if line else max(1, len(text.splitlines()))
        raise PicaptionError(
            f"{path}:{line}: not TOML: {message[0].lower()}{message[1:]}"
        ) from None
    origins = {name: f"{path}:{_line(text, name)}" for name in values}
    for name in values:
        if name not in FIELDS:
            raise PicaptionError(
                f"{origins[name]}: no setting is called {name!r}{_likely(name)}; "
                "picaption live --help lists all"
            )
    if "event" in values:
        values["event"] = _events(values["event"], origins["event"])
    return values, origins


def _line(text, name):
    """Return the number of the line of a TOML text where the setting `name` begins."""
    pattern = re.compile(rf"""\s*(?:\[+\s*)?["']?{re.escape(name)}["']?\s*(?:[=.\]])""")
    return next(
        (number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1
    )


def _likely(name):
    from difflib import get_close_matches

    return "".join(
        f"; did you mean {close}?" for close in get_close_matches(name.replace("-", "_"), FIELDS, 1)
    )


def _told_event(text):
    try:
        table = tomllib.loads("event = {" + text + "}")["event"]
    except tomllib.TOMLDecodeError:
        raise PicaptionError(
            f'--event {text}: write it as \'word = "cat", run = ["program", "{{caption}}"]\''
        ) from None
    return _event(table, "--event")


def _events(tables, where):
    if not isinstance(tables, list):
        raise PicaptionError(f"{where}: event: write each one as a table [[event]]")
    return tuple(_event(table, where) for table in tables)


def _event(table, where):
    """Return the Event that a TOML table describes."""
    kinds = {"word": str, "class": str, "caption": bool, "run": list, "post": str, "every": float}
    if not isinstance(table, dict):
        raise PicaptionError(f"{where}: event: write each one as a table [[event]]")
    for name, value in table.items():
        if name not in kinds:
            raise PicaptionError(
                f"{where}: event: it has no entry {name!r}; there are: {', '.join(kinds)}"
            )
        if kinds[name] is float and type(value) is int:
            value = float(value)
        if (
            type(value) is not kinds[name]
            or kinds[name] is list
            and not all(type(part) is str for part in value)
        ):
            raise PicaptionError(f"{where}: event: {name} = {value!r} is not {_KINDS[kinds[name]]}")
    values = {
        "class_" if name == "class" else name: tuple(value) if name == "run" else value
        for name, value in table.items()
    }
    event = Event(**values)
    if sum(map(bool, (event.word, event.class_, event.caption))) != 1:
        raise PicaptionError(f"{where}: event: give one of word, class and caption = true")
    if not event.run and not event.post or event.run and event.post:
        raise PicaptionError(f"{where}: event: give run or post")
    if event.post and not _is_address(event.post):
        raise PicaptionError(
            f"{where}: event: post = {event.post!r} is no http:// or https:// address"
        )
    if not 0 <= event.every < float("inf"):
        raise PicaptionError(f"{where}: event: every = {event.every} is not a number of seconds")
    return event


def _is_address(text):
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


_KINDS = {
    str: "a text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    list: "a list of texts",
}


def _checked(field, value, origin):
    """Return the value of a setting, checked; raises PicaptionError, which begins with `origin`."""
    if field.type not in _KINDS:  # Events are checked already.
        return value
    if field.type is float and type(value) is int:
        value = float(value)
    if type(value) is not field.type or field.type is float and not math.isfinite(value):
        raise PicaptionError(f"{origin}: {field.name} = {value!r} is not {_KINDS[field.type]}")
    if field.metadata["kind"]:
        try:
            value = field.metadata["kind"].convert(value, None, None)
        except click.BadParameter as error:
            raise PicaptionError(f"{origin}: {field.name}: {error.message}") from None
    return value


def _check(config, origins):
    """Raise PicaptionError where settings make no sense together or by themselves."""

    def need(condition, name, text):
        if not condition:
            raise PicaptionError(f"{origins[name]}: {text}")

    try:
        fixed = config.focus in ("", "continuous", "once") or 0 <= float(config.focus) <= 100
    except ValueError:
        fixed = False
    need(
        fixed,
        "focus",
        f"focus = {config.focus!r}: it is continuous, once, or dioptres from 0 to 100",
    )
    need(
        not config.token or len(config.token) >= 16,
        "token",
        "token: at least 16 characters, please",
    )
    need(
        not config.web or is_loopback(config.host) or config.token,
        "host",
        f"host = {config.host!r} can be reached from the network: set a token too, from "
        "python3 -c 'import secrets; print(secrets.token_urlsafe())'",
    )
    need(
        not config.mqtt_password or config.mqtt_user,
        "mqtt_password",
        "mqtt_password: set mqtt_user too",
    )
    for name in ("mqtt_topic", "mqtt_discovery"):
        topic = getattr(config, name)
        need(
            not set(topic) & set("+#\0")
            and not topic.startswith(("/", "$"))
            and not topic.endswith("/"),
            name,
            f"{name} = {topic!r}: no topic that can be published to",
        )
    need(config.mqtt_topic, "mqtt_topic", "mqtt_topic: it is not empty")


def is_loopback(host):
    """Return whether `host` is this computer alone."""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.\d{1,3}){3}", host))
