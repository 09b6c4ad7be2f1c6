"""One connection to a broker: bounded, and with a will that says "offline"."""

import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...config.settings import Config
from ...errors import PicaptionError
from .address import Address

#: How long a broker may take to answer.
ANSWER_SECONDS = 5.0
#: How long the thread listens before it looks whether there is something to publish.
STEP_SECONDS = 0.1
#: Seconds without a message after which broker and client ask each other for a sign of life.
KEEPALIVE_SECONDS = 30
#: Bytes of a message from the broker at most; those that are listened to have a word.
MAX_MESSAGE_BYTES = 65_536


@dataclass(frozen=True)
class Message:
    """What the broker sends: topic, payload, and whether it is an old one that was retained."""

    topic: str
    payload: bytes
    is_retained: bool


class TooLongError(ConnectionError):
    """The broker sends a message that is too long to be read."""


def require_paho() -> None:
    """Raise PicaptionError unless paho-mqtt is installed."""
    try:
        from paho.mqtt import client  # noqa: F401
        from paho.mqtt.enums import CallbackAPIVersion  # noqa: F401  # from version 2 on
    except ImportError:
        raise PicaptionError("mqtt needs paho-mqtt 2: pip install 'picaption[mqtt]'") from None


class Connection:
    """A connection that the broker has welcomed, with a client of its own.

    So nothing old waits in it.

    Args:
        address: Where the broker is.
        tls: Whom to trust; None: the connection is not encrypted.
        config: The settings of mqtt.
        identity: What this machine and topic are called.
        topics: What to listen to.
        on_message: Is called with every Message, by `serve`.
        has_will: Whether the broker says "offline" of this client if it dies.
        quality: The quality of service of what is listened to. Of more than about a thousand
            retained messages mosquitto drops those of 1, which it has to queue, and none of 0.

    Raises:
        OSError: The broker is away, or does not welcome.
        ValueError: Its host name cannot be one.
    """

    def __init__(
        self,
        address: Address,
        tls: ssl.SSLContext | None,
        config: Config,
        identity: str,
        topics: Sequence[str],
        on_message: Callable[[Message], None],
        has_will: bool = True,
        quality: int = 1,
    ) -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self._error_string = paho.error_string
        self._topic = config.mqtt_topic
        self._too_long: TooLongError | None = None
        # The name stays the same, so that the broker ends a lost connection's session, and its
        # will, for the new one.
        client = paho.Client(CallbackAPIVersion.VERSION2, f"picaption-{identity}")
        if has_will:
            client.will_set(f"{self._topic}/status", "offline", 1, retain=True)
        if config.mqtt_user:
            client.username_pw_set(config.mqtt_user, config.mqtt_password or None)
        if tls:
            client.tls_set_context(tls)
        self._client = client
        self._bound_messages()
        self._connect(address)
        client.on_message = self._pass_to(on_message)
        for topic in topics:
            client.subscribe(topic, quality)

    def publish(self, name: str, payload: str | bytes, retain: bool = True) -> Any:
        """Publish below the topic; return the broker's receipt."""
        return self.publish_to(f"{self._topic}/{name}", payload, retain)

    def publish_to(self, topic: str, payload: str | bytes, retain: bool = True) -> Any:
        """Publish at a topic; return the broker's receipt.

        Raises:
            ConnectionError: The connection has ended.
        """
        receipt = self._client.publish(topic, payload, 1, retain=retain)
        if receipt.rc:
            raise ConnectionError(self._error_string(receipt.rc))
        return receipt

    def serve(self, seconds: float = STEP_SECONDS) -> None:
        """Send and receive for a moment.

        Args:
            seconds: How long to wait for something to come.

        Raises:
            TooLongError: The broker sends a message that is too long.
            ConnectionError: The connection has ended.
        """
        code = self._client.loop(seconds)
        if self._too_long:
            raise self._too_long
        if code:
            raise ConnectionError(self._error_string(code))

    def disconnect(self) -> None:
        """End the connection; the broker does not carry out the will."""
        self._client.disconnect()

    def drop(self) -> None:
        """Close the connection without a word; the broker carries out the will."""
        socket = self._client.socket()
        if socket is not None:
            socket.close()

    def _connect(self, address: Address) -> None:
        """Connect, and wait for the broker's welcome."""
        client = self._client
        answers: list[Any] = []

        def on_connect(client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
            answers.append(reason)

        client.on_connect = on_connect
        client.connect_timeout = ANSWER_SECONDS
        client.connect(address.host, address.port, keepalive=KEEPALIVE_SECONDS)
        end = time.monotonic() + ANSWER_SECONDS
        while not answers:
            if time.monotonic() > end:
                raise TimeoutError("no answer")
            try:
                self.serve()
            except ConnectionError:
                if not answers:
                    raise
        if answers[0].is_failure:
            raise ConnectionRefusedError(f"{answers[0]}; are mqtt_user and mqtt_password right?")

    def _pass_to(self, on_message: Callable[[Message], None]) -> Callable[..., None]:
        def receive(client: Any, data: Any, message: Any) -> None:
            try:
                topic = message.topic
            except UnicodeDecodeError:  # It is none that was asked for.
                return
            on_message(Message(topic, message.payload, message.retain))

        return receive

    def _bound_messages(self) -> None:
        """Make the client give up the connection before it reads a message that is too long.

        paho has no limit, and asks its socket for all that is missing of a message. MQTT 5 has
        one, which not every broker knows, and none has to heed.
        """
        receive = self._client._sock_recv

        def receive_bounded(size: int) -> bytes:
            if size > MAX_MESSAGE_BYTES:
                self._too_long = TooLongError(
                    f"it sends a message of {size} bytes, more than {MAX_MESSAGE_BYTES}; "
                    "it is not listened to any more"
                )
                raise self._too_long
            return receive(size)

        self._client._sock_recv = receive_bounded
