"""Publishes this device's status, retained, from a thread of its own.

Below the fleet's topic and the device's name stand `status`, online or offline (also by the will),
and `figures`, a DeviceStatus as JSON.
"""

import json
import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace

from .. import board
from ..config.settings import Config
from ..outputs.mqtt.address import parse_address, tls_context
from ..outputs.mqtt.connection import Connection, Message, require_paho
from ..outputs.mqtt.versions import BundleFile, program_version
from ..outputs.sink import OutputContext, RecognizedFrame
from .meter import FrameMeter, LastError
from .status import DeviceStatus, to_device_name

logger = logging.getLogger(__name__)

#: Seconds between two statuses.
STATUS_SECONDS = 30.0
#: The pause before the broker is tried again; every further one is twice the last.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
#: How long `close` waits at most.
CLOSE_SECONDS = 1.9


class StatusPublisher:
    """A sink of the live loop: a broker that is slow or away holds up nothing.

    Args:
        config: The settings.
        context: What is known of the run.
        interval: Seconds between two statuses.

    Attributes:
        name: What this device is called.

    Raises:
        PicaptionError: The settings make no sense, or paho-mqtt is missing.
    """

    def __init__(
        self, config: Config, context: OutputContext, interval: float = STATUS_SECONDS
    ) -> None:
        require_paho()
        self.name = config.fleet_name or to_device_name(socket.gethostname())
        topic = f"{config.fleet_topic}/{self.name}"
        self._config = replace(config, mqtt_topic=topic)
        self._address = parse_address(config.mqtt)
        self._tls = tls_context(config.mqtt_ca) if self._address.tls else None
        self._identity = board.identity(topic)
        self._context = context
        self._interval = interval
        self._started = time.time()
        self._bundle_file: BundleFile | None = None
        self._meter = FrameMeter()
        self._last_error = LastError()
        logging.getLogger("picaption").addHandler(self._last_error)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def write(self, recognized: RecognizedFrame) -> None:
        """Count a frame."""
        self._meter.add(recognized)

    def close(self) -> None:
        """Publish "offline", which takes at most two seconds; else the will says so."""
        logging.getLogger("picaption").removeHandler(self._last_error)
        self._closing.set()
        self._thread.join(CLOSE_SECONDS)

    def status(self) -> DeviceStatus:
        """Return the status of this moment, and restart the counts."""
        measured = self._meter.read()
        throttling = board.throttled()
        source = self._context.source_status() if self._context.source_status else None
        error = self._last_error.line
        if source is not None and source.problem:
            error = source.problem
        loaded = self._loaded_bundle()
        return DeviceStatus(
            version=program_version(),
            bundle=self._bundle_name(),
            bundle_hash=loaded.rpartition(" ")[2],
            board=board.model() or "",
            camera=source.name if source else "",
            started=round(self._started, 1),
            fps=measured.fps,
            age_ms=measured.age_ms,
            silent_s=measured.silent_s,
            temperature=board.temperature(),
            throttled=throttling.now if throttling else (),
            unsure=measured.unsure,
            error=error,
            at=round(time.time(), 1),
        )

    def _bundle_name(self) -> str:
        state = self._context.control.state if self._context.control else None
        return (state.name if state else "") or self._context.bundle.name

    def _loaded_bundle(self) -> str:
        """Return the name and the hash of the bundle in use; "" where it is not known."""
        state = self._context.control.state if self._context.control else None
        if state is None or not state.path:
            return ""
        if self._bundle_file is None or self._bundle_file.path != state.path:
            self._bundle_file = BundleFile(state.path)
        return self._bundle_file.loaded

    def _run(self) -> None:
        keep_connected(self._publish_until_closed, self._closing, self._config.mqtt)

    def _publish_until_closed(self) -> None:
        """Publish over one connection until the sink is closed.

        Raises OSError or ValueError if the connection ends before.
        """
        connection = Connection(self._address, self._tls, self._config, self._identity, (), _ignore)
        connection.publish("status", "online")
        due = time.monotonic()
        while not self._closing.is_set():
            if time.monotonic() >= due:
                due += self._interval
                connection.publish("figures", json.dumps(self.status().to_json()))
            connection.serve()
        receipt = connection.publish("status", "offline")
        end = time.monotonic() + CLOSE_SECONDS
        while not receipt.is_published() and time.monotonic() < end:
            connection.serve()
        connection.disconnect()


def keep_connected(
    use_connection: Callable[[], None],
    closing: threading.Event,
    broker: str,
    first_pause: float = FIRST_PAUSE_SECONDS,
) -> None:
    """Use one connection after the other, with growing pauses, until there is no more to do.

    Args:
        use_connection: Connects, and returns once `closing` is set; raises OSError or ValueError
            if its connection ends before.
        closing: Set when nothing is to be done any more.
        broker: What the log calls the broker.
        first_pause: Seconds before the broker is tried again for the first time.
    """
    pause = first_pause
    while True:
        began = time.monotonic()
        try:
            use_connection()
            return
        except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
            if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                pause = first_pause
            logger.warning("fleet: %s: %s; trying again", broker, error)
        if closing.wait(pause):
            return
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _ignore(message: Message) -> None:
    """Take a message that nobody has asked for."""
