"""From tables [[camera]] to Cameras: what is wrong with one is a line that names it."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import PicaptionError
from .camera import CAMERA_SETTINGS, Camera, slug
from .checks import check_config, check_value, make_event, requirement, suggestion
from .settings import FIELDS, Config, camera_configs

#: Cameras at most, and characters of a name.
MAX_CAMERAS = 64
MAX_NAME = 64


def make_camera(table: Any, origin: str) -> Camera:
    """Return the Camera that a TOML table describes.

    Args:
        table: The table, of any content.
        origin: Where it comes from; an error begins with it.

    Raises:
        PicaptionError: It describes none.
    """
    need = requirement(f"{origin}: camera")
    need(isinstance(table, dict), "write each one as a table [[camera]]")
    entries = ("name", *CAMERA_SETTINGS)
    for entry in table:
        need(
            entry in entries,
            f"it has no entry {entry!r}{suggestion(entry.replace('-', '_'), entries)}; "
            f"there are: {', '.join(entries)}",
        )
    name = table.get("name", "")
    need(type(name) is str, f"name = {name!r} is not a text")
    need(bool(name), "give each one a name")
    need(
        len(name) <= MAX_NAME and name.isprintable() and bool(slug(name)),
        f"name = {name[:MAX_NAME]!r}: it has letters or digits, no control characters, "
        f"and at most {MAX_NAME} characters",
    )
    need(bool(table.get("source")), f"{name!r} has no source; give it one")
    origin = f"{origin}: camera {name!r}"
    settings = {entry: value for entry, value in table.items() if entry != "name"}
    for entry, value in settings.items():
        if entry == "event":
            if not isinstance(value, list):
                raise PicaptionError(f"{origin}: event: write each one as [[camera.event]]")
            settings[entry] = tuple(make_event(event, origin) for event in value)
        else:
            settings[entry] = check_value(FIELDS[entry], value, origin)
    return Camera(name, settings)


def check_cameras(config: Config, origins: Mapping[str, str]) -> None:
    """Check the cameras beside the other settings, and beside each other.

    Args:
        config: The settings.
        origins: Where each of them comes from; an error begins with it.

    Raises:
        PicaptionError: They make no sense together.
    """
    if not config.camera:
        return
    origin = origins["camera"]
    _check_names([camera.name for camera in config.camera], origin)
    if "source" in origins:
        raise PicaptionError(
            f"{origins['source']}: source: each [[camera]] has one of its own; leave this one out"
        )
    topics = {config.mqtt_topic: "the board"}
    for own in camera_configs(config):
        own_origin = f"{origin}: camera {own.camera_name!r}"
        check_config(own, dict.fromkeys(FIELDS, own_origin))
        if own.mqtt_topic in topics:
            raise PicaptionError(
                f"{own_origin}: mqtt_topic {own.mqtt_topic!r} is that of "
                f"{topics[own.mqtt_topic]}; give it another"
            )
        topics[own.mqtt_topic] = f"the camera {own.camera_name!r}"


def _check_names(names: Sequence[str], origin: str) -> None:
    if len(names) > MAX_CAMERAS:
        raise PicaptionError(f"{origin}: camera: {len(names)} are more than {MAX_CAMERAS}")
    slugs: dict[str, str] = {}
    for name in names:
        if name in slugs.values():
            raise PicaptionError(f"{origin}: camera: two are called {name!r}; rename one")
        if slug(name) in slugs:
            raise PicaptionError(
                f"{origin}: camera: the names {slugs[slug(name)]!r} and {name!r} differ too "
                "little for topics and files; rename one"
            )
        slugs[slug(name)] = name
