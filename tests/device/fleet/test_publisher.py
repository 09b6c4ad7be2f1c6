"""A device's status at a real broker, and `picaption fleet status` there."""

import json
import threading
import time

import pytest

from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.fleet.output import open_output
from picaption.device.fleet.publisher import StatusPublisher
from picaption.device.fleet.watch import FleetWatch, watch_fleet
from picaption.device.outputs.sink import OutputContext
from picaption.device.sources.source import SourceStatus
from tests.device.fakes.servers import Broker, wait_for
from tests.device.fakes.standins import recognized

pytest.importorskip("paho")


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A real mosquitto."""
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.kill()


@pytest.fixture
def config(broker, request):
    """The settings of a device in a fleet of this test's own."""
    topic = request.node.name.translate(str.maketrans("[]#+", "    "))
    return Config(mqtt=f"127.0.0.1:{broker.port}", fleet=True, fleet_topic=topic)


@pytest.fixture
def watch(config):
    """What collects from the broker as long as the test runs."""
    watch = FleetWatch(config.fleet_topic)
    over = threading.Event()
    arguments = (config, watch, over.is_set, lambda connection: None)
    thread = threading.Thread(target=watch_fleet, args=arguments)
    thread.start()
    yield watch
    over.set()
    thread.join()


def context():
    """Return what is known of a run with a camera that is gone."""
    status = SourceStatus("usb:0", problem="usb:0: it was unplugged")
    return OutputContext(None, Metadata("everyday"), source_status=lambda: status)


def named(config, name):
    """Return the settings of the device of that name."""
    return Config(**(vars(config) | {"fleet_name": name}))


def first(watch):
    """Return the only device, None if there is none yet."""
    return watch.devices[0] if watch.devices else None


def test_a_device_says_what_it_is_and_that_it_has_gone(config, watch):
    publisher = StatusPublisher(named(config, "kitchen"), context(), interval=0.2)
    try:
        assert wait_for(lambda: (device := first(watch)) and device.is_online and device.status.at)
        for _ in range(5):
            publisher.write(recognized(unsure=True))
        assert wait_for(lambda: first(watch).status.fps)
        device = first(watch)
        assert (device.name, device.status.bundle, device.status.camera) == (
            *("kitchen", "everyday"),
            "usb:0",
        )
        assert device.status.error == "usb:0: it was unplugged" and device.status.unsure == 1.0
        assert device.status.silent_s < 60 and abs(device.status.at - time.time()) < 60
    finally:
        publisher.close()
    assert wait_for(lambda: not first(watch).is_online)


def test_what_a_device_said_is_retained_for_the_command(config, call):
    publisher = StatusPublisher(named(config, "kitchen"), context())
    watch = FleetWatch(config.fleet_topic)
    end = time.monotonic() + 20

    def is_over():
        device = first(watch)
        return bool(device and device.status.at) or time.monotonic() > end

    watch_fleet(config, watch, is_over, lambda connection: None)
    options = ("--mqtt", config.mqtt, "--fleet-topic", config.fleet_topic)
    code, out, _ = call("fleet", "status", "--json", *options)
    values = json.loads(out)
    assert code == 0 and values["name"] == "kitchen" and values["online"]
    publisher.close()
    code, out, _ = call("fleet", "status", "--prometheus", *options)
    assert code == 0 and 'picaption_fleet_online{device="kitchen"} 0.0' in out
    code, out, _ = call("fleet", "status", *options)
    lines = out.splitlines()
    assert (
        code == 0
        and lines[1].startswith("kitchen  offline")
        and lines[-1] == ("1 device, 0 online")
    )


def test_what_is_wrong_is_one_line(call, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    code, _, errors = call("fleet", "status", "--config", "/dev/null")
    assert code == 2 and "name the broker: --mqtt HOST" in errors
    code, _, errors = call("fleet", "status", "--mqtt", "127.0.0.1:1", "--config", "/dev/null")
    assert code == 75 and errors.count("\n") == 1 and "is that the broker?" in errors


def test_it_is_off_unless_it_is_set(config):
    assert open_output(Config(mqtt=config.mqtt), context()) is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("fleet = true", "fleet: set mqtt, the broker, too"),
        ('fleet_name = "a/b"', "fleet_name = 'a/b': a name has up to 63 letters"),
        ('fleet_topic = "a/#"', "no topic that can be published to"),
        ('fleet_topic = ""', "fleet_topic: it is not empty"),
    ],
)
def test_settings_that_make_no_sense(tmp_path, line, message):
    from picaption.device.config.toml import load_config

    path = tmp_path / "picaption.toml"
    path.write_text(f"{line}\n")
    with pytest.raises(PicaptionError, match=message):
        load_config({}, path, {})


def test_more_than_a_thousand_devices_are_all_there(config):
    # mosquitto queues no more than a thousand messages of quality 1 for a client.
    count = 1500
    status = json.dumps({"fps": 1.0})
    receipts = []

    def publish(connection):
        for index in range(0 if receipts else count):
            topic = f"{config.fleet_topic}/device-{index}"
            receipts.append(connection.publish_to(f"{topic}/status", "online"))
            receipts.append(connection.publish_to(f"{topic}/figures", status))

    def is_over():
        return bool(receipts) and all(receipt.is_published() for receipt in receipts[-20:])

    watch_fleet(config, FleetWatch("none"), is_over, publish)
    watch = FleetWatch(config.fleet_topic)
    end = time.monotonic() + 30

    def are_there():
        return watch.retained == 2 * count or time.monotonic() > end

    watch_fleet(config, watch, are_there, lambda connection: None)
    assert [device.status.fps for device in watch.devices] == [1.0] * count
