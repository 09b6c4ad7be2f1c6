"""Leads a roll-out: more devices step by step, and back if those that have it are worse off."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ..watch import Device
from .health import Health, complaint
from .manifest import ABORTED, DONE, RUNNING, VERSION, Manifest
from .progress import FAILED, SKIPPED, TAKEN, TAKING, WENT_BACK

#: How often the health is looked at while a step soaks, and the seconds between two looks at least.
LOOKS_PER_STEP = 4
MIN_LOOK_SECONDS = 1.0
#: Seconds that a device may be away while it takes a version.
UPDATE_SECONDS = 900.0
#: Seconds that devices have to go back before the command ends all the same.
TAKE_BACK_SECONDS = 600.0


@dataclass(frozen=True)
class Baseline:
    """How a device was before it could have the new; None: not known."""

    fps: float | None
    unsure: float | None
    started: float | None
    is_online: bool


class Steward:
    """Decides what a roll-out does next, from what its devices say.

    Args:
        manifest: The roll-out as it stands; the first step has a larger share.
        shares: The steps, in per cent.
        publish: Publishes a manifest.
        clock: Returns seconds that never go back.

    Attributes:
        manifest: The newest manifest.
        is_over: Whether there is nothing more to do.
    """

    def __init__(
        self,
        manifest: Manifest,
        shares: Sequence[float],
        publish: Callable[[Manifest], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.manifest = manifest
        self.is_over = False
        self._shares = [share for share in sorted(shares) if share > manifest.share]
        self._publish = publish
        self._clock = clock
        self._baselines: dict[str, Baseline] = {}
        self._updated: set[str] = set()
        self._looks = 0
        self._look_at = clock()
        self._step_at = clock()

    def begin(self, devices: Sequence[Device]) -> None:
        """Note how devices are before they have it, and let the first of them have it."""
        self._note_baselines(devices)
        self._go_on()

    def restart_step(self) -> None:
        """Let the step soak again: what devices said meanwhile did not come through."""
        self._step_at = self._clock()
        self._look_at = self._step_at + self._look_seconds

    def look(self, devices: Sequence[Device]) -> None:
        """Stop the roll-out, let more devices have it, or wait."""
        now = self._clock()
        if self.is_over:
            return
        if self.manifest.state == ABORTED:
            is_late = now - self._step_at > TAKE_BACK_SECONDS
            self.is_over = is_late or not self._holding(devices)
            return
        self._note_baselines(devices)
        if now < self._look_at:
            return
        self._look_at = now + self._look_seconds
        reason = self._complaint(devices)
        if reason:
            self.stop(reason)
        elif now - self._step_at >= self.manifest.rules.soak_seconds and self._is_complete(devices):
            self._go_on()

    def stop(self, reason: str) -> None:
        """Abort the roll-out: those that have it go back, for which `look` waits."""
        self._step_at = self._clock()
        self._change(state=ABORTED, note=reason)

    def missing(self, devices: Sequence[Device]) -> list[str]:
        """Return the names of the devices that are there, and whose share has come, without it."""
        return [
            device.name
            for device in devices
            if (device.is_online or self._is_updating(device))
            and device.status.rollout_state
            and self.manifest.is_due(device.name)
            and self._state(device) not in (TAKEN, FAILED, SKIPPED, WENT_BACK)
        ]

    def counts(self, devices: Sequence[Device]) -> Mapping[str, int]:
        """Return how many devices are in each state of this roll-out; not those without any."""
        states = [self._state(device) for device in devices]
        names = (TAKING, TAKEN, FAILED, SKIPPED, WENT_BACK)
        return {name: states.count(name) for name in names if name in states}

    @property
    def _look_seconds(self) -> float:
        return max(self.manifest.rules.soak_seconds / LOOKS_PER_STEP, MIN_LOOK_SECONDS)

    def _go_on(self) -> None:
        self.restart_step()
        if self._shares:
            self._change(state=RUNNING, share=self._shares.pop(0), note="")
            return
        self._change(state=DONE, note="")
        self.is_over = True

    def _change(self, **changes: Any) -> None:
        serial = max(int(time.time()), self.manifest.serial + 1)
        self.manifest = replace(self.manifest, serial=serial, **changes)
        self._publish(self.manifest)

    def _state(self, device: Device) -> str:
        """Return what has become of this roll-out on a device; empty: nothing yet."""
        status = device.status
        return status.rollout_state if status.rollout == self.manifest.id else ""

    def _holding(self, devices: Sequence[Device]) -> bool:
        """Return whether a device that is there still has what was taken back."""
        return any(
            device.is_online and self._state(device) in (TAKING, TAKEN) for device in devices
        )

    def _is_complete(self, devices: Sequence[Device]) -> bool:
        """Return whether all that are to have it by now do, and most have said how they are."""
        if self.missing(devices):
            return False
        taken = [device for device in devices if self._state(device) == TAKEN and device.is_online]
        unmeasured = sum(device.status.fps is None for device in taken)
        return 2 * unmeasured <= len(taken)

    def _note_baselines(self, devices: Sequence[Device]) -> None:
        for device in devices:
            if self._state(device) == TAKEN and device.name in self._baselines:
                self._note_update(device)
            if device.name not in self._baselines and not self._state(device):
                status = device.status
                self._baselines[device.name] = Baseline(
                    status.fps, status.unsure, status.started, device.is_online
                )

    def _note_update(self, device: Device) -> None:
        """Note the start of a device's new version: a version is not taken without one."""
        if self.manifest.artifact == VERSION and device.name not in self._updated:
            self._updated.add(device.name)
            before = self._baselines[device.name]
            self._baselines[device.name] = replace(before, started=device.status.started)

    def _complaint(self, devices: Sequence[Device]) -> str:
        """Look at the health; return what is worse of those that have it, empty: nothing."""
        concerned = [device for device in devices if self.manifest.is_for(device.name)]
        tried = [self._state(device) in (TAKING, TAKEN, FAILED) for device in concerned]
        having = [self._health(device) for device, has in zip(concerned, tried) if has]
        if not having:
            return ""
        self._looks += 1
        lacking = [self._health(device) for device, has in zip(concerned, tried) if not has]
        return complaint(having, lacking, self.manifest.rules, self._looks)

    def _is_updating(self, device: Device) -> bool:
        """Return whether a device may be away, since it starts with a new version."""
        is_early = self._clock() - self._step_at < UPDATE_SECONDS
        return self.manifest.artifact == VERSION and self._state(device) == TAKING and is_early

    def _health(self, device: Device) -> Health:
        status = device.status
        has_refused = self._state(device) == FAILED
        before = self._baselines.get(device.name)
        if before is None:
            return Health(has_refused=has_refused)
        fps = None
        if before.fps and status.fps is not None:
            fps = status.fps / before.fps
        unsure = None
        if before.unsure is not None and status.unsure is not None:
            unsure = status.unsure - before.unsure
        if self._is_updating(device):
            return Health()
        has_restarted = before.started is not None and status.started != before.started
        has_gone = before.is_online and not device.is_online
        return Health(fps, unsure, has_restarted or has_gone, has_refused)
