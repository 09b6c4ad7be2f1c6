"""Simulated devices in a thread, or in a process of their own: one loop serves all of them."""

import threading
import time
from collections.abc import Sequence

from .devices import FleetOptions, SimulatedDevice

#: Seconds between two rounds at least: a process that has nothing to do leaves the CPU to others.
ROUND_SECONDS = 0.02


class DeviceGroup:
    """Devices that a thread serves in turn until they are stopped.

    Args:
        names: What they are called.
        options: What they have in common.
        round_seconds: Seconds between two rounds at least.

    Attributes:
        devices: The devices, by name.
    """

    def __init__(
        self, names: Sequence[str], options: FleetOptions, round_seconds: float = ROUND_SECONDS
    ) -> None:
        self._round_seconds = round_seconds
        self.devices = {name: SimulatedDevice(name, options) for name in names}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="devices", daemon=True)
        self._thread.start()

    def bundles(self) -> list[str]:
        """Return what the devices use."""
        return [device.board.bundle for device in self.devices.values()]

    def states(self) -> list[str]:
        """Return what has become of the last roll-out on the devices."""
        return [device.member.progress.state for device in self.devices.values()]

    def stop(self) -> None:
        """Have the devices leave, and end the thread."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            began = time.monotonic()
            for device in self.devices.values():
                device.serve()
            self._stopped.wait(max(0.0, self._round_seconds - (time.monotonic() - began)))
        for device in self.devices.values():
            device.leave()
