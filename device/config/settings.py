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
        "auto, picamera2, a USB camera (usb:0, /dev/video0), a stream (rtsp://, http://), a video "
        'file, a folder of pictures, a pattern such as "*.jpg", or demo.',
        metavar="SOURCE",
    )
    camera: tuple[Camera, ...] = _setting(
        (),
        'One of several cameras, as a table such as \'name = "door", source = "usb:0"\'; may be '
        "given again.",
        metavar="TABLE",
    )
    bundle: str = _setting("", "The bundle to use; the shipped one by default.", metavar="PATH")
    bundles: str = _setting(
        "",
        "A folder of bundles that Home Assistant can choose from while the loop runs.",
        metavar="FOLDER",
    )
    public_keys: str = _setting(
        "",
        "Accept only bundles and updates that a key of this ring has signed (see picaption fleet "
        "keys); empty: accept all.",
        metavar="FILE",
    )
    threads: int = _setting(
        0, "Number of threads; 0: one per core, at most 4.", click.IntRange(0, 64), "N"
    )

    size: str = _setting(
        "640x480", "Frame size to request from cameras and the demo.", FrameSize(), "WxH"
    )
    camera_fps: float = _setting(
        0.0,
        "Frames per second to request from the camera; 0: its own choice.",
        click.FloatRange(0, 240),
        "N",
    )
    rotate: int = _setting(
        0,
        "Rotate the picture clockwise by 90, 180 or 270 degrees.",
        click.Choice((0, 90, 180, 270)),
        "DEGREES",
    )
    hflip: bool = _setting(False, "Mirror the picture left to right.")
    vflip: bool = _setting(False, "Flip the picture top to bottom.")
    crop: tuple[float, ...] = _setting(
        (),
        "Use only this part of the rotated picture: left,top,right,bottom as fractions of its "
        "sides, such as 0.25,0,0.75,1.",
        Crop(),
        "SHARES",
    )
    focus: str = _setting(
        "",
        "continuous, once, or a fixed distance in dioptres (1 / metres); empty: the camera's own "
        "choice.",
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
        "Give up, with exit code 75, after N failures of a camera in a row.",
        click.IntRange(0),
        "N",
    )

    max_fps: float = _setting(
        0.0,
        "Process at most N frames per second; 0: as many as possible.",
        click.FloatRange(0),
        "N",
    )
    caption_every: float = _setting(
        10.0,
        "Caption again after S seconds even if the scene has not changed; 0: every frame.",
        click.FloatRange(0),
        "S",
    )
    smoothing: float = _setting(
        0.5,
        "Average scores over about S seconds; 0: use each frame's own.",
        click.FloatRange(0, 60),
        "S",
    )
    power_save: bool = _setting(False, "Process one frame per second while nothing changes.")
    frames: int = _setting(0, "Stop after N frames.", click.IntRange(0), "N")
    seconds: float = _setting(0.0, "Stop after S seconds.", click.FloatRange(0), "S")

    quiet: bool = _setting(False, "Show only errors.")
    json: str = _setting("", "Write JSON lines to FILE; - is standard output.", metavar="FILE")
    json_every: float = _setting(
        10.0,
        "Write a line when something changes, and at least every S seconds; 0: for every frame.",
        click.FloatRange(0),
        "S",
    )
    json_megabytes: float = _setting(
        100.0,
        "Start a new file when this one reaches MB megabytes; 0: never.",
        click.FloatRange(0),
        "MB",
    )
    json_files: int = _setting(3, "Keep N older files of JSON lines.", click.IntRange(1, 1000), "N")
    video: str = _setting(
        "", "Write the annotated video to FILE: .mp4, .avi or .webm.", metavar="FILE"
    )
    video_megabytes: float = _setting(
        0.0, "End the video when it reaches MB megabytes; 0: never.", click.FloatRange(0), "MB"
    )
    window: bool = _setting(False, "Show the annotated picture in a window.")

    web: bool = _setting(False, "Serve the live page.")
    host: str = _setting(
        "127.0.0.1",
        "Address that the server listens on; any but this computer's own needs a token.",
        metavar="ADDRESS",
    )
    port: int = _setting(8080, "The server's port; 0: any free one.", click.IntRange(0, 65535), "N")
    token: str = _setting(
        "", "Token that clients must send, at least 16 characters.", metavar="TEXT", secret=True
    )

    frame_ancestors: str = _setting(
        "",
        "Sites that may show the page in a frame, such as http://homeassistant.local:8123; empty: "
        "none.",
        metavar="ORIGINS",
    )

    teach: str = _setting(
        "",
        "Folder of class folders for the page that teaches new classes; empty: no such page.",
        metavar="FOLDER",
    )

    mqtt: str = _setting(
        "", "Publish to the MQTT broker at HOST, HOST:PORT or mqtts://HOST.", metavar="BROKER"
    )
    mqtt_user: str = _setting("", "User name at the broker.", metavar="NAME")
    mqtt_password: str = _setting("", "Password at the broker.", metavar="TEXT", secret=True)
    mqtt_ca: str = _setting(
        "",
        "Certificate of the authority that signed the broker's; the system's by default.",
        metavar="FILE",
    )
    mqtt_topic: str = _setting("picaption", "Prefix of the topics.", metavar="TOPIC")
    mqtt_discovery: str = _setting(
        "homeassistant",
        "Home Assistant's prefix for discovery; empty: no discovery.",
        metavar="TOPIC",
    )

    mqtt_watch: str = _setting(
        "",
        "Classes or words, separated by commas, to report as present or absent.",
        metavar="NAMES",
    )
    mqtt_images: bool = _setting(
        True, "Publish a picture when something changes, at most one per second."
    )
    mqtt_commands: bool = _setting(
        True, "Accept orders: pause, slow down, caption now, choose a bundle."
    )
    mqtt_area: str = _setting(
        "", "The camera's area in Home Assistant, such as Kitchen.", metavar="TEXT"
    )

    fleet: bool = _setting(False, "Publish this device's state for picaption fleet status.")
    fleet_topic: str = _setting("picaption-fleet", "Prefix of the fleet's topics.", metavar="TOPIC")
    fleet_images: bool = _setting(False, "Publish a small picture too, for picaption fleet serve.")
    fleet_folder: str = _setting(
        "",
        "Folder for the files of roll-outs; by default the service's state folder, or the user's.",
        metavar="FOLDER",
    )
    fleet_schemes: str = _setting(
        "https",
        "Schemes that such files may come by: https, http and file, separated by commas.",
        metavar="SCHEMES",
    )
    fleet_name: str = _setting(
        "", "This device's name in the fleet; the host's name by default.", metavar="NAME"
    )

    event: tuple[Event, ...] = _setting(
        (),
        "What to do when something appears, such as "
        '\'word = "cat", run = ["notify-send", "{caption}"]\'. Repeat it for each one.',
        metavar="TABLE",
    )
    quiet_hours: str = _setting(
        "", "Hours without events, such as 22:00-07:00.", metavar="HH:MM-HH:MM"
    )
    snapshots: str = _setting(
        "", "Folder for the snapshots of events with save = true.", metavar="FOLDER"
    )
    snapshots_days: float = _setting(
        30.0, "Remove snapshots after N days; 0: never.", click.FloatRange(0, 36500), "N"
    )
    snapshots_megabytes: float = _setting(
        1000.0,
        "Remove the oldest snapshots when they exceed MB megabytes; 0: never.",
        click.FloatRange(0),
        "MB",
    )

    history: str = _setting(
        "",
        "Remember scenes in FILE, for `picaption search`; empty: remember nothing.",
        metavar="FILE",
    )
    history_days: float = _setting(
        90.0, "Forget scenes after N days; 0: never.", click.FloatRange(0, 36500), "N"
    )
    history_megabytes: float = _setting(
        500.0,
        "Forget the oldest scenes when the file exceeds MB megabytes; 0: never.",
        click.FloatRange(0),
        "MB",
    )
    history_images: str = _setting(
        "none",
        "How to remember pictures: full (a small one), blurred (its colours) or none.",
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
    "Pace": (*("max_fps", "caption_every", "smoothing", "power_save", "frames", "seconds"),),
    "Terminal and files": (
        *("quiet", "json", "json_every", "json_megabytes", "json_files"),
        *("video", "video_megabytes", "window", "log_level"),
    ),
    "Page": ("web", "host", "port", "token", "frame_ancestors", "teach"),
    "Memory": ("history", "history_days", "history_megabytes", "history_images"),
    "MQTT and events": (
        *("mqtt", "mqtt_user", "mqtt_password", "mqtt_ca", "mqtt_topic", "mqtt_discovery"),
        *("mqtt_watch", "mqtt_images", "mqtt_commands", "mqtt_area"),
        *("fleet", "fleet_topic", "fleet_name", "fleet_images", "fleet_folder", "fleet_schemes"),
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
