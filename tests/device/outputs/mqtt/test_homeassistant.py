"""What Home Assistant makes of the discovery: its templates are Jinja's."""

import json
import re

import jinja2

from picaption.device import board
from picaption.device.outputs.mqtt.homeassistant import discovery
from tests.device.fakes.standins import recognition, silent


def test_the_discovery_has_what_home_assistant_requires(monkeypatch):
    monkeypatch.setattr(board, "model", lambda: "Raspberry Pi 5")
    topic, payload = discovery("ha", "home/camera", "0123456789ab")
    assert re.fullmatch(r"ha/device/[a-zA-Z0-9_-]+/config", topic)
    assert payload["device"] == {
        "identifiers": ["picaption_0123456789ab"],
        "name": "home/camera",
        "model": "Raspberry Pi 5",
    }
    assert payload["origin"]["name"] and payload["availability_topic"] == "home/camera/status"
    assert (
        payload["state_topic"]
        == payload["components"]["caption"]["json_attributes_topic"]
        == "home/camera/state"
    )
    sensors = payload["components"]
    assert list(sensors) == ["caption", "class", "confidence", "fps", "temperature"]
    assert all(sensor["platform"] == "sensor" and sensor["name"] for sensor in sensors.values())
    assert len({sensor["unique_id"] for sensor in sensors.values()}) == 5


def rendered(result, **figures):
    """Return what Home Assistant's sensors say of a recognition: the templates are Jinja's."""
    state = json.loads(json.dumps({**result.to_json(), "fps": 4.2, "temperature": 51.5, **figures}))
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    sensors = discovery("ha", "home/camera", "0")[1]["components"]
    values = {
        name: environment.from_string(sensor["value_template"]).render(value_json=state)
        for name, sensor in sensors.items()
    }
    attributes = environment.from_string(sensors["caption"]["json_attributes_template"]).render(
        value_json=state
    )
    return values, json.loads(attributes)


def test_the_sensors_values():
    values, attributes = rendered(recognition("a cat's 'tail' <b>"))
    assert values == {
        "caption": "a cat's 'tail' <b>",
        "class": "cat",
        "confidence": "97.0",
        "fps": "4.2",
        "temperature": "51.5",
    }
    assert attributes == {
        "text": "a cat's 'tail' <b>",
        "confidence": None,
        "scene": 0,
        "silence": None,
        "tags": ["cat", "eyes"],
    }
    assert rendered(recognition(confidence=0.75))[1]["confidence"] == 0.75
    values, attributes = rendered(recognition("x" * 300))
    assert len(values["caption"]) == 255 and len(attributes["text"]) == 300
    for nothing in (
        recognition(None, classes=(), tags=()),
        recognition(None, unsure=True, tags=()),
    ):
        values, attributes = rendered(nothing, fps=None, temperature=None)
        assert values == {
            "caption": "unknown",
            "class": "unknown",
            "confidence": "None",
            "fps": "None",
            "temperature": "None",
        }
        assert attributes == {
            "text": None,
            "confidence": None,
            "scene": 0,
            "silence": None,
            "tags": [],
        }


def test_where_there_is_nothing_to_see_the_caption_says_so_and_no_class_is_known():
    values, attributes = rendered(silent())
    assert values["caption"] == attributes["silence"] == "too dark to tell"
    assert (values["class"], values["confidence"]) == ("unknown", "None")
    assert attributes["text"] is None


def test_states_are_as_long_as_home_assistant_takes_them():
    values, _ = rendered(recognition("a " * 200, classes=(("<b>" * 200, 0.97),)))
    assert values["class"] == "<b>" * 85 and len(values["caption"]) <= 255
