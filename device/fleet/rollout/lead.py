"""Leads a roll-out at a broker until its end, also over a broker that goes away and comes back."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from ...config.settings import Config
from ...errors import PicaptionError, TemporaryError
from ...log import say
from ...outputs.mqtt.connection import Connection
from ...signing.keys import KeyRing, PrivateKey
from ..watch import Device, settled, watch_fleet
from .ledger import Ledger
from .manifest import ABORTED, Manifest
from .progress import WENT_BACK
from .steward import Steward

logger = logging.getLogger(__name__)

#: Seconds without news after which all that the broker retains is there.
SETTLED_SECONDS = 1.0
#: Seconds between two lines about a roll-out.
LINE_SECONDS = 10.0
#: Seconds before a broker that has gone away is tried again, and for how many it may be away.
RETRY_SECONDS = 1.0
AWAY_SECONDS = 3600.0

#: Makes the manifest that a command publishes of what stands at the broker.
Change = Callable[[Ledger], Manifest]


class Leader:
    """Leads one roll-out, over one connection after the other.

    Args:
        config: The settings of mqtt.
        private: The key that signs.
        ring: The keys whose earlier roll-outs count.
        begin: Returns the roll-out, its share as it stands.
        shares: Its steps, in per cent.
    """

    def __init__(
        self,
        config: Config,
        private: PrivateKey,
        ring: KeyRing,
        begin: Change,
        shares: Sequence[float],
    ) -> None:
        self._config = config
        self._private = private
        self._begin = begin
        self._shares = shares
        self._ledger = Ledger(config.fleet_topic, ring)
        self._steward: Steward | None = None
        self._connection: Connection | None = None
        self._is_settled = settled(self._ledger.watch, SETTLED_SECONDS)
        self._is_known = False
        self._line_at = -LINE_SECONDS

    def lead(self) -> Manifest:
        """Lead the roll-out until it is over; return its last manifest.

        Raises:
            PicaptionError: The broker is away, or the roll-out was stopped.
        """
        away_since: float | None = None
        while True:
            try:
                watch_fleet(self._config, self._ledger, self._is_over, self._tick)
                break
            except TemporaryError as error:
                if self._connection is not None:
                    away_since = None
                if self._steward is None:
                    raise
                away_since = away_since or time.monotonic()
                if time.monotonic() - away_since > AWAY_SECONDS:
                    raise
                logger.warning("fleet: %s; trying again", error)
            self._connection = None
            time.sleep(RETRY_SECONDS)
        assert self._steward is not None
        return self._outcome(self._steward)

    def _tick(self, connection: Connection) -> None:
        """Do what is to be done between two messages."""
        if connection is not self._connection:
            self._connection = connection
            self._is_settled = settled(self._ledger.watch, SETTLED_SECONDS)
            self._is_known = False
        if not self._is_settled():
            return
        if self._steward is None:
            self._is_known = True
            manifest = self._begin(self._ledger)
            self._steward = Steward(manifest, self._shares, self._publish)
            self._steward.begin(self._ledger.watch.devices)
            return
        self._need_to_lead(self._steward)
        if not self._is_known:
            # A broker that was restarted may have forgotten it.
            self._is_known = True
            self._publish(self._steward.manifest)
            self._steward.restart_step()
        devices = self._ledger.watch.devices
        self._steward.look(devices)
        if time.monotonic() - self._line_at > LINE_SECONDS or self._steward.is_over:
            self._line_at = time.monotonic()
            say(state_line(self._steward, devices))

    def _need_to_lead(self, steward: Steward) -> None:
        """Raise PicaptionError if another command has changed the roll-out."""
        current = self._ledger.current
        if current is not None and current.serial > steward.manifest.serial:
            raise PicaptionError(
                f"{current.label}: it is {current.state} by another command; this one ends"
            )

    def _publish(self, manifest: Manifest) -> None:
        assert self._connection is not None
        self._ledger.publish(self._connection, manifest, self._private)

    def _is_over(self) -> bool:
        steward = self._steward
        return steward is not None and steward.is_over and self._ledger.is_confirmed()

    def _outcome(self, steward: Steward) -> Manifest:
        """Return the last manifest of a roll-out that is over; raise PicaptionError if stopped."""
        manifest = steward.manifest
        if manifest.state == ABORTED:
            back = steward.counts(self._ledger.watch.devices).get(WENT_BACK, 0)
            raise PicaptionError(
                f"{manifest.label}: stopped: {manifest.note}; {back} devices went back"
            )
        say(f"{manifest.label}: rolled out to {manifest.share:g} %")
        return manifest


def state_line(steward: Steward, devices: Sequence[Device]) -> str:
    """Return the line that says how far a roll-out is."""
    manifest = steward.manifest
    concerned = [device for device in devices if manifest.is_for(device.name)]
    offline = sum(not device.is_online for device in concerned)
    counts = [f"{count} {name}" for name, count in steward.counts(concerned).items()]
    counts.append(f"{len(steward.missing(concerned))} to come")
    noun = "device" if len(concerned) == 1 else "devices"
    return (
        f"{manifest.share:g} % of {len(concerned)} {noun}, {offline} of them offline: "
        f"{', '.join(counts)}"
    )


def change_state(config: Config, private: PrivateKey, ring: KeyRing, state: str) -> Manifest:
    """Publish the roll-out that stands at a broker in another state; return that.

    Raises:
        PicaptionError: The broker is away, or there is none that these keys have signed.
    """
    ledger = Ledger(config.fleet_topic, ring)
    is_settled = settled(ledger.watch, SETTLED_SECONDS)
    changed: list[Manifest] = []

    def tick(connection: Connection) -> None:
        if changed or not is_settled():
            return
        current = need_current(ledger)
        serial = max(int(time.time()), current.serial + 1)
        changed.append(replace(current, state=state, serial=serial, note="by an operator"))
        ledger.publish(connection, changed[0], private)

    watch_fleet(config, ledger, lambda: bool(changed) and ledger.is_confirmed(), tick)
    return changed[0]


def read_history(config: Config, ring: KeyRing) -> list[Manifest]:
    """Return the roll-outs that stand at a broker, the oldest first.

    Raises:
        PicaptionError: The broker is away.
    """
    ledger = Ledger(config.fleet_topic, ring)
    watch_fleet(config, ledger, settled(ledger.watch, SETTLED_SECONDS), _nothing)
    return ledger.history()


def need_current(ledger: Ledger) -> Manifest:
    """Return the roll-out that stands there; raise PicaptionError without one."""
    if ledger.current is None:
        raise PicaptionError(
            "no roll-out stands at that broker that these keys have signed; picaption fleet "
            "roll-out begins one, --ring names more keys"
        )
    return ledger.current


def _nothing(connection: Connection) -> None:
    """Do nothing between two messages."""
