"""The roll-outs at a broker: what stands there, signed, and what the fleet's devices say of it."""

from typing import Any

from ...errors import PicaptionError
from ...outputs.mqtt.connection import Connection, Message
from ...signing.keys import KeyRing, PrivateKey
from ..watch import FleetWatch
from .manifest import (
    ABORTED,
    HISTORY_TOPIC,
    MAX_WITHDRAWN,
    TOPIC,
    Manifest,
    parse_manifest,
    sign_manifest,
)

#: Roll-outs that are remembered at most.
MAX_PAST = 10_000


class Ledger:
    """Collects the manifests at a broker, and what devices say.

    Args:
        topic: The fleet's topic.
        ring: The keys whose manifests count.
        with_thumbnails: Whether to collect the devices' pictures too.

    Attributes:
        topics: What is to be subscribed to.
        current: The newest manifest; None: there is none.
        past: The last manifests of the roll-outs, by their ids.
        watch: What the devices say.
    """

    def __init__(self, topic: str, ring: KeyRing, with_thumbnails: bool = False) -> None:
        self.current: Manifest | None = None
        self.past: dict[str, Manifest] = {}
        self.watch = FleetWatch(topic, with_thumbnails=with_thumbnails)
        self.topics = (*self.watch.topics, f"{topic}/{TOPIC}", f"{topic}/{HISTORY_TOPIC}/+")
        self._receipts: list[Any] = []
        self._topic = topic
        self._ring = ring

    def receive(self, message: Message) -> None:
        """Take a message, which may be anyone's."""
        is_current = message.topic == f"{self._topic}/{TOPIC}"
        if not is_current and not message.topic.startswith(f"{self._topic}/{HISTORY_TOPIC}/"):
            self.watch.receive(message)
            return
        self.watch.messages += 1
        self.watch.retained += message.is_retained
        try:
            manifest = parse_manifest(message.payload, self._ring)
        except PicaptionError:
            self.watch.refused += 1
            return
        self._take(manifest, is_current)

    def history(self) -> list[Manifest]:
        """Return the last manifests of the roll-outs, the oldest first."""
        return sorted(self.past.values(), key=_begun)

    def withdrawn(self) -> tuple[str, ...]:
        """Return the ids of the newest roll-outs that were aborted."""
        names = [manifest.id for manifest in self.history() if manifest.state == ABORTED]
        return tuple(names[-MAX_WITHDRAWN:])

    def is_confirmed(self) -> bool:
        """Return whether the broker has confirmed all that was published last."""
        return bool(self._receipts) and all(receipt.is_published() for receipt in self._receipts)

    def publish(self, connection: Connection, manifest: Manifest, private: PrivateKey) -> None:
        """Publish a manifest for the devices, and for the history.

        Raises:
            ConnectionError: The connection has ended.
        """
        payload = sign_manifest(manifest, private)
        self._take(manifest, is_current=True)
        topics = (f"{self._topic}/{TOPIC}", f"{self._topic}/{HISTORY_TOPIC}/{manifest.id}")
        self._receipts = [connection.publish_to(topic, payload) for topic in topics]

    def _take(self, manifest: Manifest, is_current: bool) -> None:
        if is_current and (self.current is None or manifest.serial > self.current.serial):
            self.current = manifest
        known = self.past.get(manifest.id)
        if known is None and len(self.past) >= MAX_PAST:
            return
        if known is None or manifest.serial > known.serial:
            self.past[manifest.id] = manifest


def _begun(manifest: Manifest) -> int:
    return manifest.begun
