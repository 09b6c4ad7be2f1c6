"""A bundle that is rolled out to a real live loop, which tries it, uses it, and goes back."""

import threading
import time
from dataclasses import replace

import pytest

pytest.importorskip("paho")

from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.fleet.publisher import StatusPublisher, state_folder
from picaption.device.fleet.rollout.loop_taker import LoopTaker
from picaption.device.fleet.rollout.manifest import ABORTED, TOPIC, sign_manifest
from picaption.device.fleet.rollout.member import SkipError
from picaption.device.fleet.rollout.progress import FAILED, TAKEN, WENT_BACK
from picaption.device.fleet.watch import FleetWatch, watch_fleet
from picaption.device.live.pipeline import Pipeline
from picaption.device.live.requests import RequestHandler
from picaption.device.outputs.control import LoopControl
from picaption.device.outputs.sink import OutputContext
from picaption.device.signing.keys import write_ring
from picaption.device.signing.policy import KEYS_VARIABLE, OWN_VARIABLE
from tests.device.fakes.servers import Broker, wait_for


@pytest.fixture(autouse=True)
def untouched_environment(monkeypatch):
    """The environment is as it was after the test."""
    for name in (KEYS_VARIABLE, OWN_VARIABLE):
        monkeypatch.setenv(name, "")


@pytest.fixture
def pipeline(tmp_path, ring):
    """A pipeline that trusts a ring, whose requests are obeyed as the loop does."""
    write_ring(tmp_path / "keys.json", ring)
    pipeline = Pipeline(
        Config(source="demo", quiet=True, public_keys=str(tmp_path / "keys.json")), outputs={}
    )
    handler = RequestHandler(pipeline)
    stopped = threading.Event()

    def obey():
        while not stopped.wait(0.01):
            handler.obey()

    thread = threading.Thread(target=obey)
    thread.start()
    yield pipeline
    stopped.set()
    thread.join()
    pipeline.close()


def test_a_bundle_is_rolled_out_and_taken_back(
    tmp_path, pipeline, bundle, private, manifest_of, monkeypatch
):
    monkeypatch.setattr("picaption.device.fleet.publisher._STEP_SECONDS", 0.05)
    broker = Broker(tmp_path)
    config = Config(
        mqtt=f"127.0.0.1:{broker.port}",
        fleet=True,
        fleet_name="kitchen",
        fleet_folder=str(tmp_path / "state"),
        fleet_schemes="file",
        public_keys=str(tmp_path / "keys.json"),
    )
    context = OutputContext(None, pipeline.recognizer.model.metadata, control=pipeline.control)
    publisher = StatusPublisher(config, context, interval=0.5)
    watch = FleetWatch(config.fleet_topic)
    messages = []
    over = threading.Event()

    def publish(connection):
        if messages:
            topic = f"{config.fleet_topic}/{TOPIC}"
            connection.publish_to(topic, sign_manifest(messages.pop(), private))

    def state():
        status = watch.devices[0].status if watch.devices else None
        return status and (status.rollout, status.rollout_state)

    arguments = (config, watch, over.is_set, publish)
    thread = threading.Thread(target=watch_fleet, args=arguments)
    thread.start()
    try:
        shipped = pipeline.control.state.path
        good = manifest_of(bundle, serial=5)
        messages.append(good)
        assert wait_for(lambda: state() == (good.id, TAKEN), 30)
        path = tmp_path / "state" / f"rollout-{good.id}"
        assert pipeline.control.state.path == str(path) and shipped != str(path)
        assert wait_for(lambda: watch.devices[0].status.bundle_hash == good.sha256[:8], 10)
        # The settings are read again: what was rolled out stays.
        pipeline.reload(replace(pipeline.config, bundle=""))
        assert pipeline.control.state.path == str(path)
        # Something that is no bundle: it is refused, and the one before stays.
        no_bundle = tmp_path / "no.tflite"
        no_bundle.write_bytes(b"    TFL3 but nothing else")
        bad = manifest_of(no_bundle, serial=6)
        messages.append(bad)
        assert wait_for(lambda: state() == (bad.id, FAILED), 30)
        assert pipeline.control.state.path == str(path)
        assert "no bundle" in watch.devices[0].status.error
        messages.append(replace(bad, serial=7, state=ABORTED, withdrawn=(good.id,)))
        assert wait_for(lambda: state() == (good.id, WENT_BACK), 30)
        assert pipeline.control.state.path == shipped
    finally:
        publisher.close()
        over.set()
        thread.join()
        broker.kill()


def test_what_was_taught_here_stays():
    control = LoopControl()
    control.state = replace(control.state, is_taught=True)
    with pytest.raises(SkipError, match="was taught on this device, and stays"):
        LoopTaker(control).take("any")


def test_a_loop_that_does_not_answer_is_not_waited_for():
    began = time.monotonic()
    with pytest.raises(PicaptionError, match="has not opened it in time"):
        LoopTaker(LoopControl(), lambda: True).take("any")
    assert time.monotonic() - began < 5


def test_where_what_is_rolled_out_lies(monkeypatch, tmp_path):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/picaption")
    assert str(state_folder()) == "/var/lib/picaption/fleet"
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "picaption" / "fleet"
