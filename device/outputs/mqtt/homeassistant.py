"""The device that picaption is to Home Assistant, as one message describes it."""

import platform
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any
from urllib.parse import quote

from ... import board
from ...config.checks import is_loopback
from ...config.settings import CameraConfig, Config
from ..subjects import Subject
from . import components
from .address import parse_address
from .versions import program_version

#: A machine that listens at one of these is reached by its name.
_ANY_ADDRESS = ("0.0.0.0", "::", "")


#: What belongs to the board, where it has several cameras.
BOARD_COMPONENTS = frozenset(
    ["temperature", "throttled", "pause", "max_fps", "bundle", "update", "update_bundle"]
)


class Share(Enum):
    """What a device of Home Assistant is.

    With several cameras each is a device of its own, reached via the board's.
    """

    ALL = "the board and its only camera"
    BOARD = "the board of several cameras"
    CAMERA = "one of several cameras"


@dataclass(frozen=True)
class Offered:
    """What there is to describe, beyond the settings.

    Attributes:
        subjects: What is watched, in the order of the state's "watched".
        bundles: The bundles to choose from.
        is_throttling_known: Whether the board says what holds it back.
        has_control: Whether the loop does what it is asked for.
        share: What the device is.
        board_identity: Of one of several cameras, what the board's device is called.
    """

    subjects: Sequence[Subject] = ()
    bundles: Sequence[str] = ()
    is_throttling_known: bool = False
    has_control: bool = True
    share: Share = Share.ALL
    board_identity: str = ""


def discovery(config: Config, identity: str, offered: Offered) -> tuple[str, dict[str, Any]]:
    """Return the topic and payload that describe to Home Assistant what is published.

    The form is the device discovery payload of
    https://www.home-assistant.io/integrations/mqtt/, from Home Assistant 2024.11 on.

    Args:
        config: The settings of mqtt.
        identity: Letters and digits that are this machine's and topic's.
        offered: What there is to describe.
    """
    own_id = f"picaption_{identity}"
    topic = config.mqtt_topic
    described = {
        name: {"unique_id": f"{own_id}_{name}", "qos": 1, **component}
        for name, component in _components(config, offered).items()
    }
    return f"{config.mqtt_discovery}/device/{own_id}/config", {
        "device": {"identifiers": [own_id], **_device(config, offered)},
        "origin": {"name": "picaption", "sw_version": program_version()},
        "components": described,
        "availability_topic": f"{topic}/status",
        "state_topic": f"{topic}/state",
        "qos": 1,
    }


def _components(config: Config, offered: Offered) -> dict[str, dict[str, Any]]:
    described = _all_components(config, offered)
    if offered.share is Share.ALL:
        return described
    is_board = offered.share is Share.BOARD
    return {
        name: component
        for name, component in described.items()
        if (name in BOARD_COMPONENTS) == is_board
    }


def _all_components(config: Config, offered: Offered) -> dict[str, dict[str, Any]]:
    topic = config.mqtt_topic
    described: dict[str, dict[str, Any]] = {
        name: {"platform": "sensor", **sensor} for name, sensor in components.sensors(topic).items()
    }
    for subject in offered.subjects:
        described[f"last_seen_{components.slug(subject.name)}"] = {
            "platform": "sensor",
            **components.sighting_sensor(topic, subject.name),
        }
    binary = {
        f"watch_{components.slug(subject.name)}": components.presence_sensor(subject.name, index)
        for index, subject in enumerate(offered.subjects)
    }
    can_command = config.mqtt_commands and offered.has_control
    if can_command:
        # What is looked for at Home Assistant's request comes last.
        binary["looked_for"] = components.presence_sensor("Looked for", len(offered.subjects))
    if offered.is_throttling_known:
        binary["throttled"] = components.throttling_sensor()
    for name, sensor in binary.items():
        described[name] = {"platform": "binary_sensor", **sensor}
    if config.mqtt_images:
        described |= components.images(topic)
    described["event"] = components.event(topic)
    described |= components.triggers(topic, offered.subjects)
    if can_command:
        described |= components.controls(topic, offered.bundles)
    return described | components.updates(topic, can_command)


def _device(config: Config, offered: Offered) -> dict[str, str]:
    """Return what is known of the device for Home Assistant's page of it."""
    if isinstance(config, CameraConfig):
        page = _page_address(config)
        query = f"?camera={quote(config.camera_name)}"
        camera = {
            "name": config.camera_name,
            "model": "Camera of picaption",
            "sw_version": program_version(),
            "via_device": f"picaption_{offered.board_identity}",
            "suggested_area": config.mqtt_area,
            "configuration_url": page and page + query,
        }
        return {name: value for name, value in camera.items() if value}
    model = board.model()
    revision = re.search(r"\bRev [\w.]+", model or "")
    details = {
        "name": config.mqtt_topic,
        "manufacturer": "Raspberry Pi" if (model or "").startswith("Raspberry Pi") else "",
        "model": model,
        "hw_version": revision[0] if revision else platform.machine(),
        "serial_number": board.serial_number(),
        "sw_version": program_version(),
        "suggested_area": config.mqtt_area,
        "configuration_url": _page_address(config),
    }
    return {name: value for name, value in details.items() if value}


def _page_address(config: Config) -> str:
    """Return the address of the page; "" if there is none that Home Assistant's users can open."""
    if not config.web or not config.port:
        return ""
    host = config.host
    if is_loopback(host) and not is_loopback(parse_address(config.mqtt).host):
        return ""
    if host in _ANY_ADDRESS:
        host = f"{socket.gethostname().partition('.')[0]}.local"
    if ":" in host:
        host = f"[{host}]"
    return f"http://{host}:{config.port}/"
