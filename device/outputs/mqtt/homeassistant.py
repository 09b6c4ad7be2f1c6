"""The sensors that picaption describes to Home Assistant over MQTT."""

from typing import Any

from ... import board

#: Home Assistant takes no state of more characters.
MAX_STATE = 255

# Expressions of Home Assistant's templates, which are Jinja's.
_CERTAIN = "value_json.classes and not value_json.unsure"
_CAPTION = "value_json.caption.text"
_DIAGNOSTIC = {"state_class": "measurement", "entity_category": "diagnostic"}


def _template(expression: str) -> str:
    return "{{ " + expression + " }}"


#: Home Assistant's sensors, by the ends of their unique ids. In its templates "None" stands for a
#: number that is not known, "unknown" for a text.
SENSORS: dict[str, dict[str, Any]] = {
    "caption": {
        "name": "Caption",
        "icon": "mdi:image-text",
        "value_template": _template(
            f"{_CAPTION}[:{MAX_STATE}] if value_json.caption else value_json.silence or 'unknown'"
        ),
        # Not the complete state: what differs from frame to frame would fill Home Assistant's
        # database.
        "json_attributes_template": _template(
            f"{{'text': {_CAPTION} if value_json.caption else none, "
            "'confidence': value_json.caption.confidence if value_json.caption else none, "
            "'scene': value_json.scene, "
            "'silence': value_json.silence, "
            "'tags': value_json.tags | map(attribute='name') | list} | tojson"
        ),
    },
    "class": {
        "name": "Class",
        "icon": "mdi:shape",
        "value_template": _template(
            f"value_json.classes[0].name[:{MAX_STATE}] if {_CERTAIN} else 'unknown'"
        ),
    },
    "confidence": {
        "name": "Confidence",
        "icon": "mdi:percent",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "value_template": _template(
            f"(value_json.classes[0].score * 100) | round(1) if {_CERTAIN} else none"
        ),
    },
    "fps": {
        "name": "Frames a second",
        "icon": "mdi:speedometer",
        "unit_of_measurement": "fps",
        "value_template": _template("value_json.fps"),
        **_DIAGNOSTIC,
    },
    "temperature": {
        "name": "Temperature",
        "device_class": "temperature",
        "unit_of_measurement": "°C",
        "value_template": _template("value_json.temperature"),
        **_DIAGNOSTIC,
    },
}


def discovery(prefix: str, topic: str, identity: str) -> tuple[str, dict[str, Any]]:
    """Return the topic and payload that describe to Home Assistant what is published.

    The form is the device discovery payload of
    https://www.home-assistant.io/integrations/mqtt/, from Home Assistant 2024.11 on.

    Args:
        prefix: What Home Assistant's discovery topics begin with.
        topic: What is published lies below this topic.
        identity: Letters and digits that are this machine's and topic's.
    """
    own_id = f"picaption_{identity}"
    components = {
        name: {"platform": "sensor", "unique_id": f"{own_id}_{name}", **sensor}
        for name, sensor in SENSORS.items()
    }
    components["caption"]["json_attributes_topic"] = f"{topic}/state"
    device: dict[str, Any] = {"identifiers": [own_id], "name": topic}
    model = board.model()
    if model:
        device["model"] = model
    return f"{prefix}/device/{own_id}/config", {
        "device": device,
        "origin": {"name": "picaption"},
        "components": components,
        "availability_topic": f"{topic}/status",
        "state_topic": f"{topic}/state",
        "qos": 1,
    }
