"""Home Assistant itself takes what picaption says over MQTT, and presses what it is offered.

Run it with a Python that has Home Assistant (`pip install homeassistant paho-mqtt`, from 2024.11
on), while a broker and picaption run:

    python tools/press_home_assistant.py 1883 FOLDER > report.json

FOLDER, which may be absent, becomes Home Assistant's folder of settings. The report has the device,
its entities before and after the switches were pressed, its triggers, and what was logged.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path

#: How long Home Assistant waits for the first caption, and for what a switch does.
FIRST_SECONDS = 60.0
SWITCH_SECONDS = 10.0
HTTP_PORT = 18123

_ENTRY = {
    "created_at": "2025-01-01T00:00:00+00:00",
    "modified_at": "2025-01-01T00:00:00+00:00",
    "disabled_by": None,
    "discovery_keys": {},
    "domain": "mqtt",
    "entry_id": "0" * 32,
    "version": 1,
    "minor_version": 2,
    "options": {"discovery": True, "discovery_prefix": "homeassistant"},
    "pref_disable_new_entities": False,
    "pref_disable_polling": False,
    "source": "user",
    "subentries": [],
    "title": "broker",
    "unique_id": None,
}
#: What is pressed: service, the end of the entity's name, the service's data, its state then.
PRESSED = (
    ("switch.turn_on", "pause", {}, "on"),
    ("number.set_value", "max_frames_per_second", {"value": 3}, "3.0"),
    ("text.set_value", "look_for", {"value": "cat"}, "cat"),
    ("button.press", "caption_now", {}, None),
    ("select.select_option", "bundle", {"option": "second"}, "second"),
    ("switch.turn_off", "pause", {}, "off"),
)


class Lines(logging.Handler):
    """Keeps the warnings and errors of templates and of the MQTT integration."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []

    def emit(self, record):
        if "mqtt" in record.name or "template" in record.name:
            self.lines.append(f"{record.levelname} {record.name}: {record.getMessage()}")


async def start(port, folder):
    """Return Home Assistant with its MQTT integration connected to a broker on this machine."""
    from homeassistant import bootstrap, config_entries, core, loader
    from homeassistant.auth import auth_manager_from_config
    from homeassistant.setup import async_setup_component

    storage = folder / ".storage"
    storage.mkdir(parents=True, exist_ok=True)
    entry = _ENTRY | {"data": {"broker": "127.0.0.1", "port": port}}
    entries = {"version": 1, "minor_version": 5, "key": "core.config_entries"}
    (storage / "core.config_entries").write_text(
        json.dumps(entries | {"data": {"entries": [entry]}})
    )
    (folder / "configuration.yaml").write_text("")
    hass = core.HomeAssistant(str(folder))
    hass.config.config_dir = str(folder)
    hass.config.skip_pip = True
    loader.async_setup(hass)
    hass.config_entries = config_entries.ConfigEntries(hass, {})
    await bootstrap.async_load_base_functionality(hass)
    hass.auth = await auth_manager_from_config(hass, [{"type": "homeassistant"}], [])
    web = {"http": {"server_host": "127.0.0.1", "server_port": HTTP_PORT}}
    for component in ("homeassistant", "mqtt"):
        if not await async_setup_component(hass, component, web):
            sys.exit(f"Home Assistant does not set up {component}")
    (loaded,) = hass.config_entries.async_entries("mqtt")
    if loaded.state is not config_entries.ConfigEntryState.LOADED:
        sys.exit(f"Home Assistant does not connect to the broker: {loaded.state} {loaded.reason}")
    await hass.async_start()
    return hass


def entities(hass):
    """Return the entities by id: state, attributes as far as JSON has them, category."""
    from homeassistant.helpers import entity_registry

    registry = entity_registry.async_get(hass)
    described = {}
    for state in hass.states.async_all():
        entry = registry.async_get(state.entity_id)
        described[state.entity_id] = {
            "state": state.state,
            "attributes": json.loads(json.dumps(dict(state.attributes), default=str)),
            "category": entry and entry.entity_category,
            "unique_id": entry and entry.unique_id,
        }
    return described


async def until(condition, seconds):
    """Wait until a condition holds, or for so many seconds; return whether it does."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        await asyncio.sleep(0.05)
    return condition()


async def press(hass, ids):
    """Press what PRESSED has; return for each whether its state came."""
    came = {}
    for service, name, data, expected in PRESSED:
        domain, _, action = service.partition(".")
        (entity,) = [id for id in ids if id.startswith(f"{domain}.") and id.endswith(f"_{name}")]
        await hass.services.async_call(domain, action, {"entity_id": entity} | data, blocking=True)
        came[f"{service} {name}"] = expected is None or await until(
            lambda entity=entity, expected=expected: hass.states.get(entity).state == expected,
            SWITCH_SECONDS,
        )
    return came


async def picture(hass, ids):
    """Return the beginning of what image and camera show, as hexadecimal digits."""
    from homeassistant.components import camera

    (camera_id,) = [id for id in ids if id.startswith("camera.")]
    (image_id,) = [id for id in ids if id.startswith("image.")]
    images = {"image": await hass.data["image"].get_entity(image_id).async_image()}
    entity = hass.data[camera.DOMAIN].get_entity(camera_id)
    images["camera"] = await entity.async_camera_image()
    return {name: (data or b"")[:3].hex() for name, data in images.items()}


async def main(port, folder):
    """Print the report."""
    lines = Lines()
    logging.getLogger().addHandler(lines)
    hass = await start(port, folder)
    from homeassistant.components.mqtt import device_trigger
    from homeassistant.const import __version__
    from homeassistant.helpers import device_registry

    def is_complete():
        known = {
            state.entity_id.partition(".")[0]
            for state in hass.states.async_all()
            if state.state not in ("unknown", "unavailable")
        }
        return {"sensor", "image", "camera", "switch", "text", "select", "update"} <= known

    await until(is_complete, FIRST_SECONDS)
    before = entities(hass)
    devices = list(device_registry.async_get(hass).devices.values())
    triggers = [
        trigger
        for device in devices
        for trigger in await device_trigger.async_get_triggers(hass, device.id)
    ]
    report = {
        "version": __version__,
        "devices": [json.loads(json.dumps(device.dict_repr, default=str)) for device in devices],
        "before": before,
        "triggers": sorted(f"{trigger['type']} {trigger['subtype']}" for trigger in triggers),
        "pictures": await picture(hass, before),
        "pressed": await press(hass, before),
        "after": entities(hass),
        "log": lines.lines,
    }
    print(json.dumps(report, indent=1, default=str))
    await hass.async_stop(force=True)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
