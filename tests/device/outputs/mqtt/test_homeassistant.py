"""What Home Assistant makes of the discovery: its templates are Jinja's.

The device is held against the options that Home Assistant's documentation of its MQTT platforms
lists; tests/tools/test_press_home_assistant.py has Home Assistant itself take it.
"""

import json
import re

import jinja2
import pytest

from picaption.device import board
from picaption.device.config.settings import Config
from picaption.device.outputs.mqtt.components import EVENT_TYPES, slug
from picaption.device.outputs.mqtt.homeassistant import Offered, discovery
from picaption.device.outputs.subjects import Subject
from tests.device.fakes.standins import recognition, silent

CONFIG = Config(mqtt="broker", mqtt_topic="home/camera", mqtt_discovery="ha")
SUBJECTS = (Subject("person", True), Subject("{{ 'cat' }}", False))
OFFERED = Offered(SUBJECTS, ("everyday", "mine"), is_throttling_known=True)

#: The options of every platform: what it has to have, and what it may have beside.
ENTITY = {"unique_id", "name", "icon", "entity_category", "qos"}
STATE = ENTITY | {"state_topic", "value_template", "json_attributes_topic"}
STATE |= {"json_attributes_template"}
NUMBERS = {"device_class", "unit_of_measurement", "state_class", "suggested_display_precision"}
COMMAND = {"command_topic"}
PLATFORMS = {
    "sensor": (set(), STATE | NUMBERS),
    "binary_sensor": (set(), STATE | {"device_class"}),
    "image": ({"image_topic"}, ENTITY | {"content_type"}),
    "camera": ({"topic"}, ENTITY),
    "event": ({"event_types", "state_topic"}, STATE | {"device_class"}),
    "switch": (COMMAND, STATE),
    "number": (COMMAND, STATE | {"min", "max", "step", "mode", "unit_of_measurement"}),
    "button": (COMMAND, ENTITY | {"payload_press"}),
    "text": (COMMAND, STATE | {"min", "max", "pattern", "mode"}),
    "select": (COMMAND | {"options"}, STATE),
    "update": ({"state_topic"}, STATE | COMMAND | {"payload_install", "title", "device_class"}),
    "device_automation": (
        {"automation_type", "topic", "type", "subtype"},
        {"payload", "value_template", "qos", "unique_id"},
    ),
}


def components(config=CONFIG, offered=OFFERED):
    return discovery(config, "0123456789ab", offered)[1]["components"]


def test_the_device_says_what_it_is(monkeypatch):
    monkeypatch.setattr(board, "model", lambda: "Raspberry Pi 5 Model B Rev 1.0")
    monkeypatch.setattr(board, "serial_number", lambda: "10000000abcdef01")
    config = Config(
        **vars(CONFIG) | {"mqtt_area": "Kitchen", "web": True, "host": "192.168.1.9", "port": 8080}
    )
    topic, payload = discovery(config, "0123456789ab", OFFERED)
    assert re.fullmatch(r"ha/device/[a-zA-Z0-9_-]+/config", topic)
    version = payload["device"].pop("sw_version")
    assert re.match(r"\d+\.\d+", version)
    assert payload["device"] == {
        "identifiers": ["picaption_0123456789ab"],
        "name": "home/camera",
        "manufacturer": "Raspberry Pi",
        "model": "Raspberry Pi 5 Model B Rev 1.0",
        "hw_version": "Rev 1.0",
        "serial_number": "10000000abcdef01",
        "suggested_area": "Kitchen",
        "configuration_url": "http://192.168.1.9:8080/",
    }
    assert payload["origin"] == {"name": "picaption", "sw_version": version}
    assert payload["availability_topic"] == "home/camera/status"
    assert payload["state_topic"] == "home/camera/state"


@pytest.mark.parametrize(
    ("changes", "address"),
    [
        ({"web": True}, ""),  # This computer's own, which Home Assistant's users are not at.
        ({"web": True, "mqtt": "127.0.0.1"}, "http://127.0.0.1:8080/"),
        ({"web": True, "host": "::1", "mqtt": "[::1]"}, "http://[::1]:8080/"),
        ({"web": True, "host": "0.0.0.0"}, "http://pi.local:8080/"),
        ({"web": True, "host": "0.0.0.0", "port": 0}, ""),
        ({"host": "192.168.1.9"}, ""),
    ],
)
def test_the_address_of_the_page_is_one_that_opens(monkeypatch, changes, address):
    monkeypatch.setattr("socket.gethostname", lambda: "pi.lan")
    payload = discovery(Config(**vars(CONFIG) | changes), "0", OFFERED)[1]
    assert payload["device"].get("configuration_url", "") == address


def test_there_are_twelve_kinds_of_component_with_the_options_that_home_assistant_has():
    described = components()
    assert {component["platform"] for component in described.values()} == set(PLATFORMS)
    for name, component in described.items():
        required, optional = PLATFORMS[component["platform"]]
        assert required <= set(component) <= required | optional | {"platform"}, name
        assert component["unique_id"] == f"picaption_0123456789ab_{name}" and component["qos"] == 1
        assert component["platform"] == "device_automation" or component["name"]
    assert described["event"]["event_types"] == list(EVENT_TYPES)
    assert described["bundle"]["options"] == ["everyday", "mine"]
    names = [entity["name"] for entity in described.values() if "name" in entity]
    assert len(set(names)) == len(names)


def test_the_entities_of_before_have_the_same_ids():
    # So Home Assistant goes on with them, and has none twice.
    described = components(offered=Offered(has_control=False))
    for name in ("caption", "class", "confidence", "fps", "temperature"):
        assert described[name]["platform"] == "sensor"
        assert described[name]["unique_id"] == f"picaption_0123456789ab_{name}"


@pytest.mark.parametrize(
    ("changes", "offered", "absent"),
    [
        ({"mqtt_images": False}, OFFERED, {"image", "camera"}),
        ({"mqtt_commands": False}, OFFERED, {"switch", "number", "button", "text", "select"}),
        ({}, Offered(has_control=False), {"switch", "number", "button", "text", "select"}),
        ({}, Offered(has_control=True), {"select"}),
    ],
)
def test_what_is_not_wanted_or_not_possible_is_not_offered(changes, offered, absent):
    described = components(Config(**vars(CONFIG) | changes), offered)
    platforms = {component["platform"] for component in described.values()}
    # What is looked for is the last binary sensor without subjects.
    assert set(PLATFORMS) - platforms - {"binary_sensor"} == absent
    if "button" in absent:
        assert "command_topic" not in described["update_bundle"]
        assert "looked_for" not in described


def test_no_name_stands_in_a_template():
    for component in components().values():
        texts = [text for option, text in component.items() if option.endswith("_template")]
        assert not any("cat" in text or "person" in text for text in texts)
    assert slug("{{ 'cat' }}") != slug("cat") and re.fullmatch(r"cat_[0-9a-f]{6}", slug("cat"))
    assert re.fullmatch(r"_[0-9a-f]{6}", slug("猫"))


def rendered(result, watched=(None, None, None), **figures):
    """Return what Home Assistant's entities say of a recognition: the templates are Jinja's."""
    added = {
        "fps": 4.2,
        "temperature": 51.5,
        "throttled": [],
        "source": "demo",
        "watched": [{"name": "", "present": present} for present in watched],
    }
    state = json.loads(json.dumps({**result.to_json(), **added, **figures}))
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    described = components()
    values = {
        name: environment.from_string(component["value_template"]).render(value_json=state)
        for name, component in described.items()
        if component["platform"] in ("sensor", "binary_sensor") and "state_topic" not in component
    }
    attributes = environment.from_string(described["caption"]["json_attributes_template"]).render(
        value_json=state
    )
    return values, json.loads(attributes)


def test_the_sensors_values():
    values, attributes = rendered(recognition("a cat's 'tail' <b>"), (True, False, None))
    assert values == {
        "caption": "a cat's 'tail' <b>",
        "class": "cat",
        "confidence": "97.0",
        "caption_confidence": "None",
        "fps": "4.2",
        "latency": "12.2",
        "temperature": "51.5",
        "source": "demo",
        f"watch_{slug('person')}": "ON",
        f"watch_{slug(SUBJECTS[1].name)}": "OFF",
        "looked_for": "None",
        "throttled": "OFF",
    }
    assert attributes == {
        "text": "a cat's 'tail' <b>",
        "confidence": None,
        "scene": 0,
        "silence": None,
        "tags": ["cat", "eyes"],
    }
    values, attributes = rendered(recognition(confidence=0.754), throttled=["under-voltage"])
    assert attributes["confidence"] == 0.754 and values["caption_confidence"] == "75.4"
    assert values["throttled"] == "ON"
    values, attributes = rendered(recognition("x" * 300))
    assert len(values["caption"]) == 255 and len(attributes["text"]) == 300
    for nothing in (
        recognition(None, classes=(), tags=()),
        recognition(None, unsure=True, tags=()),
    ):
        values, attributes = rendered(nothing, fps=None, temperature=None, source=None)
        unknown = ("caption", "class", "source")
        assert {values[name] for name in unknown} == {"unknown"}
        assert {values[name] for name in ("confidence", "fps", "temperature")} == {"None"}
        assert attributes["text"] is None and attributes["tags"] == []


def test_where_there_is_nothing_to_see_the_caption_says_so_and_no_class_is_known():
    values, attributes = rendered(silent())
    assert values["caption"] == attributes["silence"] == "too dark to tell"
    assert (values["class"], values["confidence"]) == ("unknown", "None")
    assert attributes["text"] is None


def test_states_are_as_long_as_home_assistant_takes_them():
    values, _ = rendered(recognition("a " * 200, classes=(("<b>" * 200, 0.97),)))
    assert values["class"] == "<b>" * 85 and len(values["caption"]) <= 255


def test_when_something_was_last_there_is_a_timestamp_of_a_topic_of_its_own():
    described = components()
    for subject in SUBJECTS:
        sensor = described[f"last_seen_{slug(subject.name)}"]
        assert sensor["name"] == f"{subject.name} last seen"
        assert sensor["device_class"] == "timestamp"
        assert sensor["state_topic"] == f"home/camera/last_seen/{slug(subject.name)}"
        payload = {"name": subject.name, "last_seen": "2023-11-14T22:13:20+00:00"}
        rendered = jinja2.Template(sensor["value_template"]).render(value_json=payload)
        assert rendered == "2023-11-14T22:13:20+00:00"


def test_a_trigger_is_one_event():
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined)
    event = {"event_type": "appeared", "name": "person"}
    fired = [
        trigger["subtype"]
        for trigger in components().values()
        if trigger["platform"] == "device_automation"
        and environment.from_string(trigger["value_template"]).render(value_json=event)
        == trigger["payload"]
        and trigger["type"] == "appeared"
    ]
    assert fired == ["person"]
