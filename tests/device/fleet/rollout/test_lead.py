"""Roll-outs at a real broker, of devices with fake boards and the real protocol."""

import json
import threading

import pytest

pytest.importorskip("paho")

from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.fleet.rollout import commands as commands_module
from picaption.device.fleet.rollout import lead as lead_module
from picaption.device.fleet.rollout.commands import make_manifest, starting
from picaption.device.fleet.rollout.health import Rules
from picaption.device.fleet.rollout.lead import Leader
from picaption.device.fleet.rollout.manifest import PAUSED, VERSION
from picaption.device.fleet.rollout.progress import FAILED, TAKEN, WENT_BACK
from picaption.device.signing.keys import write_private_key, write_ring
from tests.device.fakes.servers import Broker, wait_for
from tools.fleet.devices import SHIPPED, FleetOptions
from tools.fleet.group import DeviceGroup

COUNT = 25
RULES = Rules(soak_seconds=1.6)
#: Of the 25 devices 10 come before 30 % in the roll-out of this id, and 5 before 20 %.
ID = "0" * 16
SHARES = [30.0, 100.0]


@pytest.fixture(scope="module")
def broker(tmp_path_factory):
    """A real mosquitto."""
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.kill()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """A broker of this computer's own answers fast, and roll-outs have the same id."""
    monkeypatch.setattr(lead_module, "SETTLED_SECONDS", 0.3)
    monkeypatch.setattr(lead_module, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(commands_module.secrets, "token_hex", lambda count: "0" * 2 * count)


@pytest.fixture
def fleet(broker, tmp_path, ring, request):
    """Devices at the broker, below a topic of this test's own."""
    topic = request.node.name.translate(str.maketrans("[]", "--"))
    config = Config(mqtt=f"127.0.0.1:{broker.port}", fleet_topic=topic)
    group = DeviceGroup(
        [f"device-{index}" for index in range(COUNT)],
        FleetOptions(config, tmp_path / "devices", ring, interval=0.3),
    )
    group.config = config
    yield group
    group.stop()


def bundle(tmp_path, text):
    """Return the path of what a fake board takes for a bundle."""
    path = tmp_path / f"{text.split()[1]}.tflite"
    path.write_bytes(b"    TFL3 " + text.encode())
    return path


def leader(fleet, private, ring, path):
    manifest = make_manifest(path, path.as_uri(), private, (), RULES)
    assert manifest.id == ID
    return Leader(fleet.config, private, ring, starting(manifest), SHARES)


@pytest.mark.parametrize("harm", ["slow", "blind", "broken"])
def test_a_bad_bundle_is_taken_back_on_all_that_had_it(fleet, tmp_path, ring, private, harm):
    bad = bundle(tmp_path, f"a {harm} bundle")
    assert wait_for(lambda: all(device.connections for device in fleet.devices.values()))
    with pytest.raises(PicaptionError, match="stopped: .*(fell|grew|cannot use it).*devices went"):
        leader(fleet, private, ring, bad).lead()
    assert wait_for(lambda: set(fleet.bundles()) == {SHIPPED}, 10)
    states = fleet.states()
    touched = states.count(WENT_BACK) + states.count(FAILED)
    assert 0 < touched <= 10 and TAKEN not in states


def test_a_good_one_reaches_all_though_the_broker_forgets_it(
    broker, fleet, tmp_path, ring, private, capsys
):
    good = bundle(tmp_path, "a good bundle")
    away = list(fleet.devices.values())[:3]
    for device in away:
        device.is_wanted = False
    led = leader(fleet, private, ring, good)
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(led.lead()))
    thread.start()
    assert wait_for(lambda: TAKEN in fleet.states(), 20)
    broker.kill()
    broker.start()
    thread.join(40)
    assert [manifest.share for manifest in outcomes] == [100.0]
    content = good.read_text()
    assert fleet.bundles().count(content) == COUNT - len(away)
    # Who was away takes it when it is back: the broker retains it.
    for device in away:
        device.is_wanted = True
    assert wait_for(lambda: set(fleet.bundles()) == {content}, 20)
    assert "good: rolled out to 100 %" in capsys.readouterr().out


def test_the_commands_pause_go_on_abort_and_list(fleet, tmp_path, ring, private, call):
    write_private_key(tmp_path / "fleet.key", private)
    write_ring(tmp_path / "keys.json", ring)
    good = bundle(tmp_path, "a good bundle")
    broker = ("--mqtt", fleet.config.mqtt, "--fleet-topic", fleet.config.fleet_topic)
    keys = ("--private", tmp_path / "fleet.key")
    code, _, errors = call("fleet", "pause", *keys, *broker)
    assert code == 2 and "no roll-out stands at that broker" in errors
    url = ("--url", good.as_uri(), "--shares", "20", "--soak", "0")
    code, out, errors = call("fleet", "roll-out", good, *url, *keys, *broker)
    assert code == 0 and "good: rolled out to 20 %" in out
    assert fleet.states().count(TAKEN) == 5
    code, _, errors = call("fleet", "roll-out", *keys, *broker)
    assert code == 2 and "good: it is done; name a FILE" in errors
    assert call("fleet", "pause", *keys, *broker)[0] == 0
    ring_option = ("--ring", tmp_path / "keys.json")
    code, out, _ = call("fleet", "history", "--json", *ring_option, *broker)
    assert code == 0 and json.loads(out)["state"] == PAUSED
    code, out, _ = call("fleet", "roll-out", "--shares", "100", "--soak", "0", *keys, *broker)
    assert code == 0 and fleet.states().count(TAKEN) == COUNT
    code, out, _ = call("fleet", "abort", *keys, *ring_option, *broker)
    assert code == 0 and out == "good: aborted\n"
    assert wait_for(lambda: set(fleet.bundles()) == {SHIPPED}, 20)
    code, out, _ = call("fleet", "history", *ring_option, *broker)
    words = out.split()
    assert code == 0 and "aborted" in words and words[-3:] == ["by", "an", "operator"]


def test_what_cannot_be_rolled_out_is_one_line(tmp_path, private, call):
    write_private_key(tmp_path / "fleet.key", private)
    good = bundle(tmp_path, "a good bundle")
    keys = ("--private", tmp_path / "fleet.key", "--mqtt", "127.0.0.1:1", "--config", "/dev/null")
    url = ("--url", "https://host/good.tflite")
    for arguments, message in [
        ((good, *keys), "name where the devices fetch FILE: --url"),
        ((good, "--url", "ftp://x/y", *keys), "devices fetch it from an https, http or file"),
        ((good, *url, "--shares", "9,5", *keys), "--shares 9,5: write growing numbers up to 100"),
        ((good, *url, "--shares", "nan", *keys), "--shares nan: write growing numbers"),
        ((tmp_path / "none", *url, *keys), "none: cannot be read"),
    ]:
        code, _, errors = call("fleet", "roll-out", *arguments)
        assert (code, errors.count("\n")) == (2, 1) and message in errors
    code, _, errors = call("fleet", "roll-out", good, *url, *keys)
    assert code == 75 and "is that the broker?" in errors


def test_what_is_no_bundle_is_a_version(tmp_path, private):
    path = tmp_path / "payload.tar"
    path.write_text("a payload")
    manifest = make_manifest(path, "https://host/payload.tar", private, (), RULES)
    assert (manifest.artifact, manifest.label, manifest.share) == (VERSION, "payload", 0.0)
