"""Recognitions at a real broker, mosquitto, which these tests start."""

import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from paho.mqtt import client as paho

from picaption.device import board
from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config, Event
from picaption.device.errors import PicaptionError
from picaption.device.outputs.control import LoopControl, LoopState
from picaption.device.outputs.mqtt import connection, session
from picaption.device.outputs.mqtt.address import parse_address
from picaption.device.outputs.mqtt.components import slug
from picaption.device.outputs.mqtt.homeassistant import Offered, discovery
from picaption.device.outputs.mqtt.publisher import MqttPublisher, watched_subjects
from picaption.device.outputs.sink import OutputContext
from picaption.device.outputs.subjects import Subject
from picaption.device.sources.source import SourceStatus
from tests.device.fakes.servers import Broker, certificates, free_port, wait_for
from tests.device.fakes.standins import recognized
from tests.tiny import TINY_BUNDLE

PASSWORD = "not-for-the-log"


class Listener:
    """Another client of the broker; it collects (topic, text, whether it was retained)."""

    def __init__(self, port, topic="#", **login):
        self.got = []
        self.port = port
        self._client = paho.Client(paho.CallbackAPIVersion.VERSION2)
        if login:
            self._client.username_pw_set(**login)
        self._client.on_message = lambda client, data, message: self.got.append(
            (message.topic, message.payload.decode(errors="replace"), message.retain)
        )
        self._client.on_connect = lambda client, *_: client.subscribe(topic, 1)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def texts(self, topic):
        return [text for name, text, _ in self.got if name == topic]

    def say(self, topic, text):
        self._client.publish(topic, text, 1).wait_for_publish(5)

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def closing():
    """Call it with what is to be closed, or killed, at the end."""
    things = []
    yield lambda thing: things.append(thing) or thing
    for thing in reversed(things):
        getattr(thing, "close", None) and thing.close()
        getattr(thing, "kill", None) and thing.kill()


@pytest.fixture
def broker(tmp_path, closing):
    return closing(Broker(tmp_path))


def mqtt_threads():
    return [thread for thread in threading.enumerate() if thread.name == "mqtt"]


def config(port, **changes):
    settings = {"mqtt": f"127.0.0.1:{port}", "mqtt_topic": "home/camera", "mqtt_images": False}
    return Config(**settings | changes)


# --- settings


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("broker", ("broker", 1883, False)),
        ("192.168.1.2:1999", ("192.168.1.2", 1999, False)),
        ("[fe80::1]", ("fe80::1", 1883, False)),
        ("[::1]:1884", ("::1", 1884, False)),
        ("mqtt://broker.lan", ("broker.lan", 1883, False)),
        ("mqtt://b:1/", ("b", 1, False)),
        ("mqtts://broker.lan", ("broker.lan", 8883, True)),
        ("MQTTS://[::1]:9", ("::1", 9, True)),
    ],
)
def test_addresses(text, address):
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "::1",
        "broker:",
        "broker:0",
        "broker:65536",
        "broker:x",
        "http://broker",
        "mqtts://",
        "a b",
        "broker/topic",
        "broker\n",
        "mqtt://broker?x=1",
        ":1883",
        "[::1",
        "brök er",
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(
        PicaptionError, match=r"write it as HOST, HOST:PORT, \[IPv6\]:PORT or mqtts://HOST"
    ):
        MqttPublisher(Config(mqtt=text))


def test_settings_that_make_no_sense(tmp_path):
    with pytest.raises(PicaptionError, match="set mqtt_user and mqtt_password") as caught:
        MqttPublisher(Config(mqtt=f"mqtt://me:{PASSWORD}@broker"))
    assert PASSWORD not in str(caught.value)
    with pytest.raises(PicaptionError, match="absent.pem cannot be read: No such file"):
        MqttPublisher(Config(mqtt="mqtts://broker", mqtt_ca=str(tmp_path / "absent.pem")))
    (tmp_path / "empty.pem").write_text("nothing\n")
    with pytest.raises(PicaptionError, match="empty.pem holds no certificate"):
        MqttPublisher(Config(mqtt="mqtts://broker", mqtt_ca=str(tmp_path / "empty.pem")))
    with pytest.raises(PicaptionError, match='not encrypted; write mqtt = "mqtts://broker"'):
        MqttPublisher(Config(mqtt="mqtt://broker", mqtt_ca=str(tmp_path / "empty.pem")))
    assert not mqtt_threads()


def test_without_the_package_it_says_what_to_install(monkeypatch):
    for missing in ("paho.mqtt", "paho.mqtt.enums"):
        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(PicaptionError, match=r"pip install 'picaption\[mqtt\]'"):
            MqttPublisher(Config(mqtt="broker"))
        monkeypatch.undo()


def test_a_password_that_travels_openly_is_warned_of(caplog):
    for host, count in (("127.0.0.1", 0), ("localhost", 0), ("[::1]", 0), ("nosuch.invalid", 1)):
        caplog.clear()
        MqttPublisher(
            Config(mqtt=f"{host}:{free_port()}", mqtt_user="me", mqtt_password=PASSWORD)
        ).close()
        assert (
            caplog.text.count("goes to nosuch.invalid unencrypted") == count
            and PASSWORD not in caplog.text
        )


# --- what is published


def test_messages_arrive_and_are_retained(broker, closing, monkeypatch):
    monkeypatch.setattr(board, "temperature", lambda: 51.5)
    sink = closing(MqttPublisher(config(broker.port)))
    frame = recognized("a cät")
    sink.write(recognized("of before"))
    time.sleep(0.05)
    sink.write(frame)
    early = closing(Listener(broker.port))
    assert wait_for(lambda: "a cät" in early.texts("home/camera/caption"))
    late = closing(Listener(broker.port))
    assert wait_for(lambda: len({topic for topic, _, _ in late.got}) == 5)
    assert all(retained for _, _, retained in late.got)
    state = json.loads(*late.texts("home/camera/state"))
    fps = state.pop("fps")
    added = {"temperature": 51.5, "throttled": [], "source": None, "watched": []}
    assert state == json.loads(json.dumps(frame.json())) | added and 1 < fps <= 20
    assert late.texts("home/camera/caption") == ["a cät"] and late.texts("home/camera/status") == [
        "online"
    ]
    sink.close()
    assert wait_for(lambda: early.texts("home/camera/status")[-1] == "offline")
    again = closing(Listener(broker.port, "home/camera/status"))
    assert wait_for(lambda: again.got) and again.got == [("home/camera/status", "offline", True)]


def has(count, listener):
    """Return whether the listener has got so many messages, and gets no more in a moment."""
    return wait_for(lambda: len(listener.got) >= count) and not wait_for(
        lambda: len(listener.got) > count, 0.3
    )


def test_a_state_is_published_when_something_changes(broker, closing):
    sink = closing(MqttPublisher(config(broker.port)))
    listener = closing(Listener(broker.port, "home/camera/state"))
    steps = [
        ({}, 1),
        ({"classes": (("cat", 0.5),)}, 1),
        ({"tags": ()}, 1),
        ({"text": "a dog"}, 2),
        ({"text": "a dog"}, 2),
        ({"text": "a dog", "scene": 1}, 3),
        ({"text": "a dog", "scene": 1, "unsure": True}, 4),
        ({"text": "a dog", "scene": 1, "unsure": True, "classes": (("bird", 0.3),)}, 4),
        ({"text": None, "scene": 1}, 5),
    ]
    for changes, count in steps:
        sink.write(recognized(**changes))
        assert has(count, listener)
    last = closing(Listener(broker.port, "home/camera/caption"))
    assert not wait_for(lambda: last.got, 0.3)  # Where there is no caption, none is retained.


def test_a_state_is_published_when_nothing_has_changed_for_long(broker, closing):
    sink = closing(MqttPublisher(config(broker.port), heartbeat=0.5))
    listener = closing(Listener(broker.port, "home/camera/state"))
    sink.write(recognized())
    assert wait_for(lambda: len(listener.got) == 1)
    assert not wait_for(lambda: len(listener.got) > 1, 0.8)  # No frame, no news.
    sink.write(recognized())
    assert wait_for(lambda: len(listener.got) == 2)


def test_when_a_class_was_last_there_outlives_the_run_and_is_published_seldom(broker, closing):
    watching = config(broker.port, mqtt_watch="cat, dog")
    sink = closing(MqttPublisher(watching))
    topic = f"home/camera/last_seen/{slug('cat')}"
    listener = closing(Listener(broker.port, "home/camera/last_seen/#"))

    def write(captured_at, name="cat"):
        sink.write(recognized(classes=((name, 0.97),), captured_at=captured_at))

    def times():
        assert {name for name, _, _ in listener.got} == {topic}
        assert all(json.loads(text)["name"] == "cat" for text in listener.texts(topic))
        return [json.loads(text)["last_seen"][11:] for text in listener.texts(topic)]

    # 1,700,000,000 s after the epoch it was 22:13:20 on 14 November 2023.
    write(1_700_000_000.5)
    assert has(1, listener) and times() == ["22:13:20+00:00"]
    write(1_700_000_059.0)  # It is still there, as was published less than a minute before.
    assert has(1, listener)
    write(1_700_000_061.0)
    assert has(2, listener) and times()[1:] == ["22:14:21+00:00"]
    write(1_700_000_065.0)
    write(1_700_000_070.0, "bird")  # It is gone: the last frame with it counts.
    assert has(3, listener) and times()[2:] == ["22:14:25+00:00"]
    write(1_700_000_080.0)
    sink.close()
    assert wait_for(lambda: len(listener.got) == 4) and times()[3:] == ["22:14:40+00:00"]
    late = closing(Listener(broker.port, "home/camera/last_seen/#"))
    assert wait_for(lambda: late.got)
    assert late.got == [(topic, '{"name": "cat", "last_seen": "2023-11-14T22:14:40+00:00"}', True)]


def test_a_run_of_one_frame_publishes_it(broker, closing):
    listener = closing(Listener(broker.port))
    sink = MqttPublisher(config(broker.port))
    sink.write(recognized())
    sink.close()
    assert wait_for(lambda: listener.texts("home/camera/status") == ["online", "offline"])
    assert len(listener.texts("home/camera/state")) == 1


PROGRAM = """
import sys, time
from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config, Event
from picaption.device.outputs.mqtt.publisher import MqttPublisher, watched_subjects
from picaption.device.outputs.sink import OutputContext
from picaption.device.outputs.subjects import Subject
from picaption.device.sources.source import SourceStatus
sink = MqttPublisher(Config(mqtt=sys.argv[1], mqtt_topic="home/camera"))
time.sleep(60)
"""


def test_the_will_announces_a_death(broker, closing):
    listener = closing(Listener(broker.port, "home/camera/status"))
    program = closing(
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, f"127.0.0.1:{broker.port}"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    )
    assert wait_for(lambda: listener.texts("home/camera/status") == ["online"], 30)
    program.send_signal(signal.SIGKILL)
    program.wait()
    assert wait_for(lambda: listener.texts("home/camera/status") == ["online", "offline"])


# --- who may


@pytest.fixture
def guarded(tmp_path, closing):
    """A broker that lets in only `me` with the PASSWORD."""
    if not shutil.which("mosquitto_passwd"):
        pytest.skip("mosquitto_passwd is not installed")
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "me", PASSWORD], check=True)
    return closing(Broker(tmp_path, "allow_anonymous false", f"password_file {passwords}"))


def test_credentials(guarded, closing, caplog):
    caplog.set_level(logging.DEBUG)
    right = closing(MqttPublisher(config(guarded.port, mqtt_user="me", mqtt_password=PASSWORD)))
    right.write(recognized())
    listener = closing(
        Listener(guarded.port, "home/camera/state", username="me", password=PASSWORD)
    )
    assert wait_for(lambda: listener.got)
    for wrong in (
        {"mqtt_user": "me", "mqtt_password": "wrong-" + PASSWORD},
        {"mqtt_user": "other"},
        {},
    ):
        caplog.clear()
        sink = MqttPublisher(config(guarded.port, **wrong), first_pause=0.1)
        assert wait_for(lambda: len(caplog.records) >= 3)
        sink.close()
        levels = [record.levelname for record in caplog.records]
        assert levels.count("WARNING") == 1 and caplog.records[0].levelname == "WARNING"
        assert (
            "Not authorized; are mqtt_user and mqtt_password right?; trying again"
            in caplog.messages[0]
        )
        assert PASSWORD not in caplog.text


def test_tls_trusts_the_right_authority_and_host_only(tmp_path, closing, caplog):
    authority, certificate, key = certificates(tmp_path / "right", "DNS:localhost")
    stranger, _, _ = certificates(tmp_path / "stranger", "DNS:localhost")
    broker = closing(
        Broker(tmp_path, "allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    )
    for host, trusted, trouble in (
        ("localhost", authority, None),
        ("localhost", stranger, "certificate verify failed"),
        ("localhost", "", "certificate verify failed"),
        ("127.0.0.1", authority, "IP address mismatch"),
    ):
        caplog.clear()
        caplog.set_level(logging.INFO)
        sink = closing(
            MqttPublisher(Config(mqtt=f"mqtts://{host}:{broker.port}", mqtt_ca=str(trusted)))
        )
        assert wait_for(lambda: caplog.messages)
        sink.close()
        assert (trouble or "connected to") in caplog.messages[0]


# --- brokers that are away


def write_for(sink, seconds):
    """Write frames of ever new captions; return how long each write took."""
    took = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        frame = recognized(f"caption {len(took)}")
        began = time.perf_counter()
        sink.write(frame)
        took.append(time.perf_counter() - began)
        time.sleep(0.002)
    return took


def test_a_broker_that_comes_back_gets_the_newest_state(broker, closing, caplog):
    caplog.set_level(logging.INFO)
    sink = closing(MqttPublisher(config(broker.port)))
    assert wait_for(lambda: "connected" in caplog.text)
    took = write_for(sink, 0.5)
    broker.kill()
    took += write_for(sink, 1.5)
    sink.write(recognized("the newest"))
    broker.start()
    listener = closing(Listener(broker.port))
    assert wait_for(lambda: len(listener.got) >= 5)
    assert json.loads(*listener.texts("home/camera/state"))["caption"]["text"] == "the newest"
    assert listener.texts("home/camera/status") == ["online"]
    took += write_for(sink, 0.5)
    # Microseconds, but for the turns of other threads and programs.
    assert np.median(took) < 0.003 and max(took) < 2
    assert [record.levelname for record in caplog.records][:2] == ["INFO", "WARNING"]


@pytest.mark.parametrize("accepts", [False, True])
def test_a_broker_that_never_answers_costs_nothing(closing, accepts):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if accepts:
            silent.listen()
        sink = MqttPublisher(config(silent.getsockname()[1]))
        (thread,) = mqtt_threads()
        frames = [recognized(f"caption {number}") for number in range(1000)]
        began = time.thread_time()
        for frame in frames:
            sink.write(frame)
        assert time.thread_time() - began < 0.1
        assert sink.newest is frames[-1]
        began = time.monotonic()
        sink.close()
        assert time.monotonic() - began < connection.ANSWER_SECONDS
    thread.join(connection.ANSWER_SECONDS + 1)
    assert not thread.is_alive()


def test_what_a_stopped_broker_does_not_confirm_waits_once(broker, closing, monkeypatch):
    clients = []

    class Client(paho.Client):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            clients.append(self)

    monkeypatch.setattr(paho, "Client", Client)
    sink = closing(MqttPublisher(config(broker.port)))
    monkeypatch.undo()
    assert wait_for(lambda: clients and clients[0].is_connected())
    broker.pause()
    try:
        write_for(sink, 1.5)
        assert len(clients[0]._out_messages) <= 6 and len(clients) == 1
    finally:
        broker.resume()
    listener = closing(Listener(broker.port, "home/camera/caption"))
    sink.write(recognized("the newest"))
    assert wait_for(lambda: listener.texts("home/camera/caption")[-1:] == ["the newest"])


def test_failed_connections_leave_nothing_behind():
    sink = MqttPublisher(config(free_port()), first_pause=0.0)
    before = len(os.listdir("/proc/self/fd"))
    time.sleep(0.5)
    assert len(os.listdir("/proc/self/fd")) <= before + 4
    sink.close()


# --- Home Assistant


def test_home_assistant_gets_the_device_and_again_when_it_asks(broker, closing):
    listener = closing(Listener(broker.port, "homeassistant/device/#"))
    closing(MqttPublisher(config(broker.port)))
    topic = f"homeassistant/device/picaption_{board.identity('home/camera')}/config"
    assert wait_for(lambda: len(listener.texts(topic)) == 1)
    for word, count in (("offline", 1), ("online", 2)):
        listener.say("homeassistant/status", word)
        assert has(count, listener)
    late = closing(Listener(broker.port, "homeassistant/device/#"))
    assert wait_for(lambda: late.got) and late.got[0][0] == topic and late.got[0][2]
    offered = Offered(has_control=False)
    described = discovery(config(0), board.identity("home/camera"), offered)[1]
    assert json.loads(late.got[0][1]) == json.loads(json.dumps(described))


def test_a_message_that_is_too_long_is_not_read_and_publishing_goes_on(broker, closing, caplog):
    listener = closing(Listener(broker.port, "home/camera/caption"))
    sender = paho.Client(paho.CallbackAPIVersion.VERSION2)
    sender.connect("127.0.0.1", broker.port)
    sender.loop_start()
    sender.publish("homeassistant/status", b"x" * 1_000_000, 1, retain=True).wait_for_publish(10)
    sender.disconnect()
    sender.loop_stop()
    sink = closing(MqttPublisher(config(broker.port), first_pause=0.05))
    sink.write(recognized("a cat"))
    assert wait_for(lambda: any("bytes" in text for text in caplog.messages))
    sink.write(recognized("a dog"))
    assert wait_for(lambda: "a dog" in listener.texts("home/camera/caption"))
    # 2 bytes for the topic's length, 20 for the topic, 2 for the message's number.
    message = "it sends a message of 1000024 bytes, more than 65536"
    assert sum(message in text for text in caplog.messages) == 1


def test_without_a_prefix_there_is_no_discovery(broker, closing):
    listener = closing(Listener(broker.port))
    sink = closing(MqttPublisher(config(broker.port, mqtt_discovery="")))
    sink.write(recognized())
    assert wait_for(lambda: listener.texts("home/camera/caption"))
    assert {topic.partition("/")[0] for topic, _, _ in listener.got} == {"home"}


# --- pictures, orders, what holds


def test_a_picture_comes_with_a_change_and_is_gone_in_the_end(broker, closing):
    listener = closing(Listener(broker.port, "home/camera/picture"))
    sink = closing(MqttPublisher(config(broker.port, mqtt_images=True)))

    def wanted():
        sink.write(recognized("a cat"))
        return listener.got

    assert wait_for(wanted)
    topic, text, _ = listener.got[0]
    assert (topic, text[:4]) == ("home/camera/picture", "\ufffd\ufffd\ufffd\ufffd")  # FF D8 FF E0
    assert has(1, listener)
    sink.close()
    assert wait_for(lambda: len(listener.got) == 2) and listener.got[1][1] == ""
    late = closing(Listener(broker.port, "home/camera/picture"))
    assert not wait_for(lambda: late.got, 0.3)


@pytest.fixture
def controlled(broker, closing, monkeypatch):
    """A publisher with the control of a loop, and another client that hears what it says."""
    monkeypatch.setattr(session, "FIGURES_SECONDS", 0.2)
    control = LoopControl()
    control.state = LoopState(
        bundle="everyday",
        bundles=("everyday", "mine"),
        path=str(TINY_BUNDLE),
        labels=("person",),
        words={"cat": 4},
    )
    context = OutputContext(
        None,
        Metadata("everyday"),
        ("person",),
        {"cat": 4},
        lambda: SourceStatus("usb:0"),
        control,
    )
    listener = closing(Listener(broker.port))
    settings = config(broker.port, mqtt_watch="person, cat", event=(Event(word="cat", run=("x",)),))
    sink = closing(MqttPublisher(settings, context))
    return sink, control, listener


def test_orders_reach_the_loop_and_what_holds_comes_back(controlled, closing, caplog):
    sink, control, listener = controlled
    assert wait_for(lambda: listener.texts("home/camera/control"))
    for name, text in (("pause", "ON"), ("max_fps", "2"), ("bundle", "mine"), ("look_for", "cat")):
        listener.say(f"home/camera/set/{name}", text)
    requests = []
    assert wait_for(lambda: requests.append(control.take()) or sink._orders.looked_for)
    requests = [request for request in requests if request]
    assert any(request.paused for request in requests)
    assert {2.0, "mine"} <= {value for request in requests for value in vars(request).values()}
    control.state = replace(control.state, paused=True, max_fps=2.0, bundle="mine")
    expected = {"paused": True, "max_fps": 2.0, "bundle": "mine", "look_for": "cat"}
    expected["bundles"] = ["everyday", "mine"]

    def last():
        return json.loads(listener.texts("home/camera/control")[-1])

    assert wait_for(lambda: last() == expected)
    sink.write(recognized("a cat", certain_names=("cat",)))
    assert wait_for(lambda: listener.texts("home/camera/state"))
    state = json.loads(listener.texts("home/camera/state")[-1])
    assert state["watched"] == [
        {"name": "person", "present": False},
        {"name": "cat", "present": True},
        {"name": "cat", "present": True},
    ]
    assert state["source"] == "usb:0"
    events = [json.loads(text) for text in listener.texts("home/camera/event")]
    assert wait_for(lambda: len(listener.texts("home/camera/event")) >= 3), events
    late = closing(Listener(listener.port, "home/camera/event"))
    listener.say("home/camera/set/pause", "perhaps")
    assert wait_for(lambda: "mqtt: pause 'perhaps' is refused: it is ON or OFF" in caplog.text)
    assert not late.got  # Events are not retained.


def test_other_bundles_and_a_replaced_bundle_are_made_known(controlled, tmp_path):
    sink, control, listener = controlled
    path = shutil.copy(TINY_BUNDLE, tmp_path / "mine.tflite")
    control.state = replace(control.state, bundles=("mine",), bundle="mine", path=str(path))

    def options():
        texts = [text for topic, text, _ in listener.got if topic.endswith("/config")]
        return texts and json.loads(texts[-1])["components"]["bundle"]["options"]

    assert wait_for(lambda: options() == ["mine"])

    def versions():
        texts = listener.texts("home/camera/update/bundle")
        return json.loads(texts[-1]) if texts else {"installed_version": ""}

    assert wait_for(lambda: versions()["installed_version"].startswith("mine "))
    assert versions()["installed_version"] == versions()["latest_version"]
    path.write_bytes(b"another one")
    assert wait_for(lambda: versions()["latest_version"] != versions()["installed_version"])
    # The beginning of the SHA-256 of those bytes.
    assert versions()["latest_version"] == "mine 08518b71"
    listener.say("home/camera/set/reload", "RELOAD")
    assert wait_for(lambda: (request := control.take()) and request.reload_bundle)


def test_what_is_watched_is_known_to_the_bundle():
    context = OutputContext(None, Metadata("kitchen"), ("person",), {"cat": 4})
    events = (Event(class_="person", run=("x",)), Event(caption=True, run=("x",)))
    subjects = watched_subjects(Config(mqtt_watch=" person,cat,, ", event=events), context)
    assert subjects == (Subject("person", True), Subject("cat", False))
    with pytest.raises(PicaptionError, match="mqtt_watch: .*'persn'; did you mean person[?]"):
        watched_subjects(Config(mqtt_watch="persn"), context)


def test_without_commands_nothing_is_listened_to(broker, closing):
    control = LoopControl()
    context = OutputContext(None, Metadata("kitchen"), control=control)
    listener = closing(Listener(broker.port, "home/camera/status"))
    settings = config(broker.port, mqtt_commands=False, mqtt_discovery="")
    closing(MqttPublisher(settings, context))
    assert wait_for(lambda: listener.got)
    listener.say("home/camera/set/pause", "ON")
    assert not wait_for(lambda: control.take(), 0.5)
