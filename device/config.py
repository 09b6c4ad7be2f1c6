"""The settings of the live loop: one TOML file, every one an option of the command line too, and each checked the same way.

What the command line says goes before the environment, that before the file, that before the defaults.
"""

import dataclasses
import json
import math
import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import click

from .errors import PicaptionError

#: The file's name, which is looked for here, in the user's folder of settings, and in the system's.
NAME = "picaption.toml"
POSITIVE = click.FloatRange(0, min_open=True)


class FrameSize(click.ParamType):
    """WIDTHxHEIGHT, each from 32 to 4096, as a text."""

    name = "size"

    def convert(self, value, param, ctx):
        """Return the text in lower case; raises click.BadParameter where it is no size."""
        match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", value.lower())
        if not match or not all(32 <= int(side) <= 4096 for side in match.groups()):
            self.fail(f"{value} is not WIDTHxHEIGHT, each from 32 to 4096, such as 640x480")
        return value.lower()


@dataclass(frozen=True)
class Event:
    """Something to do when a word, a class or another caption appears.

    word: of the caption; class_: one that is certain (`class` in the file); caption: any new caption. Exactly one is given.
    run: a program and its arguments, in which {caption}, {class}, {word}, {score} and {time} are filled in; post: an http(s)
    address that is sent the recognition as JSON. every: seconds that lie at least between two of these events.
    """

    word: str = ""
    class_: str = ""
    caption: bool = False
    run: tuple[str, ...] = ()
    post: str = ""
    every: float = 10.0


def _setting(default, text, kind=None, metavar=None, secret=False):
    """Return a field of Config: its default, its line in the help, a click type that checks it, and what the help calls its
    value."""
    return dataclasses.field(default=default, metadata={"text": text, "kind": kind, "metavar": metavar, "secret": secret})


@dataclass(frozen=True)
class Config:
    """Settings of `picaption live`. A number of 0 and an empty text stand for: not given."""

    source: str = _setting("auto", "auto, picamera2, a USB camera (usb:0, /dev/video0), a stream (rtsp://, http://), "
                           "a video file, a folder of pictures, a pattern of their names, or demo.", metavar="SOURCE")
    bundle: str = _setting("", "The bundle to recognise with; the shipped one by default.", metavar="PATH")
    threads: int = _setting(0, "Threads to compute with; 0: a thread a core, at most 4.", click.IntRange(0, 64), "N")

    size: str = _setting("640x480", "Frame size that cameras and the demo are asked for.", FrameSize(), "WxH")
    camera_fps: float = _setting(0.0, "Frames a second that the camera is asked for; 0: as it likes.", click.FloatRange(0, 240),
                                 "N")
    rotate: int = _setting(0, "Turn the picture clockwise by 90, 180 or 270 degrees.",
                           click.Choice((0, 90, 180, 270)), "DEGREES")
    hflip: bool = _setting(False, "Mirror the picture.")
    vflip: bool = _setting(False, "Turn the picture upside down.")
    focus: str = _setting("", "continuous, once, or a fixed distance in dioptres (1 / metres); empty: as the camera likes.",
                          metavar="HOW")
    exposure: int = _setting(0, "Exposure time in microseconds; 0: automatic.", click.IntRange(0, 10_000_000), "US")
    gain: float = _setting(0.0, "Analogue gain of a CSI camera; 0: automatic.", click.FloatRange(0, 64), "X")
    stall: float = _setting(5.0, "A camera without a frame for S seconds is opened anew.", click.FloatRange(0.1, 3600), "S")
    retries: int = _setting(8, "Give up, with exit code 75, once a camera has failed so often in a row.", click.IntRange(0), "N")

    max_fps: float = _setting(0.0, "Recognise at most N frames a second; 0: as many as can be.", click.FloatRange(0), "N")
    caption_every: float = _setting(10.0, "Caption anew after S seconds even where the scene has not changed; 0: every frame.",
                                    click.FloatRange(0), "S")
    smoothing: float = _setting(0.5, "Scores are averages over about S seconds; 0: each frame's own.", click.FloatRange(0, 60), "S")
    power_save: bool = _setting(False, "One frame a second while nothing changes.")
    frames: int = _setting(0, "Stop after N frames.", click.IntRange(0), "N")
    seconds: float = _setting(0.0, "Stop after S seconds.", click.FloatRange(0), "S")

    quiet: bool = _setting(False, "Show nothing but errors.")
    json: str = _setting("", "Write JSON lines to FILE; - is standard output.", metavar="FILE")
    json_megabytes: float = _setting(0.0, "Begin that file anew once it is so large, keeping the last ones; 0: never.",
                                     click.FloatRange(0), "MB")
    json_files: int = _setting(3, "How many older ones of these files are kept.", click.IntRange(1, 1000), "N")
    video: str = _setting("", "Write the annotated video to FILE: .mp4, .avi or .webm.", metavar="FILE")
    video_megabytes: float = _setting(0.0, "End that video once it is so large; 0: never.", click.FloatRange(0), "MB")
    window: bool = _setting(False, "Show the annotated picture in a window.")

    web: bool = _setting(False, "Serve a page that shows all this live.")
    host: str = _setting("127.0.0.1", "Where that page listens: beyond this computer only with a token.", metavar="ADDRESS")
    port: int = _setting(8080, "The page's port; 0: any that is free.", click.IntRange(0, 65535), "N")
    token: str = _setting("", "What the page asks for, of at least 16 characters.", metavar="TEXT", secret=True)

    mqtt: str = _setting("", "Publish to the MQTT broker at HOST, HOST:PORT or mqtts://HOST.", metavar="BROKER")
    mqtt_user: str = _setting("", "User name at the broker.", metavar="NAME")
    mqtt_password: str = _setting("", "Password at the broker.", metavar="TEXT", secret=True)
    mqtt_ca: str = _setting("", "The file of the authority that signed the broker's certificate; the system's by default.",
                            metavar="FILE")
    mqtt_topic: str = _setting("picaption", "What the topics begin with.", metavar="TOPIC")
    mqtt_discovery: str = _setting("homeassistant", "Home Assistant's prefix for discovery; empty: no discovery.",
                                   metavar="TOPIC")

    event: tuple[Event, ...] = _setting((), "What to do when something appears, such as "
                                        "'word = \"cat\", run = [\"notify-send\", \"{caption}\"]'; may be given again.",
                                        metavar="TABLE")

    log_level: str = _setting("warning", "debug, info, warning or error.",
                              click.Choice(("debug", "info", "warning", "error"), case_sensitive=False), "LEVEL")


FIELDS = {field.name: field for field in dataclasses.fields(Config)}
SECRETS = tuple(name for name, field in FIELDS.items() if field.metadata["secret"])


def option_name(name):
    """Return the option of the setting `name`: "--max-fps" of "max_fps"."""
    return "--" + name.replace("_", "-")


def environment_name(name):
    """Return the environment variable of a secret setting: "PICAPTION_TOKEN" of "token"."""
    return f"PICAPTION_{name.upper()}"


def options(command):
    """Give a click command, or the function that will be one, an option for every setting, and --config."""
    for name, field in reversed(FIELDS.items()):
        given = field.metadata
        common = {"help": given["text"] + _default_text(field), "default": None}
        if field.type is bool:
            option = click.option(f"{option_name(name)}/{option_name('no_' + name)}", name, **common)
        else:
            kind = given["kind"] or (field.type if field.type in (int, float) else str)
            option = click.option(option_name(name), name, type=kind, metavar=given["metavar"], multiple=name == "event", **common)
        command = option(command)
    text = f"The file of settings.  [default: {NAME} here, in the user's folder of settings or in /etc]"
    return click.option("--config", "config_path", metavar="FILE", type=click.Path(path_type=Path), help=text)(command)


def _default_text(field):
    if field.type is bool or field.default in ("", (), 0):
        return ""
    return f"  [default: {field.default:g}]" if field.type is float else f"  [default: {field.default}]"


@dataclass(frozen=True)
class Effective:
    """A Config, where each of its settings came from ("default", "picaption.toml:3", "--port"), and the file that was read."""

    config: Config
    origins: dict[str, str]
    path: Path | None


def find_file():
    """Return the path of the first file of settings there is: here, the user's, the system's; None where there is none."""
    places = Path(NAME), Path(click.get_app_dir("picaption"), NAME), Path("/etc", NAME)
    return next((path for path in places if path.is_file()), None)


def effective(told, path=None, environment=os.environ):
    """Return the Effective settings.

    told: what the command line says, by name, None where it says nothing; path: the file of settings, where find_file()
    is not to find it. Raises PicaptionError, which names the line or the option, where a setting is unknown or not valid.
    """
    path = path or find_file()
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
    return Effective(config, {name: origins.get(name, "default") for name in FIELDS}, path)


def to_toml(found):
    """Return the Effective settings as TOML, each with where it came from; of secrets, only whether they are set."""
    lines = []
    for name in FIELDS:
        value = getattr(found.config, name)
        if name == "event":
            value = [_plain(event) for event in value]
        hidden = name in SECRETS and value
        lines.append((f"# {name} is set" if hidden else f"{name} = {_toml(value)}", found.origins[name]))
    width = min(60, max(len(line) for line, _ in lines))
    return "".join(f"{line:{width}}  # {origin}\n" for line, origin in lines)


def plain_toml(found):
    """Return the Effective settings that are not the defaults as TOML, secrets too: a file of settings for another machine."""
    values = {name: getattr(found.config, name) for name in FIELDS if found.origins[name] != "default"}
    if "event" in values:
        values["event"] = [_plain(event) for event in values["event"]]
    return "".join(f"{name} = {_toml(value)}\n" for name, value in values.items())


def _toml(value):
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(part)}" for name, part in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) and value % 1 else json.dumps(value, ensure_ascii=False)


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
        raise PicaptionError(f"{path}:{line}: not TOML: {message[0].lower()}{message[1:]}") from None
    origins = {name: f"{path}:{_line(text, name)}" for name in values}
    for name in values:
        if name not in FIELDS:
            raise PicaptionError(f"{origins[name]}: no setting is called {name!r}{_likely(name)}; "
                                 "picaption live --help lists all")
    if "event" in values:
        values["event"] = _events(values["event"], origins["event"])
    return values, origins


def _line(text, name):
    """Return the number of the line of a TOML text where the setting `name` begins."""
    pattern = re.compile(rf"""\s*(?:\[+\s*)?["']?{re.escape(name)}["']?\s*(?:[=.\]])""")
    return next((number for number, line in enumerate(text.splitlines(), 1) if pattern.match(line)), 1)


def _likely(name):
    from difflib import get_close_matches
    return "".join(f"; did you mean {close}?" for close in get_close_matches(name.replace("-", "_"), FIELDS, 1))


def _told_event(text):
    try:
        table = tomllib.loads("event = {" + text + "}")["event"]
    except tomllib.TOMLDecodeError:
        raise PicaptionError(f"--event {text}: write it as 'word = \"cat\", run = [\"program\", \"{{caption}}\"]'") from None
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
            raise PicaptionError(f"{where}: event: it has no entry {name!r}; there are: {', '.join(kinds)}")
        if kinds[name] is float and type(value) is int:
            value = float(value)
        if type(value) is not kinds[name] or kinds[name] is list and not all(type(part) is str for part in value):
            raise PicaptionError(f"{where}: event: {name} = {value!r} is not {_KINDS[kinds[name]]}")
    values = {"class_" if name == "class" else name: tuple(value) if name == "run" else value for name, value in table.items()}
    event = Event(**values)
    if sum(map(bool, (event.word, event.class_, event.caption))) != 1:
        raise PicaptionError(f"{where}: event: give one of word, class and caption = true")
    if not event.run and not event.post or event.run and event.post:
        raise PicaptionError(f"{where}: event: give run or post")
    if event.post and not _is_address(event.post):
        raise PicaptionError(f"{where}: event: post = {event.post!r} is no http:// or https:// address")
    if not 0 <= event.every < float("inf"):
        raise PicaptionError(f"{where}: event: every = {event.every} is not a number of seconds")
    return event


def _is_address(text):
    try:
        parts = urlsplit(text)
        return parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        return False


_KINDS = {str: "a text", bool: "true or false", int: "a whole number", float: "a number", list: "a list of texts"}


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
    need(fixed, "focus", f"focus = {config.focus!r}: it is continuous, once, or dioptres from 0 to 100")
    need(not config.token or len(config.token) >= 16, "token", "token: at least 16 characters, please")
    need(not config.web or is_loopback(config.host) or config.token, "host",
         f"host = {config.host!r} can be reached from the network: set a token too, from "
         "python3 -c 'import secrets; print(secrets.token_urlsafe())'")
    need(not config.mqtt_password or config.mqtt_user, "mqtt_password", "mqtt_password: set mqtt_user too")
    for name in ("mqtt_topic", "mqtt_discovery"):
        topic = getattr(config, name)
        need(not set(topic) & set("+#\0") and not topic.startswith(("/", "$")) and not topic.endswith("/"), name,
             f"{name} = {topic!r}: no topic that can be published to")
    need(config.mqtt_topic, "mqtt_topic", "mqtt_topic: it is not empty")


def is_loopback(host):
    """Return whether `host` is this computer alone."""
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(?:\.\d{1,3}){3}", host))
