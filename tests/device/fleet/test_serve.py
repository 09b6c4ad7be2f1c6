"""The operators' page: what it shows of devices at a real broker, to whom, and in a browser."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace

import cv2
import numpy as np
import pytest

pytest.importorskip("paho")
pytest.importorskip("cryptography")

from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config
from picaption.device.fleet.publisher import StatusPublisher
from picaption.device.fleet.rollout.manifest import (
    BUNDLE,
    HISTORY_TOPIC,
    RUNNING,
    TOPIC,
    Manifest,
    sign_manifest,
)
from picaption.device.fleet.serve_command import BrokerListener, open_server
from picaption.device.fleet.status import DeviceStatus
from picaption.device.fleet.watch import MAX_THUMBNAIL_BYTES, FleetWatch, watch_fleet
from picaption.device.outputs.mqtt.connection import Message
from picaption.device.outputs.sink import OutputContext
from picaption.device.signing.keys import KeyRing, make_private_key, public_key
from tests.device.fakes.browser import CHROMIUM, needs_axe, texts, violations, wait_for_text
from tests.device.fakes.servers import Broker, free_port, wait_for
from tests.device.fakes.standins import recognized
from tests.device.fakes.web_client import TOKEN, ask
from tests.device.outputs.web.conftest import browser, chromium  # noqa: F401

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")

PRIVATE = make_private_key()
MANIFEST = Manifest(
    id="0" * 16,
    serial=5,
    begun=1_795_000_000,
    state=RUNNING,
    artifact=BUNDLE,
    label="<b>mine</b>",
    url="https://files.lan/mine.tflite",
    sha256="0" * 64,
    size=1,
    signature="",
    share=25.0,
)
STATUS = DeviceStatus(
    version="0.2",
    bundle="everyday",
    fps=9.25,
    unsure=0.25,
    error="usb:0: <script>no frame</script>",
    rollout="0" * 16,
    rollout_state="taken",
)


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The settings of a page of the devices attic and kitchen, of which one has a picture."""
    broker = Broker(tmp_path_factory.mktemp("broker"))
    config = Config(
        mqtt=f"127.0.0.1:{broker.port}",
        fleet=True,
        fleet_name="kitchen",
        fleet_images=True,
        port=0,
    )
    messages = [
        (TOPIC, sign_manifest(MANIFEST, PRIVATE)),
        (f"{HISTORY_TOPIC}/{MANIFEST.id}", sign_manifest(MANIFEST, PRIVATE)),
        ("attic/figures", json.dumps(STATUS.to_json())),
        ("attic/status", "offline"),
        ("attic/picture", "no JPEG"),
    ]

    def publish(connection):
        while messages:
            topic, payload = messages.pop()
            receipts.append(connection.publish_to(f"{config.fleet_topic}/{topic}", payload))

    def is_over():
        return bool(receipts) and all(receipt.is_published() for receipt in receipts)

    receipts = []
    watch_fleet(config, FleetWatch("any"), is_over, publish)
    context = OutputContext(None, Metadata("everyday"))
    publisher = StatusPublisher(config, context, interval=0.2)
    publisher.write(recognized(image=np.zeros((480, 640, 3), np.uint8)))
    yield config
    publisher.close()
    broker.kill()


@pytest.fixture
def listener(config):
    """What listens to the broker, with all that it retains."""
    with closing(BrokerListener(config, KeyRing((public_key(PRIVATE, "one"),)))) as listener:
        listener.start()
        assert wait_for(lambda: listener.ledger.current and listener.ledger.watch.thumbnails)
        assert wait_for(lambda: len(listener.ledger.watch.devices) == 2)
        yield listener


@pytest.fixture
def server(config, listener):
    with closing(open_server(config, listener)) as server:
        yield server


def test_what_the_page_shows(server):
    fleet = json.loads(ask(server, "/fleet.json")[2])
    assert (fleet["problem"], fleet["summary"]) == ("", "2 devices, 1 online")
    attic, kitchen = fleet["devices"]
    assert (attic["name"], attic["online"], attic["picture"]) == ("attic", False, None)
    assert kitchen["online"] and kitchen["picture"] > 0
    assert fleet["rollout"]["counts"] == {"taken": 1} and fleet["rollout"]["share"] == 25.0
    assert fleet["history"] == []
    status, headers, picture = ask(server, "/pictures/kitchen.jpg")
    assert status == 200 and headers["Content-Type"] == "image/jpeg"
    # The longer side has 160 pixels.
    assert cv2.imdecode(np.frombuffer(picture, np.uint8), 1).shape == (120, 160, 3)
    assert ask(server, "/pictures/attic.jpg")[0] == 404
    assert ask(server, "/pictures/..%2Fx.jpg")[0] == 404
    pytest.importorskip("prometheus_client")
    assert 'picaption_fleet_online{device="attic"} 0.0' in ask(server, "/metrics")[2].decode()


def test_only_who_knows_the_token_is_answered(config, listener):
    with closing(open_server(replace(config, token=TOKEN), listener)) as server:
        for path in ("/", "/fleet.json", "/pictures/kitchen.jpg", "/metrics"):
            assert ask(server, path)[0] == 401
        authorization = {"Authorization": f"Bearer {TOKEN}"}
        assert ask(server, "/fleet.json", **authorization)[0] == 200


def test_the_page_needs_nothing_from_elsewhere(server):
    status, headers, body = ask(server, "/")
    text = body.decode()
    assert status == 200 and "<title>Fleet · picaption · picaption-fleet</title>" in text
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")
    assert "innerHTML" not in text and " style=" not in text and " onclick=" not in text
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


@needs_chromium
def test_the_page_in_a_browser(browser, server):  # noqa: F811
    browser.open(server.address)
    wait_for_text(browser, "#summary", "2 devices, 1 online")
    assert texts(browser, "#devices th") == ["attic", "kitchen"]
    assert texts(browser, "#devices tr:first-child td.bad") == ["offline"]
    assert texts(browser, "#devices td.long")[0] == "usb:0: <script>no frame</script>"
    browser.wait_for("document.querySelector('#devices img').naturalWidth == 160")
    text = texts(browser, "#rollout-text")[0]
    assert text.startswith("<b>mine</b> (bundle): running at 25 %")
    assert texts(browser, "#rollout-counts") == ["1 taken"]
    browser.click("#filter")
    browser.type("offline")
    browser.wait_for("document.querySelectorAll('#devices tr:not([hidden])').length == 1")
    browser.type(" and more")
    wait_for_text(browser, "#none", "No device.")


@needs_chromium
@needs_axe
@pytest.mark.parametrize("dark", [False, True])
def test_the_page_is_accessible_and_fits(browser, server, dark):  # noqa: F811
    browser.prefer(dark=dark)
    for width, height in ((360, 640), (1280, 800), (2560, 1440)):
        browser.resize(width, height)
        browser.open(server.address)
        wait_for_text(browser, "#summary", "2 devices, 1 online")
        assert violations(browser) == []
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_hostile_pictures_are_not_taken():
    watch = FleetWatch("fleet", with_thumbnails=True)
    assert "fleet/+/picture" in watch.topics
    for content in (b"GIF89a", b"<svg>", b"\xff\xd8\xff" + bytes(MAX_THUMBNAIL_BYTES)):
        watch.receive(Message("fleet/kitchen/picture", content, True))
    assert watch.thumbnails == {} and watch.refused == 3
    watch.receive(Message("fleet/kitchen/picture", b"\xff\xd8\xff", True))
    assert list(watch.thumbnails) == ["kitchen"]
    watch.receive(Message("fleet/kitchen/picture", b"", True))
    assert watch.thumbnails == {}


def test_the_command_says_where_it_serves_and_what_is_wrong(config, call):
    program = "import sys; from picaption.device import cli; cli.main(sys.argv[1:])"
    port = free_port()
    arguments = ("fleet", "serve", "--mqtt", config.mqtt, "--port", str(port))
    with subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    ) as process:
        line = process.stderr.readline()
        assert line == f"the fleet is shown at http://127.0.0.1:{port}/; stop with ctrl-C\n"
        time.sleep(0.2)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    code, _, errors = call("fleet", "serve", "--mqtt", config.mqtt, "--host", "0.0.0.0")
    assert code == 2 and errors.count("\n") == 1 and "set a token" in errors
    code, _, errors = call("fleet", "serve", "--mqtt", config.mqtt, "--ring", "/none")
    assert code == 2 and "cannot read the public keys" in errors
