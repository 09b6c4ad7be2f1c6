"""The settings of the live loop, each with its default, its help and its checks."""

import dataclasses
import os
import re
from dataclasses import dataclass
from typing import Any

import click

from .camera import Camera, Crop, slug

#: The file's name; it is looked for here, in the user's folder of settings, and in the system's.
NAME = "picaption.toml"

_MIN_SIDE = 32
_MAX_SIDE = 4096


class FrameSize(click.ParamType):
    """WIDTHxHEIGHT as a text, both from 32 to 4096."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the text in lower case; raise click.BadParameter if it is not a size."""
        match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", value.lower())
        if not match or not all(_MIN_SIDE <= int(side) <= _MAX_SIDE for side in match.groups()):
            self.fail(f"{value} is not WIDTHxHEIGHT, each from 32 to 4096, such as 640x480")
        return value.lower()


@dataclass(frozen=True)
class Event:
    """Something to do when a word, a class or a new caption appears.

    Exactly one of word, class_ and caption is set, and at least one of run, post and save, but not
    both run and post.

    Attributes:
        word: A word of the caption.
        class_: A class that is certain (`class` in the file).
        caption: Any new caption.
        run: A program and its arguments; {caption}, {confidence}, {class}, {word}, {score},
            {time}, {camera} and {picture}, the path of a JPEG, are filled in.
        post: An http(s) address that is sent the recognition as JSON.
        image: Whether it is sent the picture too, as multipart/form-data.
        save: Whether a snapshot is saved.
        every: The least seconds between two of these events.
        quiet_hours: When it does not happen, such as 22:00-07:00; never; "": as the setting says.
    """

    word: str = ""
    class_: str = ""
    caption: bool = False
    run: tuple[str, ...] = ()
    post: str = ""
    image: bool = False
    save: bool = False
    every: float = 10.0
    quiet_hours: str = ""


def _setting(
    default: Any,
    text: str,
    click_type: click.ParamType | None = None,
    metavar: str | None = None,
    secret: bool = False,
) -> Any:
    """Return a field of Config.

    Args:
        default: Its default.
        text: Its line in the help.
        click_type: What checks its value beyond the field's own type.
        metavar: What the help calls its value.
        secret: Whether its value must not be shown.
    """
    metadata = {"text": text, "click_type": click_type, "metavar": metavar, "secret": secret}
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class Config:
    """Settings of `picaption live`. A number of 0 and an empty text mean: not set."""

    source: str = _setting(
        "auto",
        "auto, picamera2, a USB camera (usb:0, /dev/video0), a stream (rtsp://, http://), "
        "a video file, a folder of pictures, a pattern of their names, or demo.",
        metavar="SOURCE",
    )
    camera: tuple[Camera, ...] = _setting(
        (),
        "Several cameras in place of one source: a table each, such as "
        '\'name = "door", source = "usb:0"\'; may be given again.',
        metavar="TABLE",
    )
    bundle: str = _setting(
        "", "The bundle to recognise with; the shipped one by default.", metavar="PATH"
    )
    bundles: str = _setting(
        "",
        "A folder of bundles, one of which Home Assistant may choose while the loop runs.",
        metavar="FOLDER",
    )
    public_keys: str = _setting(
        "",
        "Take only bundles and updates that are signed by a key of this ring (picaption fleet "
        "keys); empty: all.",
        metavar="FILE",
    )
    threads: int = _setting(
        0, "Threads to compute with; 0: a thread a core, at most 4.", click.IntRange(0, 64), "N"
    )

    size: str = _setting(
        "640x480", "Frame size that cameras and the demo are asked for.", FrameSize(), "WxH"
    )
    camera_fps: float = _setting(
        0.0,
        "Frames a second that the camera is asked for; 0: as it likes.",
        click.FloatRange(0, 240),
        "N",
    )
    rotate: int = _setting(
        0,
        "Turn the picture clockwise by 90, 180 or 270 degrees.",
        click.Choice((0, 90, 180, 270)),
        "DEGREES",
    )
    hflip: bool = _setting(False, "Mirror the picture.")
    vflip: bool = _setting(False, "Turn the picture upside down.")
    crop: tuple[float, ...] = _setting(
        (),
        "Look at this part of the turned picture only: left,top,right,bottom as shares of its "
        "sides, such as 0.25,0,0.75,1.",
        Crop(),
        "SHARES",
    )
    focus: str = _setting(
        "",
        "continuous, once, or a fixed distance in dioptres (1 / metres); empty: as the camera "
        "likes.",
        metavar="HOW",
    )
    exposure: int = _setting(
        0, "Exposure time in microseconds; 0: automatic.", click.IntRange(0, 10_000_000), "US"
    )
    gain: float = _setting(
        0.0, "Analogue gain of a CSI camera; 0: automatic.", click.FloatRange(0, 64), "X"
    )
    stall: float = _setting(
        5.0,
        "Reopen a camera that sends no frame for S seconds.",
        click.FloatRange(0.1, 3600),
        "S",
    )
    retries: int = _setting(
        8,
        "Give up, with exit code 75, once a camera has failed so often in a row.",
        click.IntRange(0),
        "N",
    )

    max_fps: float = _setting(
        0.0, "Recognise at most N frames a second; 0: as many as can be.", click.FloatRange(0), "N"
    )
    caption_every: float = _setting(
        10.0,
        "Caption again after S seconds even if the scene has not changed; 0: every frame.",
        click.FloatRange(0),
        "S",
    )
    smoothing: float = _setting(
        0.5,
        "Scores are averages over about S seconds; 0: each frame's own.",
        click.FloatRange(0, 60),
        "S",
    )
    power_save: bool = _setting(False, "One frame a second while nothing changes.")
    frames: int = _setting(0, "Stop after N frames.", click.IntRange(0), "N")
    seconds: float = _setting(0.0, "Stop after S seconds.", click.FloatRange(0), "S")

    quiet: bool = _setting(False, "Show nothing but errors.")
    json: str = _setting("", "Write JSON lines to FILE; - is standard output.", metavar="FILE")
    json_every: float = _setting(
        10.0,
        "Write a line when something changes, and else every S seconds; 0: for every frame.",
        click.FloatRange(0),
        "S",
    )
    json_megabytes: float = _setting(
        100.0,
        "Start a new file once this one is so large, keeping the last ones; 0: never.",
        click.FloatRange(0),
        "MB",
    )
    json_files: int = _setting(
        3, "How many older ones of these files are kept.", click.IntRange(1, 1000), "N"
    )
    video: str = _setting(
        "", "Write the annotated video to FILE: .mp4, .avi or .webm.", metavar="FILE"
    )
    video_megabytes: float = _setting(
        0.0, "End that video once it is so large; 0: never.", click.FloatRange(0), "MB"
    )
    window: bool = _setting(False, "Show the annotated picture in a window.")

    web: bool = _setting(False, "Serve a page that shows all this live.")
    host: str = _setting(
        "127.0.0.1",
        "Where that page listens: beyond this computer only with a token.",
        metavar="ADDRESS",
    )
    port: int = _setting(
        8080, "The page's port; 0: any that is free.", click.IntRange(0, 65535), "N"
    )
    token: str = _setting(
        "", "What the page asks for, of at least 16 characters.", metavar="TEXT", secret=True
    )

    frame_ancestors: str = _setting(
        "",
        "Whose pages may show that page in a frame, such as http://homeassistant.local:8123; "
        "empty: nobody's.",
        metavar="ORIGINS",
    )

    teach: str = _setting(
        "",
        "The folder of class folders that the page teaches new classes from, as picaption teach "
        "takes it; empty: the page teaches none.",
        metavar="FOLDER",
    )

    mqtt: str = _setting(
        "", "Publish to the MQTT broker at HOST, HOST:PORT or mqtts://HOST.", metavar="BROKER"
    )
    mqtt_user: str = _setting("", "User name at the broker.", metavar="NAME")
    mqtt_password: str = _setting("", "Password at the broker.", metavar="TEXT", secret=True)
    mqtt_ca: str = _setting(
        "",
        "The file of the authority that signed the broker's certificate; the system's by default.",
        metavar="FILE",
    )
    mqtt_topic: str = _setting("picaption", "What the topics begin with.", metavar="TOPIC")
    mqtt_discovery: str = _setting(
        "homeassistant",
        "Home Assistant's prefix for discovery; empty: no discovery.",
        metavar="TOPIC",
    )

    mqtt_watch: str = _setting(
        "",
        "Classes or words, with commas between them: whether each is there, yes or no.",
        metavar="NAMES",
    )
    mqtt_images: bool = _setting(
        True, "Publish a picture when something changes, at most one a second."
    )
    mqtt_commands: bool = _setting(
        True, "Let Home Assistant pause, slow down, caption now and choose a bundle."
    )
    mqtt_area: str = _setting(
        "", "Where the camera is, such as Kitchen, for Home Assistant.", metavar="TEXT"
    )

    fleet: bool = _setting(
        False, "Publish this device's state to the broker, for picaption fleet status."
    )
    fleet_topic: str = _setting(
        "picaption-fleet", "What the topics of the fleet begin with.", metavar="TOPIC"
    )
    fleet_folder: str = _setting(
        "",
        "Where the files of roll-outs are kept; a service's folder for state, or the user's own, "
        "by default.",
        metavar="FOLDER",
    )
    fleet_schemes: str = _setting(
        "https",
        "Where such files may come from: https, http and file, with commas between them.",
        metavar="SCHEMES",
    )
    fleet_name: str = _setting(
        "", "What this device is called in the fleet; the host's name by default.", metavar="NAME"
    )

    event: tuple[Event, ...] = _setting(
        (),
        "What to do when something appears, such as "
        '\'word = "cat", run = ["notify-send", "{caption}"]\'; may be given again.',
        metavar="TABLE",
    )
    quiet_hours: str = _setting(
        "", "When no event happens, such as 22:00-07:00.", metavar="HH:MM-HH:MM"
    )
    snapshots: str = _setting(
        "", "The folder for the snapshots of events with save = true.", metavar="FOLDER"
    )
    snapshots_days: float = _setting(
        30.0, "Remove snapshots after so many days; 0: never.", click.FloatRange(0, 36500), "N"
    )
    snapshots_megabytes: float = _setting(
        1000.0,
        "Remove the oldest snapshots once they take more; 0: never.",
        click.FloatRange(0),
        "MB",
    )

    history: str = _setting(
        "", "Remember scenes in FILE, for `picaption search`; empty: nothing.", metavar="FILE"
    )
    history_days: float = _setting(
        90.0, "Forget scenes after so many days; 0: never.", click.FloatRange(0, 36500), "N"
    )
    history_megabytes: float = _setting(
        500.0,
        "Forget the oldest scenes once the file takes more; 0: never.",
        click.FloatRange(0),
        "MB",
    )
    history_images: str = _setting(
        "none",
        "What is remembered of the picture: full, a small one; blurred, its colours; none.",
        click.Choice(("full", "blurred", "none")),
        "HOW",
    )

    log_level: str = _setting(
        "warning",
        "debug, info, warning or error.",
        click.Choice(("debug", "info", "warning", "error"), case_sensitive=False),
        "LEVEL",
    )


#: The settings by name.
FIELDS = {field.name: field for field in dataclasses.fields(Config)}

#: The names of the secret ones.
SECRETS = tuple(name for name, field in FIELDS.items() if field.metadata["secret"])


#: The settings in the groups that the help shows.
GROUPS = {
    "Source and bundle": ("source", "camera", "bundle", "bundles", "public_keys", "threads"),
    "Camera": (
        *("size", "camera_fps", "rotate", "hflip", "vflip", "crop"),
        *("focus", "exposure", "gain", "stall", "retries"),
    ),
    "How often": (*("max_fps", "caption_every", "smoothing", "power_save", "frames", "seconds"),),
    "Terminal and files": (
        *("quiet", "json", "json_every", "json_megabytes", "json_files"),
        *("video", "video_megabytes", "window", "log_level"),
    ),
    "Page": ("web", "host", "port", "token", "frame_ancestors", "teach"),
    "Memory": ("history", "history_days", "history_megabytes", "history_images"),
    "MQTT and events": (
        *("mqtt", "mqtt_user", "mqtt_password", "mqtt_ca", "mqtt_topic", "mqtt_discovery"),
        *("mqtt_watch", "mqtt_images", "mqtt_commands", "mqtt_area"),
        *("fleet", "fleet_topic", "fleet_name", "fleet_folder", "fleet_schemes"),
        *("event", "quiet_hours", "snapshots", "snapshots_days", "snapshots_megabytes"),
    ),
}

#: The settings that are paths of files.
PATHS = (
    *("bundle", "bundles", "public_keys", "json", "video", "teach", "mqtt_ca", "snapshots"),
    *("fleet_folder", "history"),
)


def expand_home(config: Config) -> Config:
    """Return the settings with this user's folder in place of a ~ at the beginning of paths."""
    paths = {name: os.path.expanduser(getattr(config, name)) for name in PATHS}
    return dataclasses.replace(config, **paths)


@dataclass(frozen=True)
class CameraConfig(Config):
    """The settings that hold for one of several cameras.

    Attributes:
        camera_name: What it is called.
    """

    camera_name: str = ""


def camera_configs(config: Config) -> list[CameraConfig]:
    """Return the settings that hold for each of several cameras; none where there is one source.

    A camera's topic is its own, or stands below that of all.
    """
    common = {name: getattr(config, name) for name in FIELDS} | {"camera": ()}
    configs = []
    for camera in config.camera:
        topic = f"{config.mqtt_topic}/camera/{slug(camera.name)}"
        own = common | {"mqtt_topic": topic} | dict(camera.settings)
        configs.append(CameraConfig(**own, camera_name=camera.name))
    return configs


def option_name(name: str) -> str:
    """Return the option of a setting: "--max-fps" of "max_fps"."""
    return "--" + name.replace("_", "-")


def environment_name(name: str) -> str:
    """Return the environment variable of a secret setting: "PICAPTION_TOKEN" of "token"."""
    return f"PICAPTION_{name.upper()}"
