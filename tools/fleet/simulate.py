"""A fleet of simulated devices at a real mosquitto: a bad bundle and a good one are rolled out.

    python -m tools.fleet.simulate --devices 1000 > figures.json

The devices are the real protocol code with fake boards, the commands are the real ones. A bundle
that halves the frames a second goes to the first 5 %, is noticed, and is taken back. Then a good
one goes to all, while a tenth of the devices is away, and the broker is stopped and started again
in the middle; those that were away take it once they are back.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import click

from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.fleet.rollout.progress import FAILED, TAKEN, WENT_BACK
from picaption.device.signing.keys import (
    KeyRing,
    make_private_key,
    public_key,
    write_private_key,
    write_ring,
)
from tools.fleet.broker import Broker, MessageCounter, peak_megabytes, wait_until
from tools.fleet.devices import SHIPPED, FleetOptions
from tools.fleet.processes import DeviceProcesses

#: What is rolled out: texts that a fake board takes for a bundle.
BAD = "    TFL3 a slow bundle"
GOOD = "    TFL3 a good bundle"
#: Seconds that any part of the simulation may take.
PATIENCE_SECONDS = 1800.0
#: Seconds for which the broker is away.
AWAY_SECONDS = 3.0
_PROGRAM = "import sys; from picaption.device import cli; cli.main(sys.argv[1:])"


@dataclass(frozen=True)
class Scale:
    """How large and how fast the simulation is.

    Attributes:
        devices: How many there are.
        interval: Seconds between two statuses of each.
        soak: Seconds that a step lasts at least.
        shares: The steps.
        away: How many of 100 are away at first.
        round_seconds: Seconds between two rounds of a process at least.
    """

    devices: int = 1000
    interval: float = 10.0
    soak: float = 40.0
    shares: str = "5,25,100"
    away: float = 10.0
    round_seconds: float = 0.2


@dataclass
class Figures:
    """What is measured; seconds, messages a second, and MB.

    Attributes:
        devices: How many there are.
        connect_s: Until all were connected.
        idle_messages: Messages a second, in and out, while nothing is rolled out.
        bad_touched: How many devices got the bad bundle.
        bad_stopped_s: From the command's start until it was aborted and taken back on all.
        bad_reason: What the command said.
        bad_messages: Messages a second meanwhile.
        good_taken_s: From the command's start until all that were there had it.
        good_messages: Messages a second meanwhile.
        away: How many devices were away.
        away_taken_s: From their return until they had it.
        peak_messages: The most messages in a second.
        status_s: What `picaption fleet status --json` took.
        broker_mb: The broker's memory at most.
        tool_mb: The memory of `picaption fleet roll-out` at most.
    """

    devices: int
    connect_s: float = 0.0
    idle_messages: float = 0.0
    bad_touched: int = 0
    bad_stopped_s: float = 0.0
    bad_reason: str = ""
    bad_messages: float = 0.0
    good_taken_s: float = 0.0
    good_messages: float = 0.0
    away: int = 0
    away_taken_s: float = 0.0
    peak_messages: float = 0.0
    status_s: float = 0.0
    broker_mb: float = 0.0
    tool_mb: float = 0.0


@dataclass
class Scene:
    """All that takes part."""

    scale: Scale
    folder: Path
    config: Config
    broker: Broker
    fleet: DeviceProcesses
    counter: MessageCounter
    figures: Figures = field(init=False)

    def __post_init__(self) -> None:
        self.figures = Figures(self.scale.devices)

    def wait(self, is_met: Callable[[], bool], what: str) -> float:
        """Wait for something; return the seconds that it took.

        Raises:
            PicaptionError: It does not come.
        """
        began = time.monotonic()
        if not wait_until(is_met, PATIENCE_SECONDS, self.tick):
            raise PicaptionError(f"the simulation waits in vain until {what}")
        return round(time.monotonic() - began, 1)

    def tick(self) -> None:
        """Measure for a moment."""
        self.counter.serve()
        time.sleep(0.1)
        self.figures.broker_mb = max(self.figures.broker_mb, self.broker.peak_megabytes())

    def messages(self) -> float:
        """Return the messages a second since the last call."""
        self.figures.peak_messages = self.counter.peak
        return round(self.counter.rate(), 1)

    def command(self, *arguments: str | Path) -> "subprocess.Popen[str]":
        """Start a command of `picaption fleet`."""
        return subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, "fleet", *map(str, arguments)]
            + ["--mqtt", self.config.mqtt],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def roll_out(self, text: str) -> "subprocess.Popen[str]":
        """Start a roll-out of a bundle with this text."""
        path = self.folder / f"{text.split()[-2]}.tflite"
        path.write_text(text)
        return self.command(
            *("roll-out", path, "--url", path.as_uri(), "--private", self.folder / "fleet.key"),
            *("--shares", self.scale.shares, "--soak", str(self.scale.soak)),
        )


def simulate(scale: Scale, folder: Path) -> Figures:
    """Return the figures of a simulation.

    Args:
        scale: How large and how fast it is.
        folder: Where everything is written.

    Raises:
        PicaptionError: Something does not come about as it should.
    """
    private = make_private_key()
    ring = KeyRing((public_key(private, "fleet"),))
    write_private_key(folder / "fleet.key", private)
    write_ring(folder / "keys.json", ring)
    broker = Broker(folder / "broker")
    config = Config(mqtt=f"127.0.0.1:{broker.port}")
    names = [f"device-{index:04d}" for index in range(scale.devices)]
    options = FleetOptions(config, folder / "devices", ring, scale.interval)
    fleet = DeviceProcesses(names, options, scale.round_seconds)
    scene = Scene(scale, folder, config, broker, fleet, MessageCounter(config))
    try:
        _connect(scene)
        _roll_out_bad(scene)
        _roll_out_good(scene)
        _read_status(scene)
    finally:
        fleet.stop()
        broker.stop()
    return scene.figures


def _connect(scene: Scene) -> None:
    """Have all devices connect, and count the messages while nothing happens."""
    figures = scene.figures
    count = scene.scale.devices
    figures.connect_s = scene.wait(
        lambda: scene.fleet.state().connected == count, "all are connected"
    )
    scene.messages()
    end = time.monotonic() + 2 * scene.scale.interval
    wait_until(lambda: time.monotonic() > end, PATIENCE_SECONDS, scene.tick)
    figures.idle_messages = scene.messages()


def _roll_out_bad(scene: Scene) -> None:
    """Roll out a bundle that halves the frames a second: it is to be noticed, and taken back."""
    figures = scene.figures
    tool = scene.roll_out(BAD)

    def has_ended() -> bool:
        figures.tool_mb = max(figures.tool_mb, peak_megabytes(tool.pid))
        return tool.poll() is not None

    figures.bad_stopped_s = scene.wait(has_ended, "the bad bundle is stopped")
    output, errors = tool.communicate()
    figures.bad_reason = errors.strip()
    figures.bad_messages = scene.messages()
    _need(tool.returncode == 2 and "stopped: frames a second fell" in errors, output + errors)
    state = scene.fleet.state()
    figures.bad_touched = state.states[WENT_BACK]
    _need(state.bundles == {SHIPPED: scene.scale.devices}, f"all went back: {state}")
    _need(figures.bad_touched > 0 and not state.states[FAILED], f"some had it: {state}")


def _roll_out_good(scene: Scene) -> None:
    """Roll out a good bundle, with a tenth away and a broker that is started again."""
    figures = scene.figures
    figures.away = scene.fleet.set_away(scene.scale.away)
    present = scene.scale.devices - figures.away
    began = time.monotonic()
    tool = scene.roll_out(GOOD)
    scene.wait(lambda: scene.fleet.state().states[TAKEN] > 0, "the first have it")
    scene.broker.stop()
    time.sleep(AWAY_SECONDS)
    scene.broker.start()

    def has_ended() -> bool:
        figures.tool_mb = max(figures.tool_mb, peak_megabytes(tool.pid))
        if not figures.good_taken_s and scene.fleet.state().bundles[GOOD] >= present:
            figures.good_taken_s = round(time.monotonic() - began, 1)
        return tool.poll() is not None

    scene.wait(has_ended, "the good bundle is rolled out")
    output, errors = tool.communicate()
    figures.good_messages = scene.messages()
    _need(tool.returncode == 0 and "rolled out to 100 %" in output, output + errors)
    state = scene.fleet.state()
    _need(state.bundles[GOOD] == present, f"all that are there have it: {state}")
    scene.fleet.set_away(0.0)
    figures.away_taken_s = scene.wait(
        lambda: scene.fleet.state().bundles[GOOD] == scene.scale.devices, "those that were away"
    )


def _read_status(scene: Scene) -> None:
    """Read the state of all devices as an operator does."""
    began = time.monotonic()
    output, errors = scene.command("status", "--json").communicate()
    scene.figures.status_s = round(time.monotonic() - began, 1)
    states = [json.loads(line) for line in output.splitlines()]
    _need(len(states) == scene.scale.devices, errors)
    _need(all(state["rollout_state"] == TAKEN for state in states), "all say that they have it")


def _need(condition: bool, what: str) -> None:
    """Raise PicaptionError unless the simulation has gone as it should."""
    if not condition:
        raise PicaptionError(f"the simulation went otherwise than it should: {what}")


@click.command()
@click.option("--devices", type=click.IntRange(1), default=Scale.devices, show_default=True)
@click.option("--interval", type=float, default=Scale.interval, show_default=True)
@click.option("--soak", type=float, default=Scale.soak, show_default=True)
@click.option("--shares", default=Scale.shares, show_default=True)
def main(devices: int, interval: float, soak: float, shares: str) -> None:
    """Simulate a fleet; print the figures as JSON."""
    scale = Scale(devices, interval, soak, shares)
    with tempfile.TemporaryDirectory() as folder:
        try:
            figures = simulate(scale, Path(folder))
        except PicaptionError as error:
            print(error, file=sys.stderr)
            sys.exit(1)
    print(json.dumps(asdict(figures), indent=1))


if __name__ == "__main__":
    main()
