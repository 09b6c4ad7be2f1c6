"""What one device says over one connection, and what it does about roll-outs meanwhile."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from ..config.settings import Config
from ..outputs.mqtt.address import parse_address, tls_context
from ..outputs.mqtt.connection import STEP_SECONDS, Connection, Message
from .rollout.manifest import TOPIC
from .rollout.member import Member
from .status import DeviceStatus

#: Seconds between two statuses.
STATUS_SECONDS = 30.0


class DeviceSession:
    """A device's connection to the broker.

    Args:
        config: The settings of mqtt and of the fleet.
        name: What the device is called.
        identity: What its connection is called.
        make_status: Returns the status of the moment.
        member: Takes part in roll-outs; None: the device does not.
        interval: Seconds between two statuses.
        take_thumbnail: Returns a JPEG to publish with a status; None: there is none.

    Raises:
        OSError: The broker is away, or does not welcome.
        ValueError: Its host name cannot be one.
    """

    def __init__(
        self,
        config: Config,
        name: str,
        identity: str,
        make_status: Callable[[], DeviceStatus],
        member: Member | None,
        interval: float = STATUS_SECONDS,
        take_thumbnail: Callable[[], bytes | None] | None = None,
    ) -> None:
        self._take_thumbnail = take_thumbnail
        self._make_status = make_status
        self._member = member
        self._interval = interval
        self._due = time.monotonic()
        self._has_news = threading.Event()
        address = parse_address(config.mqtt)
        tls = tls_context(config.mqtt_ca) if address.tls else None
        topics = (f"{config.fleet_topic}/{TOPIC}",) if member is not None else ()
        own = replace(config, mqtt_topic=f"{config.fleet_topic}/{name}")
        self._connection = Connection(address, tls, own, identity, topics, self._receive)
        self._connection.publish("status", "online")

    def hurry(self) -> None:
        """Publish a status soon; any thread may ask."""
        self._has_news.set()

    def serve(self, seconds: float = STEP_SECONDS) -> None:
        """Publish a status if one is due, and listen for a moment.

        Raises:
            OSError: The connection has ended.
        """
        now = time.monotonic()
        if now >= self._due or self._has_news.is_set():
            status = self._status(self._has_news.is_set())
            self._has_news.clear()
            self._due = now + self._interval
            self._connection.publish("figures", json.dumps(status.to_json()))
            thumbnail = self._take_thumbnail() if self._take_thumbnail is not None else None
            if thumbnail is not None:
                self._connection.publish("picture", thumbnail)
        self._connection.serve(seconds)

    def leave(self, seconds: float) -> None:
        """Say "offline" and disconnect, within so many seconds."""
        receipt = self._connection.publish("status", "offline")
        end = time.monotonic() + seconds
        while not receipt.is_published() and time.monotonic() < end:
            self._connection.serve()
        self._connection.disconnect()

    def drop(self) -> None:
        """End the connection without a word; the broker then says "offline"."""
        self._connection.drop()

    def _status(self, is_news: bool) -> DeviceStatus:
        """Return what to publish; of a change no figures, which are of before it in part."""
        status = self._make_status()
        if is_news:
            status = replace(status, fps=None, age_ms=None, unsure=None)
        if self._member is None:
            return status
        progress = self._member.progress
        return replace(
            status,
            rollout=progress.id,
            rollout_state=progress.state,
            error=progress.line or status.error,
        )

    def _receive(self, message: Message) -> None:
        if self._member is not None:
            self._member.receive(message.payload)
