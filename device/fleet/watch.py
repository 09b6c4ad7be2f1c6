"""What the devices of a fleet say of themselves, collected from the broker."""

import secrets
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..config.settings import Config
from ..errors import TemporaryError
from ..outputs.mqtt.address import parse_address, tls_context
from ..outputs.mqtt.connection import Connection, Message, require_paho
from .status import DeviceStatus, is_device_name, parse_status

#: Devices that are remembered at most: a broker is anyone's.
MAX_DEVICES = 20_000
#: Pictures that are remembered at most, and bytes of one.
MAX_THUMBNAILS = 5_000
MAX_THUMBNAIL_BYTES = 32_768
_JPEG = b"\xff\xd8\xff"
#: How many times as long the first message may take: a broker may be far away.
FIRST_PATIENCE = 3


@dataclass(frozen=True)
class Device:
    """What is known of a device.

    Attributes:
        name: What it is called.
        is_online: Whether it is connected.
        status: What it has said last.
    """

    name: str
    is_online: bool = False
    status: DeviceStatus = field(default_factory=DeviceStatus)


@dataclass(frozen=True)
class Thumbnail:
    """What a device sees: a JPEG, and a number that grows with every newer one."""

    content: bytes
    version: int


class FleetWatch:
    """Collects what is published below a fleet's topic.

    Args:
        topic: The fleet's topic.
        max_devices: Devices that are remembered at most.
        with_thumbnails: Whether to collect their pictures too.

    Attributes:
        topics: What is to be subscribed to.
        messages: How many messages have come.
        retained: How many of them the broker had retained: all of those come at the beginning.
        refused: How many of them were none of a device.
        thumbnails: The newest pictures, by the devices' names.
    """

    def __init__(
        self, topic: str, max_devices: int = MAX_DEVICES, with_thumbnails: bool = False
    ) -> None:
        self.topics: tuple[str, ...] = (f"{topic}/+/status", f"{topic}/+/figures")
        if with_thumbnails:
            self.topics += (f"{topic}/+/picture",)
        self.thumbnails: dict[str, Thumbnail] = {}
        self.messages = 0
        self.retained = 0
        self.refused = 0
        self._prefix = f"{topic}/"
        self._max_devices = max_devices
        self._lock = threading.Lock()
        self._devices: dict[str, Device] = {}

    @property
    def devices(self) -> list[Device]:
        """The devices, by name."""
        with self._lock:
            return [self._devices[name] for name in sorted(self._devices)]

    def receive(self, message: Message) -> None:
        """Take a message, which may be anyone's."""
        self.messages += 1
        self.retained += message.is_retained
        if not self._take(message):
            self.refused += 1

    def _take(self, message: Message) -> bool:
        """Note what a message says; return whether it says anything."""
        name, _, end = message.topic.removeprefix(self._prefix).rpartition("/")
        if not message.topic.startswith(self._prefix) or not is_device_name(name):
            return False
        with self._lock:
            device = self._devices.get(name, Device(name))
            if end == "picture":
                return self._take_thumbnail(name, message.payload)
            if not message.payload:  # Someone has taken it from the broker.
                self._devices.pop(name, None)
                self.thumbnails.pop(name, None)
                return True
            if name not in self._devices and len(self._devices) >= self._max_devices:
                return False
            if end == "status" and message.payload in (b"online", b"offline"):
                is_online = message.payload == b"online"
                self._devices[name] = Device(name, is_online, device.status)
                return True
            status = parse_status(message.payload) if end == "figures" else None
            if status is None:
                return False
            self._devices[name] = Device(name, device.is_online, status)
            return True

    def _take_thumbnail(self, name: str, content: bytes) -> bool:
        """Note a device's newest picture; return whether it is one, and there is room for it."""
        known = self.thumbnails.get(name)
        if not content:
            self.thumbnails.pop(name, None)
            return True
        if not content.startswith(_JPEG) or len(content) > MAX_THUMBNAIL_BYTES:
            return False
        if known is None and len(self.thumbnails) >= MAX_THUMBNAILS:
            return False
        self.thumbnails[name] = Thumbnail(content, self.messages)
        return True


class Collector(Protocol):
    """What takes the messages of some topics; FleetWatch is one."""

    @property
    def topics(self) -> Sequence[str]:
        """What is to be subscribed to."""

    def receive(self, message: Message) -> None:
        """Take a message, which may be anyone's."""


def watch_fleet(
    config: Config,
    watch: Collector,
    is_over: Callable[[], bool],
    on_tick: Callable[[Connection], None],
) -> None:
    """Collect from the broker until that is over.

    Args:
        config: The settings of mqtt.
        watch: What collects.
        is_over: Returns whether to stop; asked all the time.
        on_tick: Called all the time, with the connection, over which it may publish.

    Raises:
        PicaptionError: The broker is away, or does not welcome.
    """
    require_paho()
    address = parse_address(config.mqtt)
    tls = tls_context(config.mqtt_ca) if address.tls else None
    identity = f"fleet-{secrets.token_hex(6)}"
    try:
        connection = Connection(
            address,
            tls,
            config,
            identity,
            watch.topics,
            watch.receive,
            has_will=False,
            quality=0,
        )
        while not is_over():
            connection.serve()
            on_tick(connection)
        connection.disconnect()
    except (OSError, ValueError) as error:
        raise TemporaryError(f"{config.mqtt}: {error}; is that the broker?") from None


def settled(
    watch: FleetWatch, seconds: float, clock: Callable[[], float] = time.monotonic
) -> Callable[[], bool]:
    """Return what tells whether all that the broker retains is there.

    That is so once no retained message has come for a while, however many others come; for the
    first one, FIRST_PATIENCE whiles are waited from the first time that it is asked, which is to be
    after the connection is there.

    Args:
        watch: What collects.
        seconds: The while.
        clock: Returns seconds that never go back.
    """
    count = 0
    counted_at: float | None = None

    def is_settled() -> bool:
        nonlocal count, counted_at
        now = clock()
        if counted_at is None or watch.retained != count:
            count = watch.retained
            counted_at = now
        patience = seconds if count else FIRST_PATIENCE * seconds
        return now - counted_at >= patience

    return is_settled
