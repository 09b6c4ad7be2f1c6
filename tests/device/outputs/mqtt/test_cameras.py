"""Several cameras at a real broker: a device of the board, and one of each camera, via that."""

import json
import time

import pytest

from picaption.device import board
from picaption.device.config.camera import Camera
from picaption.device.config.settings import Config
from picaption.device.outputs.control import LoopControl, LoopState
from picaption.device.outputs.mqtt.output import CameraPublishers, open_output
from picaption.device.outputs.sink import OutputContext
from picaption.device.sources.source import SourceStatus
from tests.device.fakes.metadata import METADATA
from tests.device.fakes.servers import Broker, wait_for
from tests.device.fakes.standins import recognized
from tests.device.outputs.mqtt.test_publisher import Listener

DOOR = Camera("Front door", {"source": "demo", "mqtt_watch": "person", "mqtt_area": "Hall"})
YARD = Camera("yard", {"source": "demo", "mqtt_topic": "garden/yard"})
DOOR_TOPIC = "home/pi/camera/front_door"
STATUS = {
    "Front door": SourceStatus("cam.lan"),
    "yard": SourceStatus("/dev/video0", problem="the camera is gone", failures=3),
}


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.kill()


@pytest.fixture
def control():
    control = LoopControl()
    control.state = LoopState(labels=("person", "cat"), words={}, bundles=("everyday",))
    return control


@pytest.fixture
def published(broker, control):
    """The publishers of two cameras, and a listener that knows what they publish."""
    config = Config(
        mqtt=f"127.0.0.1:{broker.port}",
        mqtt_topic="home/pi",
        mqtt_watch="cat",
        web=True,
        camera=(DOOR, YARD),
    )
    listener = Listener(broker.port)
    context = OutputContext(
        None, METADATA, ("person", "cat"), {}, None, control, STATUS.__getitem__
    )
    publishers = open_output(config, context)
    assert isinstance(publishers, CameraPublishers)
    yield publishers, listener
    publishers.close()
    listener.close()


def write(publishers, name, *args, **changes):
    publishers.write(recognized(*args, camera_name=name, captured_at=time.time(), **changes))


def discovered(listener, topic):
    """Return what Home Assistant gets to know of the device of a topic."""
    identity = board.identity(topic)
    where = f"homeassistant/device/picaption_{identity}/config"
    assert wait_for(lambda: listener.texts(where)), where
    return json.loads(listener.texts(where)[-1])


def test_each_camera_is_published_below_its_own_topic(published):
    publishers, listener = published
    assert wait_for(lambda: "online" in listener.texts("garden/yard/status"))
    time.sleep(0.3)  # Pictures are taken from then on.
    write(publishers, "Front door", "a person at a door", (("person", 0.9),), scene=1)
    write(publishers, "yard", "a cat", (("cat", 0.9),), scene=1)
    assert wait_for(lambda: listener.texts(f"{DOOR_TOPIC}/state"))
    assert wait_for(lambda: listener.texts("garden/yard/state"))
    door = json.loads(listener.texts(f"{DOOR_TOPIC}/state")[-1])
    yard = json.loads(listener.texts("garden/yard/state")[-1])
    assert (door["camera_name"], door["source"]) == ("Front door", "cam.lan")
    assert (yard["camera_name"], yard["caption"]["text"]) == ("yard", "a cat")
    watched = {"door": door["watched"][0], "yard": yard["watched"][0]}
    assert watched == {
        "door": {"name": "person", "present": True},
        "yard": {"name": "cat", "present": True},
    }
    assert wait_for(lambda: listener.texts("garden/yard/picture"))
    assert wait_for(lambda: listener.texts("garden/yard/event"))
    assert json.loads(listener.texts("garden/yard/event")[0])["camera_name"] == "yard"


def test_the_board_says_what_is_known_of_its_cameras_and_nothing_of_frames(published):
    _, listener = published
    assert wait_for(lambda: listener.texts("home/pi/state"))
    state = json.loads(listener.texts("home/pi/state")[-1])
    assert set(state) == {"temperature", "throttled", "cameras"}
    assert state["cameras"] == [
        {
            "name": "Front door",
            "topic": DOOR_TOPIC,
            "source": "cam.lan",
            "problem": None,
            "failures": 0,
        },
        {
            "name": "yard",
            "topic": "garden/yard",
            "source": "/dev/video0",
            "problem": "the camera is gone",
            "failures": 3,
        },
    ]
    for topic in ("home/pi", DOOR_TOPIC, "garden/yard"):
        assert wait_for(lambda topic=topic: "online" in listener.texts(f"{topic}/status"))


def test_home_assistant_gets_a_device_for_each_camera_via_the_boards(published):
    _, listener = published
    pi = discovered(listener, "home/pi")
    door = discovered(listener, DOOR_TOPIC)
    yard = discovered(listener, "garden/yard")
    (own_id,) = pi["device"]["identifiers"]
    assert pi["device"]["name"] == "home/pi" and "via_device" not in pi["device"]
    assert door["device"]["via_device"] == yard["device"]["via_device"] == own_id
    assert (door["device"]["name"], door["device"]["suggested_area"]) == ("Front door", "Hall")
    assert door["device"]["configuration_url"] == "http://127.0.0.1:8080/?camera=Front%20door"
    shared = {"temperature", "pause", "max_fps", "bundle", "update", "update_bundle"}
    assert set(pi["components"]) - {"throttled"} == shared
    assert {"caption", "class", "image", "camera", "event", "caption_now"} <= set(
        door["components"]
    )
    assert not shared & set(door["components"])
    watching = {entity.get("name") for entity in door["components"].values()}
    assert "person" in watching and "cat" not in watching
    assert door["components"]["caption_now"]["command_topic"] == f"{DOOR_TOPIC}/set/caption"
    ids = [
        entity["unique_id"]
        for device in (pi, door, yard)
        for entity in device["components"].values()
    ]
    assert len(set(ids)) == len(ids)


def test_orders_are_the_boards_or_a_cameras(published, control):
    _, listener = published
    assert wait_for(lambda: "online" in listener.texts("garden/yard/status"))
    assert wait_for(lambda: "online" in listener.texts("home/pi/status"))
    listener.say("garden/yard/set/pause", "ON")  # The board's: refused.
    listener.say("garden/yard/set/caption", "PRESS")
    requests = []

    def taken():
        request = control.take()
        if request:
            requests.append(request)
        return requests

    assert wait_for(taken)
    assert (requests[0].caption, requests[0].caption_camera) == (True, "yard")
    assert requests[0].paused is None
    requests.clear()
    listener.say("home/pi/set/pause", "ON")
    assert wait_for(taken) and requests[0].paused is True


def test_all_go_offline_together(broker, control):
    config = Config(mqtt=f"127.0.0.1:{broker.port}", mqtt_topic="home/b", camera=(DOOR, YARD))
    listener = Listener(broker.port)
    publishers = open_output(
        config, OutputContext(None, METADATA, ("person", "cat"), {}, None, control)
    )
    topics = ("home/b", "home/b/camera/front_door", "garden/yard")
    for topic in topics:
        assert wait_for(lambda topic=topic: "online" in listener.texts(f"{topic}/status"))
    start = time.monotonic()
    publishers.close()
    assert time.monotonic() - start < 5
    for topic in topics:
        assert wait_for(lambda topic=topic: listener.texts(f"{topic}/status")[-1] == "offline")
    listener.close()
