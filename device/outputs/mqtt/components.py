"""The components of picaption as Home Assistant's MQTT integration takes them.

Where a value stands is written in templates, which are Jinja's. No name of a class or a word stands
in one: names are anyone's, and templates are programs.
"""

import hashlib
import re
from collections.abc import Sequence
from typing import Any

from ..control import MAX_RATE
from ..subjects import Subject

#: Home Assistant takes no state of more characters.
MAX_STATE = 255
#: What an event may be: another scene or caption, and a subject that appears or goes.
EVENT_TYPES = ("scene", "caption", "appeared", "gone")

_CERTAIN = "value_json.classes and not value_json.unsure"
_CAPTION = "value_json.caption.text"
_DIAGNOSTIC = {"entity_category": "diagnostic"}
_MEASUREMENT = {"state_class": "measurement"}


def template(expression: str) -> str:
    """Return a template that is an expression."""
    return "{{ " + expression + " }}"


def sensors(topic: str) -> dict[str, dict[str, Any]]:
    """Return the sensors by the ends of their unique ids.

    In their templates "None" stands for a number that is not known, "unknown" for a text.

    Args:
        topic: What is published lies below it.
    """
    caption = {
        "name": "Caption",
        "icon": "mdi:image-text",
        "value_template": template(
            f"{_CAPTION}[:{MAX_STATE}] if value_json.caption else value_json.silence or 'unknown'"
        ),
        # Not the complete state: what differs from frame to frame would fill Home Assistant's
        # database.
        "json_attributes_topic": f"{topic}/state",
        "json_attributes_template": template(
            f"{{'text': {_CAPTION} if value_json.caption else none, "
            "'confidence': value_json.caption.confidence if value_json.caption else none, "
            "'scene': value_json.scene, "
            "'silence': value_json.silence, "
            "'tags': value_json.tags | map(attribute='name') | list} | tojson"
        ),
    }
    best_class = {
        "name": "Class",
        "icon": "mdi:shape",
        "value_template": template(
            f"value_json.classes[0].name[:{MAX_STATE}] if {_CERTAIN} else 'unknown'"
        ),
    }
    return {
        "caption": caption,
        "class": best_class,
        "confidence": {
            "name": "Confidence",
            **_percent(f"value_json.classes[0].score if {_CERTAIN} else none"),
        },
        "caption_confidence": {
            "name": "Caption confidence",
            **_percent("value_json.caption.confidence if value_json.caption else none"),
        },
        "fps": {
            "name": "Frames per second",
            "icon": "mdi:speedometer",
            "unit_of_measurement": "fps",
            "value_template": template("value_json.fps"),
            **_MEASUREMENT,
            **_DIAGNOSTIC,
        },
        "latency": {
            "name": "Time per frame",
            "device_class": "duration",
            "unit_of_measurement": "ms",
            "value_template": template("value_json.timings_ms.total | round(1)"),
            **_MEASUREMENT,
            **_DIAGNOSTIC,
        },
        "temperature": {
            "name": "Temperature",
            "device_class": "temperature",
            "unit_of_measurement": "°C",
            "value_template": template("value_json.temperature"),
            **_MEASUREMENT,
            **_DIAGNOSTIC,
        },
        "source": {
            "name": "Source",
            "icon": "mdi:video-input-component",
            "value_template": template(f"(value_json.source or 'unknown')[:{MAX_STATE}]"),
            **_DIAGNOSTIC,
        },
    }


def _percent(expression: str) -> dict[str, Any]:
    return {
        "icon": "mdi:percent",
        "unit_of_measurement": "%",
        "suggested_display_precision": 0,
        "value_template": (
            f"{{% set share = {expression} %}}"
            "{{ none if share is none else (share * 100) | round(1) }}"
        ),
        **_MEASUREMENT,
    }


def throttling_sensor() -> dict[str, Any]:
    """Return the sensor of what holds the board back, such as a weak power supply."""
    return {
        "name": "Held back",
        "device_class": "problem",
        "value_template": _yes_or_no("value_json.throttled | length > 0"),
        **_DIAGNOSTIC,
    }


def presence_sensor(name: str, index: int) -> dict[str, Any]:
    """Return the sensor of whether something is there.

    Args:
        name: How Home Assistant calls it.
        index: Where it stands in the state's "watched".
    """
    watched = f"value_json.watched[{index}].present"
    return {
        "name": name,
        "device_class": "occupancy",
        # Of a frame in which there is nothing to see it is not known.
        "value_template": template(f"none if {watched} is none else 'ON' if {watched} else 'OFF'"),
    }


def sighting_sensor(topic: str, name: str) -> dict[str, Any]:
    """Return the sensor of when something was last there.

    Args:
        topic: What is published lies below it.
        name: What is watched.
    """
    return {
        "name": f"{name} last seen",
        "device_class": "timestamp",
        # Of its own, which the broker retains: it outlives this program.
        "state_topic": f"{topic}/{sighting_topic(name)}",
        "value_template": template("value_json.last_seen"),
    }


def sighting_topic(name: str) -> str:
    """Return where it is published, below the topic, when something was last there."""
    return f"last_seen/{slug(name)}"


def _yes_or_no(condition: str) -> str:
    return template(f"'ON' if {condition} else 'OFF'")


def images(topic: str) -> dict[str, dict[str, Any]]:
    """Return what shows the last picture: an image, and a camera for what asks for one."""
    return {
        "image": {
            "platform": "image",
            "name": "Picture",
            "image_topic": f"{topic}/picture",
            "content_type": "image/jpeg",
        },
        "camera": {"platform": "camera", "name": "Camera", "topic": f"{topic}/picture"},
    }


def event(topic: str) -> dict[str, Any]:
    """Return the entity of what happens."""
    return {
        "platform": "event",
        "name": "Event",
        "icon": "mdi:bell-ring",
        "state_topic": f"{topic}/event",
        "event_types": list(EVENT_TYPES),
    }


def triggers(topic: str, subjects: Sequence[Subject]) -> dict[str, dict[str, Any]]:
    """Return the triggers that automations of the device may choose.

    Args:
        topic: What is published lies below it.
        subjects: What is watched.
    """
    components = {
        "trigger_scene": _trigger(topic, "scene", "", "changed", "scene"),
        "trigger_caption": _trigger(topic, "caption", "", "changed", "caption"),
    }
    for subject in subjects:
        for event_type in ("appeared", "gone"):
            components[f"trigger_{slug(subject.name)}_{event_type}"] = _trigger(
                topic, event_type, subject.name, event_type, subject.name
            )
    return components


def _trigger(
    topic: str, event_type: str, name: str, trigger_type: str, subtype: str
) -> dict[str, Any]:
    return {
        "platform": "device_automation",
        "automation_type": "trigger",
        "topic": f"{topic}/event",
        "value_template": template("value_json.event_type ~ ':' ~ value_json.name"),
        "payload": f"{event_type}:{name}",
        "type": trigger_type,
        "subtype": subtype,
    }


def controls(topic: str, bundles: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what changes the live run.

    Args:
        topic: What is published lies below it.
        bundles: The bundles to choose from.
    """
    components: dict[str, dict[str, Any]] = {
        "pause": {
            "platform": "switch",
            "name": "Pause",
            "icon": "mdi:pause",
            "value_template": _yes_or_no("value_json.paused"),
            **_commanded(topic, "pause"),
        },
        "max_fps": {
            "platform": "number",
            "name": "Max frames per second",
            "icon": "mdi:speedometer-slow",
            "min": 0,
            "max": MAX_RATE,
            "step": 0.1,
            "mode": "box",
            "unit_of_measurement": "fps",
            "value_template": template("value_json.max_fps"),
            "entity_category": "config",
            **_commanded(topic, "max_fps"),
        },
        "caption_now": {
            "platform": "button",
            "name": "Caption now",
            "icon": "mdi:text-box-search",
            "command_topic": f"{topic}/set/caption",
        },
        "look_for": {
            "platform": "text",
            "name": "Look for",
            "icon": "mdi:magnify",
            "min": 0,
            "max": 64,
            "value_template": template("value_json.look_for"),
            **_commanded(topic, "look_for"),
        },
    }
    if bundles:
        components["bundle"] = {
            "platform": "select",
            "name": "Bundle",
            "icon": "mdi:brain",
            "options": list(bundles),
            "value_template": template("value_json.bundle"),
            "entity_category": "config",
            **_commanded(topic, "bundle"),
        }
    return components


def _commanded(topic: str, command: str) -> dict[str, str]:
    return {"state_topic": f"{topic}/control", "command_topic": f"{topic}/set/{command}"}


def updates(topic: str, can_reload: bool) -> dict[str, dict[str, Any]]:
    """Return what tells that a newer version, or another bundle, lies on the disk already.

    Args:
        topic: What is published lies below it.
        can_reload: Whether Home Assistant may have the bundle read again.
    """
    bundle: dict[str, Any] = {
        "platform": "update",
        "name": "Bundle file",
        "title": "Bundle",
        "state_topic": f"{topic}/update/bundle",
    }
    if can_reload:
        bundle |= {"command_topic": f"{topic}/set/reload", "payload_install": "RELOAD"}
    program = {
        "platform": "update",
        "name": "Program",
        "title": "picaption",
        "device_class": "firmware",
        "state_topic": f"{topic}/update/program",
    }
    return {"update": program, "update_bundle": bundle}


def slug(name: str) -> str:
    """Return letters, digits and _ that stand for a name, and for no other."""
    readable = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:32]
    return f"{readable}_{hashlib.sha256(name.encode()).hexdigest()[:6]}"
