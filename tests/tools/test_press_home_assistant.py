"""Home Assistant itself takes what picaption says over MQTT, and presses what it is offered.

It needs a Python that has Home Assistant, 2024.11 or later:

    python3.13 -m venv ha && ha/bin/pip install homeassistant paho-mqtt
    HOME_ASSISTANT_PYTHON=ha/bin/python python -m pytest tests/tools/test_press_home_assistant.py

Without it, tests/device/outputs/mqtt/test_homeassistant.py holds the same messages against the
options that Home Assistant's documentation lists.
"""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from picaption.device.config.settings import Config
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.live.requests import RequestHandler
from tests.device.fakes.servers import Broker
from tests.tiny import TINY_BUNDLE

PYTHON = os.environ.get("HOME_ASSISTANT_PYTHON", "")
TOOL = Path(__file__).parents[2] / "tools" / "press_home_assistant.py"

pytestmark = pytest.mark.skipif(not PYTHON, reason="HOME_ASSISTANT_PYTHON names no Python")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """What Home Assistant reports of a picaption that shows the demo."""
    folder = tmp_path_factory.mktemp("homeassistant")
    (folder / "bundles").mkdir()
    for name in ("first", "second"):
        shutil.copy(TINY_BUNDLE, folder / "bundles" / f"{name}.tflite")
    broker = Broker(folder)
    pipeline = Pipeline(
        Config(
            source="demo",
            size="160x120",
            quiet=True,
            threads=1,
            max_fps=5.0,
            bundle=str(folder / "bundles" / "first.tflite"),
            bundles=str(folder / "bundles"),
            mqtt=f"127.0.0.1:{broker.port}",
            mqtt_topic="home/camera",
            mqtt_area="Kitchen",
            mqtt_watch="cat",
        )
    )
    done = threading.Event()

    def reader_ends(timeout, read=pipeline.reader.next):
        return None if done.is_set() else read(timeout)

    pipeline.reader.next = reader_ends
    requests = RequestHandler(pipeline)
    loop = threading.Thread(target=lambda: run(pipeline, requests=requests), daemon=True)
    loop.start()
    command = [PYTHON, str(TOOL), str(broker.port), str(folder / "settings")]
    process = subprocess.run(command, capture_output=True, text=True, timeout=280)
    pipeline.control.pause(False)
    done.set()
    loop.join(10)
    pipeline.close()
    broker.kill()
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def test_all_kinds_of_entity_are_there_and_known(report):
    kinds = {entity.partition(".")[0] for entity in report["before"]}
    expected = {"image", "camera", "binary_sensor", "event", "sensor", "switch", "number"}
    assert expected | {"button", "text", "select", "update"} == kinds
    # The twelfth are the triggers, which are no entities.
    assert report["triggers"] == [
        "appeared cat",
        "changed caption",
        "changed scene",
        "gone cat",
    ]
    unknown = {
        entity.partition("home_camera_")[2]
        for entity, described in report["after"].items()
        if described["state"] in ("unknown", "unavailable")
    }
    assert unknown <= {"temperature", "class", "confidence", "caption_confidence", "looked_for"}


def test_the_device_is_filled_in(report):
    (device,) = report["devices"]
    assert (device["name"], device["area_id"]) == ("home/camera", "kitchen")
    assert device["sw_version"] and device["hw_version"]


def test_image_and_camera_show_a_jpeg(report):
    assert report["pictures"] == {"image": "ffd8ff", "camera": "ffd8ff"}


def test_every_switch_does_what_it_says(report):
    assert len(report["pressed"]) == 6 and all(report["pressed"].values()), report["pressed"]


def test_home_assistant_complains_of_nothing(report):
    assert report["log"] == []
