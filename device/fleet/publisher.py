"""Publishes this device's status, retained, from a thread of its own.

Below the fleet's topic and the device's name stand `status`, online or offline (also by the will),
`figures`, a DeviceStatus as JSON, and, if that is wanted, `picture`, a small JPEG. With public
keys, the device takes part in roll-outs.
"""

import functools
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from .. import board
from ..config.settings import Config
from ..errors import PicaptionError
from ..images import encode_image, shrink_to_fit
from ..outputs.control import LoopControl
from ..outputs.mqtt.address import parse_address, tls_context
from ..outputs.mqtt.connection import require_paho
from ..outputs.mqtt.versions import BundleFile, program_version
from ..outputs.sink import OutputContext, RecognizedFrame
from ..signing.keys import need_cryptography, read_ring
from .meter import FrameMeter, LastError
from .rollout.loop_taker import LoopTaker
from .rollout.manifest import BUNDLE, VERSION
from .rollout.member import Member, Taker
from .rollout.version_order import VersionTaker, takes_versions
from .session import STATUS_SECONDS, DeviceSession
from .status import DeviceStatus, to_device_name

logger = logging.getLogger(__name__)

#: Pixels of the longer side of a picture, and its JPEG quality.
THUMBNAIL_SIDE = 160
THUMBNAIL_QUALITY = 70
#: Seconds between two looks at what is rolled out.
_STEP_SECONDS = 0.5
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
        self._config = config
        if parse_address(config.mqtt).tls:
            tls_context(config.mqtt_ca)  # What is wrong with it is said now.
        self._identity = board.identity(f"{config.fleet_topic}/{self.name}")
        self._context = context
        self._interval = interval
        self._started = time.time()
        self._bundle_file: BundleFile | None = None
        self._meter = FrameMeter()
        self._wants_thumbnail = config.fleet_images
        self._thumbnail: bytes | None = None
        self._closing = threading.Event()
        self._session: DeviceSession | None = None
        self._member = self._open_member(config, context.control)
        self._last_error = LastError()
        logging.getLogger("picaption").addHandler(self._last_error)
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()
        if self._member is not None:
            # What it does may last: a thread of its own.
            arguments = (self._member,)
            threading.Thread(target=self._take_part, args=arguments, daemon=True).start()

    def write(self, recognized: RecognizedFrame) -> None:
        """Count a frame; make a picture of it, if one is wanted."""
        self._meter.add(recognized)
        if self._wants_thumbnail:
            # Here, in the loop's thread: the image's memory is the next frame's.
            self._wants_thumbnail = False
            image = shrink_to_fit(recognized.image, THUMBNAIL_SIDE)
            self._thumbnail = encode_image(image, ".jpg", THUMBNAIL_QUALITY)

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
        self._session = DeviceSession(
            self._config,
            self.name,
            self._identity,
            self.status,
            self._member,
            self._interval,
            self._take_thumbnail,
        )
        while not self._closing.is_set():
            self._session.serve()
        self._session.leave(CLOSE_SECONDS)

    def _take_thumbnail(self) -> bytes | None:
        """Return the newest picture, None if there is no new one, and ask for the next."""
        thumbnail = self._thumbnail
        self._thumbnail = None
        self._wants_thumbnail = self._config.fleet_images
        return thumbnail

    def _open_member(self, config: Config, control: LoopControl | None) -> Member | None:
        """Return what takes part in roll-outs; None: nothing is taken without keys to check it."""
        if not config.public_keys or control is None:
            return None
        need_cryptography()
        read_ring(config.public_keys)
        folder = Path(config.fleet_folder or state_folder())
        takers: dict[str, Taker] = {BUNDLE: LoopTaker(control, self._closing.is_set)}
        if takes_versions(folder):
            takers[VERSION] = VersionTaker(folder, is_closing=self._closing.is_set)
        return Member(
            self.name,
            folder,
            functools.partial(read_ring, config.public_keys),
            config.fleet_schemes.replace(",", " ").split(),
            takers,
            self._closing.is_set,
        )

    def _take_part(self, member: Member) -> None:
        """Do what roll-outs ask for until the sink is closed."""
        try:
            member.resume()
            while not self._closing.wait(_STEP_SECONDS):
                if member.step() and self._session is not None:
                    self._session.hurry()
        except PicaptionError as error:
            logger.error("fleet: %s; no roll-out is taken until the next start", error)


def state_folder() -> Path:
    """Return the folder for what is to last: systemd's for a service, or the user's own."""
    service = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    if service:
        return Path(service, "fleet")
    user = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(user):
        user = os.path.expanduser("~/.local/state")
    return Path(user, "picaption", "fleet")


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
