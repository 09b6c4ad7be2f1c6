"""Recognitions to an MQTT broker, and to Home Assistant through it.

Below the topic: `status` is online or offline, `state` the recognition as JSON with "fps" and
"temperature", `caption` its text, or why there is none. All are retained. The state is published as
soon as that text, the certain class or the scene is another one, and every HEARTBEAT_SECONDS while
frames come; what changes faster than the broker confirms is left out.
"""

import json
import logging
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from ... import board
from ...config.checks import is_loopback
from ...config.settings import Config
from ...errors import PicaptionError
from ...recognition.result import Recognition
from ..sink import RecognizedFrame
from .address import parse_address, tls_context
from .homeassistant import discovery

logger = logging.getLogger(__name__)

#: After this a state is published though nothing that matters has changed.
HEARTBEAT_SECONDS = 10.0
#: The pause before the broker is tried again; every further one is twice the last.
FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0
#: How long a broker may take to answer.
ANSWER_SECONDS = 5.0
#: How long `close` waits at most.
CLOSE_SECONDS = 1.9
#: How long the thread listens before it looks whether there is something to publish.
STEP_SECONDS = 0.1
#: Seconds without a message after which broker and client ask each other for a sign of life.
KEEPALIVE_SECONDS = 30
#: Bytes of a message from the broker at most; those that are listened to have a word.
MAX_MESSAGE_BYTES = 65_536
#: The rate is measured over so many frames.
RATE_FRAMES = 10


class _Headline(NamedTuple):
    """What is published at once when it differs: text, certain class (or "") and scene.

    The text is that of the caption, why there is none, or "".
    """

    text: str
    class_name: str
    scene: int


@dataclass(frozen=True)
class _State:
    """A frame to publish, and the frames per second then."""

    recognized: RecognizedFrame
    fps: float | None


@dataclass(frozen=True)
class _Published:
    """The last state that was published over a connection, when, and the broker's receipt."""

    state: _State
    headline: _Headline
    published_at: float
    receipt: Any


class MqttPublisher:
    """Publishes from a thread of its own: a broker that is slow or away holds up nothing.

    It is tried again for ever. Of what could not be published only the newest is retained.

    Args:
        config: The settings of mqtt.
        heartbeat: Seconds after which a state is published though nothing has changed.
        first_pause: Seconds before the broker is tried again for the first time.

    Raises:
        PicaptionError: The settings make no sense, or paho-mqtt is missing.
    """

    def __init__(
        self,
        config: Config,
        *,
        heartbeat: float = HEARTBEAT_SECONDS,
        first_pause: float = FIRST_PAUSE_SECONDS,
    ) -> None:
        try:
            from paho.mqtt import client
            from paho.mqtt.enums import CallbackAPIVersion  # which paho-mqtt has from version 2 on
        except ImportError:
            raise PicaptionError("mqtt needs paho-mqtt 2: pip install 'picaption[mqtt]'") from None
        self._paho = client
        self._callback_version = CallbackAPIVersion.VERSION2
        self._config = config
        self._heartbeat = heartbeat
        self._first_pause = first_pause
        self._address = parse_address(config.mqtt)
        self._tls = tls_context(config.mqtt_ca) if self._address.tls else None
        self._identity = board.identity(config.mqtt_topic)
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
        self._newest: _State | None = None
        self._times: deque[float] = deque(maxlen=RATE_FRAMES)
        self._introduce = False
        self._excess = ""
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    @property
    def newest(self) -> RecognizedFrame | None:
        """The newest frame, which is published next if there is reason to."""
        return self._newest.recognized if self._newest else None

    def write(self, recognized: RecognizedFrame) -> None:
        """Take the newest frame; the thread publishes it."""
        self._times.append(time.monotonic())
        seconds = self._times[-1] - self._times[0]
        fps = round((len(self._times) - 1) / seconds, 2) if seconds else None
        self._newest = _State(recognized, fps)

    def close(self) -> None:
        """Publish the newest state and "offline", which takes at most two seconds.

        If they cannot be published, the will at the broker says "offline".
        """
        self._closing.set()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        pause = self._first_pause
        last_error = None
        while True:
            began = time.monotonic()
            try:
                self._session()
                return
            except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
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
            if self._closing.wait(pause):
                return
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _session(self) -> None:
        """Publish over one connection until the sink is closed.

        Raises OSError or ValueError if the connection ends before.
        """
        client = self._connect()
        logger.info("mqtt: connected to %s:%d", self._address.host, self._address.port)
        self._publish(client, "status", "online")
        if self._config.mqtt_discovery:
            self._introduce = True
        if self._config.mqtt_discovery and not self._excess:
            client.subscribe(f"{self._config.mqtt_discovery}/status", 1)
        published: _Published | None = None
        while True:
            # Read before the newest state: the last one is published too.
            closing = self._closing.is_set()
            if self._introduce:
                self._introduce = False
                self._publish_discovery(client)
            published = self._publish_newest(client, published)
            if closing:
                break
            self._serve(client)
        self._leave(client)

    def _publish_newest(self, client: Any, published: _Published | None) -> _Published | None:
        """Publish the newest state if there is reason to; return what was published last."""
        state = self._newest
        if state is None:
            return published
        headline = _headline(state.recognized.recognition)
        now = time.monotonic()
        if published:
            if state is published.state or not published.receipt.is_published():
                return published
            quiet = now - published.published_at < self._heartbeat
            if headline == published.headline and quiet:
                return published
        payload = {
            **state.recognized.json(),
            "fps": state.fps,
            "temperature": board.temperature(),
        }
        receipt = self._publish(client, "state", json.dumps(payload))
        if not published or headline.text != published.headline.text:
            self._publish(client, "caption", headline.text)
        return _Published(state, headline, now, receipt)

    def _leave(self, client: Any) -> None:
        """Say "offline", and disconnect once the broker has confirmed it, or after a moment."""
        receipt = self._publish(client, "status", "offline")
        end = time.monotonic() + CLOSE_SECONDS
        while not receipt.is_published() and time.monotonic() < end:
            self._serve(client)
        client.disconnect()

    def _connect(self) -> Any:
        """Return a client that the broker has welcomed.

        Every connection has its own client, so that nothing old waits in it.
        """
        # The name stays the same, so that the broker ends a lost connection's session, and its
        # will, for the new one.
        client = self._paho.Client(self._callback_version, f"picaption-{self._identity}")
        client.will_set(f"{self._config.mqtt_topic}/status", "offline", 1, retain=True)
        if self._config.mqtt_user:
            client.username_pw_set(self._config.mqtt_user, self._config.mqtt_password or None)
        if self._tls:
            client.tls_set_context(self._tls)
        answers: list[Any] = []

        def on_connect(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            answers.append(reason)

        client.on_connect = on_connect
        client.on_message = self._on_message
        self._bound_messages(client)
        client.connect_timeout = ANSWER_SECONDS
        client.connect(self._address.host, self._address.port, keepalive=KEEPALIVE_SECONDS)
        end = time.monotonic() + ANSWER_SECONDS
        while not answers:
            if time.monotonic() > end:
                raise TimeoutError("no answer")
            try:
                self._serve(client)
            except ConnectionError:
                if not answers:
                    raise
        if answers[0].is_failure:
            raise ConnectionRefusedError(f"{answers[0]}; are mqtt_user and mqtt_password right?")
        return client

    def _bound_messages(self, client: Any) -> None:
        """Make a client give up the connection before it reads a message that is too long.

        paho has no limit, and asks its socket for all that is missing of a message. MQTT 5 has
        one, which not every broker knows, and none has to heed.
        """
        receive = client._sock_recv

        def receive_bounded(size: int) -> bytes:
            if size > MAX_MESSAGE_BYTES:
                self._excess = (
                    f"it sends a message of {size} bytes, more than {MAX_MESSAGE_BYTES}; "
                    f"{self._config.mqtt_discovery}/status is not listened to any more"
                )
                raise ConnectionError(self._excess)
            return receive(size)

        client._sock_recv = receive_bounded

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        # Home Assistant has started again, and asks who is there.
        if message.payload == b"online":
            self._introduce = True

    def _publish_discovery(self, client: Any) -> None:
        topic, payload = discovery(
            self._config.mqtt_discovery, self._config.mqtt_topic, self._identity
        )
        self._publish_to(client, topic, json.dumps(payload))

    def _publish(self, client: Any, name: str, payload: str) -> Any:
        """Publish below the topic; return the broker's receipt."""
        return self._publish_to(client, f"{self._config.mqtt_topic}/{name}", payload)

    def _publish_to(self, client: Any, topic: str, payload: str) -> Any:
        receipt = client.publish(topic, payload, 1, retain=True)
        if receipt.rc:
            raise ConnectionError(self._paho.error_string(receipt.rc))
        return receipt

    def _serve(self, client: Any) -> None:
        known = self._excess
        code = client.loop(STEP_SECONDS)
        if self._excess != known:
            raise ConnectionError(self._excess)
        if code:
            raise ConnectionError(self._paho.error_string(code))


def _headline(recognition: Recognition) -> _Headline:
    certain = recognition.classes and not recognition.unsure
    class_name = recognition.classes[0].name if certain else ""
    return _Headline(recognition.text or "", class_name, recognition.scene)
