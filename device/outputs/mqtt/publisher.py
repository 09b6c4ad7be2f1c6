"""Recognitions to an MQTT broker, from a thread of its own.

Below the topic, retained: `status` is online or offline, `state` the recognition as JSON with what
is watched, "fps" and the board's figures, `caption` its text, or why there is none, `picture` a
JPEG, `control` what holds in the loop, `update/program` and `update/bundle` versions. `event` is
not retained. The state is published as soon as that text, the certain class, the scene or what is
watched is another one, and every HEARTBEAT_SECONDS while frames come; what changes faster than the
broker confirms is left out. Orders come below `set`.
"""

import logging
import threading
import time
from collections.abc import Callable, Mapping

from ... import board
from ...config.checks import is_loopback
from ...config.settings import CameraConfig, Config
from ...errors import PicaptionError
from ...sources.source import SourceStatus
from ..sink import OutputContext, RecognizedFrame
from ..subjects import Subject, find_subject
from .address import parse_address, tls_context
from .connection import Connection, TooLongError, require_paho
from .homeassistant import Offered, Share
from .intake import Intake
from .orders import Orders
from .session import Session, Surroundings
from .versions import program_version

logger = logging.getLogger(__name__)

#: After this a state is published though nothing that matters has changed.
HEARTBEAT_SECONDS = 10.0
#: The pause before the broker is tried again; every further one is twice the last.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
#: How long `close` waits at most.
CLOSE_SECONDS = 1.9


class MqttPublisher:
    """Publishes from a thread of its own: a broker that is slow or away holds up nothing.

    It is tried again for ever. Of what could not be published only the newest is retained.

    Args:
        config: The settings of mqtt.
        context: What is known of the run; None: nothing is, and it cannot be changed.
        heartbeat: Seconds after which a state is published though nothing has changed.
        first_pause: Seconds before the broker is tried again for the first time.
        board_topic: Of one of several cameras, what the board's topics begin with.
        cameras: Of a board of several cameras, each one's topic, and what is known of it now, by
            name: nothing but the board is published then.

    Raises:
        PicaptionError: The settings make no sense, or paho-mqtt is missing.
    """

    def __init__(
        self,
        config: Config,
        context: OutputContext | None = None,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        first_pause: float = FIRST_PAUSE_SECONDS,
        board_topic: str = "",
        cameras: Mapping[str, tuple[str, Callable[[], SourceStatus]]] | None = None,
    ) -> None:
        require_paho()
        self._config = config
        self._first_pause = first_pause
        self._address = parse_address(config.mqtt)
        self._tls = tls_context(config.mqtt_ca) if self._address.tls else None
        self._subjects = watched_subjects(config, context)
        self._warn()
        self._control = context.control if context else None
        self._board_identity = board.identity(board_topic) if board_topic else ""
        self._share = Share.ALL
        camera_name = None
        if cameras:
            self._share = Share.BOARD
        elif isinstance(config, CameraConfig):
            self._share = Share.CAMERA
            camera_name = config.camera_name
        self._orders = None
        if self._control:
            self._orders = Orders(self._control, share=self._share, camera_name=camera_name)
        self._intake = Intake(self._subjects)
        self._is_throttling_known = board.throttled() is not None
        self._surroundings = Surroundings(
            config,
            board.identity(config.mqtt_topic),
            self._intake,
            self._offered,
            heartbeat,
            self._control,
            self._orders,
            context.source_status if context else None,
            program_version(),
            cameras or {},
        )
        self._listens = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def newest(self) -> RecognizedFrame | None:
        """The newest frame, which is published next if there is reason to."""
        return self._intake.newest.recognized if self._intake.newest else None

    def write(self, recognized: RecognizedFrame) -> None:
        """Take the newest frame; the thread publishes it."""
        state = self._control.state if self._control else None
        looked_for = self._orders.looked_for if self._orders else None
        self._intake.write(recognized, state, looked_for)

    def stop(self) -> None:
        """Begin to publish the newest state and "offline"; `close` is to follow."""
        self._closing.set()

    def close(self, timeout: float = CLOSE_SECONDS) -> None:
        """Publish the newest state and "offline", which takes at most two seconds.

        If they cannot be published, the will at the broker says "offline".

        Args:
            timeout: Seconds that this is waited for.
        """
        self.stop()
        self._thread.join(timeout)

    def _warn(self) -> None:
        config = self._config
        if config.mqtt_ca and not self._address.tls:
            raise PicaptionError(
                f"mqtt_ca: {config.mqtt} is not encrypted; "
                f'write mqtt = "mqtts://{self._address.host}"'
            )
        if config.mqtt_user and not self._address.tls and not is_loopback(self._address.host):
            logger.warning(
                "mqtt: the password goes to %s unencrypted; mqtts:// would hide it",
                self._address.host,
            )

    def _offered(self) -> Offered:
        bundles = self._control.state.bundles if self._control else ()
        return Offered(
            self._subjects,
            bundles,
            self._is_throttling_known,
            self._control is not None,
            self._share,
            self._board_identity,
        )

    def _run(self) -> None:
        pause = self._first_pause
        last_error = None
        while True:
            began = time.monotonic()
            try:
                self._publish_until_closed()
                return
            except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
                if isinstance(error, TooLongError):
                    self._listens = False
                if time.monotonic() - began > LONGEST_PAUSE_SECONDS:
                    pause = self._first_pause
                    last_error = None
                repeated = str(error) == last_error
                last_error = str(error)
                logger.log(
                    logging.DEBUG if repeated else logging.WARNING,
                    "mqtt: %s:%d: %s; trying again",
                    self._address.host,
                    self._address.port,
                    error,
                )
            finally:
                self._intake.wants_image = False
            if self._closing.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _publish_until_closed(self) -> None:
        """Publish over one connection until the sink is closed.

        Raises OSError or ValueError if the connection ends before.
        """
        session = Session(self._surroundings, self._listens)
        connection = Connection(
            self._address,
            self._tls,
            self._config,
            self._surroundings.identity,
            session.topics,
            session.receive,
        )
        logger.info("mqtt: connected to %s:%d", self._address.host, self._address.port)
        connection.publish("status", "online")
        self._intake.is_image_due = True
        self._intake.wants_image = self._config.mqtt_images
        while True:
            # Read before the newest state: the last one is published too.
            is_closing = self._closing.is_set()
            session.publish(connection)
            if is_closing:
                break
            connection.serve()
        receipt = session.leave(connection)
        end = time.monotonic() + CLOSE_SECONDS
        while not receipt.is_published() and time.monotonic() < end:
            connection.serve()
        connection.disconnect()


def watched_subjects(config: Config, context: OutputContext | None) -> tuple[Subject, ...]:
    """Return what Home Assistant gets a sensor for: `mqtt_watch`, and what events wait for.

    Raises:
        PicaptionError: The bundle has no such class, and no such word.
    """
    labels = context.labels if context else None
    words = context.words if context else None
    subjects: dict[str, Subject] = {}
    for name in filter(None, map(str.strip, config.mqtt_watch.split(","))):
        try:
            subjects[name] = find_subject(name, labels, words)
        except PicaptionError as error:
            raise PicaptionError(f"mqtt_watch: {error}") from None
    for event in config.event:
        name = event.class_ or event.word
        if name:
            subjects.setdefault(name, Subject(name, bool(event.class_)))
    return tuple(subjects.values())
