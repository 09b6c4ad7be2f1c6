"""Devices with fake boards: they say, take and go back as real ones, and recognise nothing.

What a board measures follows from the text in its bundle: "slow" halves its frames a second,
"blind" has it unsure of all, "broken" is refused.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.fleet.rollout.manifest import BUNDLE
from picaption.device.fleet.rollout.member import Member
from picaption.device.fleet.session import DeviceSession
from picaption.device.fleet.status import DeviceStatus
from picaption.device.signing.keys import KeyRing

#: What a board has that nothing was rolled out to.
SHIPPED = "shipped"
#: Seconds before a device tries a broker again that has gone away.
RETRY_SECONDS = 1.0


class FakeBoard:
    """Takes any text for a bundle, but for a broken one.

    Attributes:
        bundle: The text in use.
        loads: How often a bundle was taken into use.
    """

    def __init__(self) -> None:
        self.bundle = SHIPPED
        self.loads = 0

    def take(self, path: Path, order: bytes = b"") -> None:
        """Use the bundle at a path; raises PicaptionError if it is broken."""
        content = path.read_text()
        if "broken" in content:
            raise PicaptionError(f"{path.name}: its graph cannot be used here")
        self.bundle = content
        self.loads += 1

    def finish(self, path: Path) -> None:
        """Raise PicaptionError: what this start has interrupted has not worked."""
        raise PicaptionError("this program ended while it tried the bundle")

    def go_back(self, path: Path | None, order: bytes = b"") -> None:
        """Use the bundle at a path again; the shipped one, if it is None."""
        self.bundle = path.read_text() if path else SHIPPED

    def figures(self, noise: random.Random) -> DeviceStatus:
        """Return what the board measures."""
        fps = 10.0
        unsure = 0.2
        if "slow" in self.bundle:
            fps = 5.0
        if "blind" in self.bundle:
            unsure = 1.0
        return DeviceStatus(
            version="simulated",
            bundle=self.bundle[:40],
            board="a board that only pretends",
            fps=round(fps * noise.gauss(1, 0.05), 2),
            age_ms=round(100 * noise.gauss(1, 0.1), 1),
            temperature=round(noise.gauss(55, 3), 1),
            unsure=min(1.0, max(0.0, round(noise.gauss(unsure, 0.03), 3))),
        )


@dataclass(frozen=True)
class FleetOptions:
    """What the devices of a simulation have in common.

    Attributes:
        config: The settings of mqtt and of the fleet.
        folder: Where the devices keep what they know.
        ring: The keys that they trust.
        interval: Seconds between two statuses.
    """

    config: Config
    folder: Path
    ring: KeyRing
    interval: float


class SimulatedDevice:
    """A device of the real protocol code with a fake board; `serve` is its whole life.

    Args:
        name: What it is called.
        options: What all devices have in common.
        clock: Returns seconds that never go back.

    Attributes:
        board: Its board.
        member: What takes part in roll-outs.
        connections: How often it has connected.
        is_wanted: Whether it is to be connected; set by who simulates that it is away.
    """

    def __init__(
        self, name: str, options: FleetOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.board = FakeBoard()
        self.connections = 0
        self.is_wanted = True
        self._name = name
        self._options = options
        self._clock = clock
        self._noise = random.Random(name)
        self._started = time.time()
        self._session: DeviceSession | None = None
        # As after a power cut, not all come at once.
        self._connect_at = clock() + self._noise.random() * min(1.0, options.interval)
        self.member = Member(
            name, options.folder / name, self._keys, ("file",), {BUNDLE: self.board}
        )
        self.member.resume()

    def serve(self) -> None:
        """Do what is due, without waiting; a broker that is away is tried again later."""
        if not self.is_wanted:
            self._drop()
            return
        try:
            self._serve_connected()
        except (OSError, ValueError):
            self._session = None
            self._connect_at = self._clock() + RETRY_SECONDS * (0.5 + self._noise.random())

    def leave(self) -> None:
        """Disconnect as a device that is switched off in good order."""
        if self._session is not None:
            self._session.leave(1.0)
            self._session = None

    def _serve_connected(self) -> None:
        if self._session is None:
            if self._clock() < self._connect_at:
                return
            options = self._options
            self._session = DeviceSession(
                options.config,
                self._name,
                self._name,
                self._status,
                self.member,
                options.interval,
            )
            self.connections += 1
        if self.member.step():
            self._session.hurry()
        self._session.serve(0)

    def _drop(self) -> None:
        """Lose the connection, without a word."""
        if self._session is not None:
            self._session.drop()
            self._session = None

    def _keys(self) -> KeyRing:
        return self._options.ring

    def _status(self) -> DeviceStatus:
        now = round(time.time(), 1)
        return replace(self.board.figures(self._noise), started=self._started, at=now)
