"""The settings of the live loop: one TOML file, whose every setting is a command-line option too.

The command line goes before the environment, the environment before the file, and the file before
the defaults.
"""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click

from ..addresses import without_secrets
from ..atomic import MAX_SETTINGS_BYTES, read_text
from ..errors import PicaptionError
from ..parsing import MalformedError, parse_toml
from .camera import Camera
from .camera_tables import check_cameras, make_camera
from .checks import check_config, check_value, make_event, suggestion
from .settings import FIELDS, NAME, SECRETS, Config, Event, environment_name, option_name

_MAX_COMMENT_COLUMN = 60
#: How the tables of options are written.
_OPTION_EXAMPLES = {
    "event": '\'word = "cat", run = ["program", "{caption}"]\'',
    "camera": '\'name = "door", source = "usb:0"\'',
}


@dataclass(frozen=True)
class LoadedConfig:
    """Settings, and where they come from.

    Attributes:
        config: The settings.
        origins: The origin of every setting: "default", "picaption.toml:3", "--port".
        path: The file that was read, or None.
    """

    config: Config
    origins: dict[str, str]
    path: Path | None


def find_config_file() -> Path | None:
    """Return the first file of settings there is: here, the user's, the system's."""
    candidates = (Path(NAME), Path(click.get_app_dir("picaption"), NAME), Path("/etc", NAME))
    return next((path for path in candidates if path.is_file()), None)


def load_config(
    overrides: Mapping[str, Any],
    path: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> LoadedConfig:
    """Read and check the settings.

    Args:
        overrides: What the command line says, by name; None and () say nothing.
        path: The file of settings; None: the one of find_config_file.
        environment: The environment variables, for the secrets.

    Raises:
        PicaptionError: A setting is unknown or not valid; it names the line or the option.
    """
    path = path or find_config_file()
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    if path is not None:
        values, origins = _read(path)
    for name in SECRETS:
        secret = environment.get(environment_name(name))
        if secret:
            values[name] = secret
            origins[name] = environment_name(name)
    for name, value in overrides.items():
        if value is not None and value != ():
            values[name] = value
            origins[name] = option_name(name)
            if name == "event":
                values[name] = tuple(
                    make_event(_parse_option(name, text), "--event") for text in value
                )
            if name == "camera":
                values[name] = tuple(
                    make_camera(_parse_option(name, text), "--camera") for text in value
                )
    if overrides.get("source") is not None:
        # Who names a source on the command line wants that one, whatever the file has.
        values.pop("camera", None)
        origins.pop("camera", None)
    for name, value in values.items():
        values[name] = check_value(FIELDS[name], value, origins[name])
    config = Config(**values)
    check_config(config, {name: origins.get(name, option_name(name)) for name in FIELDS})
    check_cameras(config, origins)
    return LoadedConfig(config, {name: origins.get(name, "default") for name in FIELDS}, path)


def to_toml(loaded: LoadedConfig) -> str:
    """Return all settings as TOML with their origins; of secrets, only whether they are set.

    A setting with an address that holds a password or a query is a comment, with the address
    without them.
    """
    lines = []
    for name in FIELDS:
        value = getattr(loaded.config, name)
        if name in SECRETS and value:
            lines.append((f"# {name} is set", loaded.origins[name]))
            continue
        shown = _shown(value)
        comment = "" if shown == value else "# "
        lines.append((f"{comment}{name} = {_toml(shown)}", loaded.origins[name]))
    width = min(_MAX_COMMENT_COLUMN, max(len(line) for line, _ in lines))
    return "".join(f"{line:{width}}  # {origin}\n" for line, origin in lines)


def _shown(value: Any) -> Any:
    """Return a setting's value, without the secrets of the addresses in it."""
    if isinstance(value, tuple):
        return tuple(_shown(part) for part in value)
    if isinstance(value, Event):
        return replace(value, post=_shown(value.post), run=_shown(value.run))
    if isinstance(value, Camera):
        own = {name: _shown(setting) for name, setting in value.settings.items()}
        return replace(value, settings=own)
    return without_secrets(value) if isinstance(value, str) else value


def plain_toml(loaded: LoadedConfig) -> str:
    """Return the settings that are not defaults as TOML, with secrets: a file for elsewhere."""
    names = [name for name in FIELDS if loaded.origins[name] != "default"]
    return "".join(f"{name} = {_toml(getattr(loaded.config, name))}\n" for name in names)


def _toml(value: Any) -> str:
    """Return a setting's value, or a part of one, as TOML."""
    if isinstance(value, Event):
        value = _event_table(value)
    if isinstance(value, Camera):
        value = {"name": value.name, **value.settings}
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    # TOML has JSON's texts and numbers, but for a control character that JSON takes as it is.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _event_table(event: Event) -> dict[str, Any]:
    """Return the table that makes an Event, without what is not set."""
    values = {name.rstrip("_"): value for name, value in vars(event).items()}
    return {name: value for name, value in values.items() if value or name == "every"}


def _read(path: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Return a file's settings, and the origin of each of them: "picaption.toml:3"."""
    try:
        text = read_text(path, MAX_SETTINGS_BYTES)
        values = parse_toml(text)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot read the settings: {error.strerror}") from None
    except UnicodeDecodeError:
        raise PicaptionError(f"{path}: not a TOML file: it is not UTF-8") from None
    except MalformedError as error:
        raise _syntax_error(path, text, str(error)) from None
    origins = {name: f"{path}:{_line_number(text, name)}" for name in values}
    for name in values:
        if name not in FIELDS:
            raise PicaptionError(
                f"{origins[name]}: no setting is called {name!r}"
                f"{suggestion(name.replace('-', '_'), FIELDS)}; "
                "picaption live --help lists all"
            )
    if "event" in values:
        tables = _tables(values, "event", origins["event"])
        values["event"] = tuple(make_event(table, origins["event"]) for table in tables)
    if "camera" in values:
        tables = _tables(values, "camera", origins["camera"])
        lines = _table_lines(text, "camera", len(tables))
        values["camera"] = tuple(
            make_camera(table, f"{path}:{line}") for table, line in zip(tables, lines)
        )
    return values, origins


def _tables(values: Mapping[str, Any], name: str, origin: str) -> list[Any]:
    """Return the tables of a file that a setting consists of."""
    tables = values[name]
    if not isinstance(tables, list):
        raise PicaptionError(f"{origin}: {name}: write each one as a table [[{name}]]")
    return tables


def _table_lines(text: str, name: str, count: int) -> list[int]:
    """Return the lines where the `count` tables of a setting begin, counted from 1."""
    pattern = re.compile(rf"""\s*\[\[\s*["']?{re.escape(name)}["']?\s*\]\]""")
    lines = [number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)]
    # Tables may stand in a row too: camera = [{...}, {...}].
    return lines if len(lines) == count else [_line_number(text, name)] * count


def _syntax_error(path: Path, text: str, message: str) -> PicaptionError:
    """Return a parser's error, "Invalid value (at line 2, column 9)", with path and line first."""
    reason, _, position = message.partition(" (at ")
    match = re.search(r"\d+", position)
    # Without a line, it is the end of the file.
    line = int(match[0]) if match else max(1, len(text.splitlines()))
    return PicaptionError(f"{path}:{line}: not TOML: {reason[0].lower()}{reason[1:]}")


def _line_number(text: str, name: str) -> int:
    """Return the line of a TOML text where a setting begins, counted from 1."""
    pattern = re.compile(rf"""\s*(?:\[+\s*)?["']?{re.escape(name)}["']?\s*(?:[=.\]])""")
    for number, line in enumerate(text.splitlines(), 1):
        if pattern.match(line):
            return number
    return 1


def _parse_option(name: str, text: str) -> Any:
    """Return the table that an option --event or --camera describes."""
    try:
        return parse_toml(f"{name} = {{{text}}}")[name]
    except MalformedError:
        raise PicaptionError(
            f"--{name} is not TOML: write it as {_OPTION_EXAMPLES[name]}"
        ) from None
