"""Groups of simulated devices, each in a process of its own: select() takes few files."""

import multiprocessing
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection as Pipe

from .devices import FleetOptions
from .group import DeviceGroup

#: Devices a process at most: each has three files open, and select() takes 1,024.
MAX_DEVICES = 250
_STOP = "stop"


@dataclass(frozen=True)
class GroupState:
    """How the devices of a group are.

    Attributes:
        bundles: How many use which bundle.
        states: How many are in which state of the last roll-out.
        connected: How many have been connected.
    """

    bundles: Counter[str]
    states: Counter[str]
    connected: int


class DeviceProcesses:
    """Simulated devices in processes.

    Args:
        names: What they are called.
        options: What they have in common.
        round_seconds: Seconds between two rounds of a process at least.
    """

    def __init__(self, names: Sequence[str], options: FleetOptions, round_seconds: float) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipes: list[Pipe] = []
        self._processes = []
        for start in range(0, len(names), MAX_DEVICES):
            own, childs = context.Pipe()
            arguments = (childs, names[start : start + MAX_DEVICES], options, round_seconds)
            process = context.Process(target=_run_group, args=arguments, daemon=True)
            process.start()
            self._pipes.append(own)
            self._processes.append(process)

    def state(self) -> GroupState:
        """Return how all devices are."""
        states = [state for state in self._ask("state") if isinstance(state, GroupState)]
        return GroupState(
            sum((state.bundles for state in states), Counter()),
            sum((state.states for state in states), Counter()),
            sum(state.connected for state in states),
        )

    def set_away(self, share: float) -> int:
        """Have so many of 100 devices lose their connection, the others be there.

        Returns how many are away.
        """
        return sum(count for count in self._ask(share) if isinstance(count, int))

    def stop(self) -> None:
        """Have the devices leave, and end the processes."""
        self._ask(_STOP)
        for process in self._processes:
            process.join()

    def _ask(self, question: str | float) -> list[object]:
        for pipe in self._pipes:
            pipe.send(question)
        return [pipe.recv() for pipe in self._pipes]


def _run_group(
    pipe: Pipe, names: Sequence[str], options: FleetOptions, round_seconds: float
) -> None:
    """Serve devices, and answer what the pipe asks, until it says so."""
    group = DeviceGroup(names, options, round_seconds)
    while (question := pipe.recv()) != _STOP:
        if isinstance(question, float):
            pipe.send(_set_away(group, question))
        else:
            pipe.send(_state_of(group))
    group.stop()
    pipe.send(None)


def _state_of(group: DeviceGroup) -> GroupState:
    connected = sum(device.connections > 0 for device in group.devices.values())
    return GroupState(Counter(group.bundles()), Counter(group.states()), connected)


def _set_away(group: DeviceGroup, share: float) -> int:
    count = round(len(group.devices) * share / 100)
    for index, device in enumerate(group.devices.values()):
        device.is_wanted = index >= count
    return count
