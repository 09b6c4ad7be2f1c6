"""What Home Assistant is told, over MQTT, of the sensors that there are."""

from .. import board

_CERTAIN = "value_json.classes and not value_json.unsure"
_CAPTION = "value_json.caption.text"
_DIAGNOSTIC = {"state_class": "measurement", "entity_category": "diagnostic"}

#: Home Assistant's sensors, by the ends of their unique ids. It takes no state beyond 255 characters; in its templates
#: "None" is the number, and "unknown" the text, that is not known.
SENSORS = {
    "caption": {
        "name": "Caption",
        "icon": "mdi:image-text",
        "value_template": "{{ %s[:255] if value_json.caption else 'unknown' }}" % _CAPTION,
        # Not the whole state: what differs from frame to frame would fill Home Assistant's database.
        "json_attributes_template": "{{ {'text': %s if value_json.caption else none, 'scene': value_json.scene, "
        "'tags': value_json.tags | map(attribute='name') | list} | tojson }}" % _CAPTION,
    },
    "class": {
        "name": "Class",
        "icon": "mdi:shape",
        "value_template": "{{ value_json.classes[0].name if %s else 'unknown' }}" % _CERTAIN,
    },
    "confidence": {
        "name": "Confidence",
        "icon": "mdi:percent",
        "unit_of_measurement": "%",
        "state_class": "measurement",
        "value_template": "{{ (value_json.classes[0].score * 100) | round(1) if %s else none }}"
        % _CERTAIN,
    },
    "fps": {
        "name": "Frames a second",
        "icon": "mdi:speedometer",
        "unit_of_measurement": "fps",
        "value_template": "{{ value_json.fps }}",
        **_DIAGNOSTIC,
    },
    "temperature": {
        "name": "Temperature",
        "device_class": "temperature",
        "unit_of_measurement": "°C",
        "value_template": "{{ value_json.temperature }}",
        **_DIAGNOSTIC,
    },
}


def discovery(prefix, topic, identity):
    """Return the (topic, payload) that describe to Home Assistant, from 2024.11 on, what is published below `topic`.

    prefix: what its discovery topics begin with; identity: of this machine and topic, in letters and digits. The form is the
    device discovery payload of https://www.home-assistant.io/integrations/mqtt/.
    """
    own, state = f"picaption_{identity}", f"{topic}/state"
    components = {
        name: {"platform": "sensor", "unique_id": f"{own}_{name}", **sensor}
        for name, sensor in SENSORS.items()
    }
    components["caption"]["json_attributes_topic"] = state
    device = {"identifiers": [own], "name": topic}
    if model := board.model():
        device["model"] = model
    return f"{prefix}/device/{own}/config", {
        "device": device,
        "origin": {"name": "picaption"},
        "components": components,
        "availability_topic": f"{topic}/status",
        "state_topic": state,
        "qos": 1,
    }
