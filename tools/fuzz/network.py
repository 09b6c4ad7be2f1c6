"""What comes over the network: requests to the page, and an MQTT broker's answers."""

import logging
import socket
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random

from picaption.device.bundle.metadata import Metadata
from picaption.device.config.settings import Config
from picaption.device.outputs.control import LoopControl, LoopState
from picaption.device.outputs.mqtt.publisher import MqttPublisher
from picaption.device.outputs.sink import OutputContext
from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.standins import recognized

from .kind import Kind
from .mutation import mutate_bytes, mutate_text

TOKEN = "a-token-of-more-than-16"
#: How long an answer is read, and how much of it.
_ANSWER_SECONDS = 5.0
_ANSWER_BYTES = 65_536

_REQUESTS = (
    f"GET /?token={TOKEN} HTTP/1.1\r\nHost: pi:8080\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: pi\r\nAuthorization: Bearer {TOKEN}\r\nAccept: */*\r\n\r\n",
    f"HEAD /events?token={TOKEN} HTTP/1.0\r\nHost: pi\r\nCookie: a=b; c=d\r\n\r\n",
    f"GET /thumbnails/12.jpg HTTP/1.1\r\nHost: pi\r\nAuthorization: Bearer {TOKEN}\r\n\r\n",
    f"POST / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nHost: pi\r\nContent-Length: 3\r\n\r\nabc",
    f"GET / HTTP/1.1\r\nHost: pi\r\nAuthorization: Bearer {TOKEN}\r\nConnection: Upgrade\r\n"
    "Upgrade: websocket\r\n\r\n",
    f"POST / HTTP/1.1\r\nAuthorization: Bearer {TOKEN}\r\nHost: pi\r\n"
    "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
)


def _order(name: str, payload: bytes) -> bytes:
    """Return a PUBLISH of an order, with QoS 0."""
    topic = f"fuzz/set/{name}".encode()
    content = len(topic).to_bytes(2) + topic + payload
    return bytes([0x30, len(content)]) + content


# CONNACK, SUBACK, PUBACKs, "online" at homeassistant/status, PINGRESP.
_BROKER = (
    b"\x20\x02\x00\x00"
    b"\x90\x03\x00\x02\x01"
    b"\x40\x02\x00\x01\x40\x02\x00\x03\x40\x02\x00\x04"
    b"\x32\x1f\x00\x14homeassistant/status\x00\x07online"
    b"\xd0\x00"
)
_ORDERS = _BROKER + b"".join(
    _order(name, payload)
    for name, payload in (
        ("pause", b"ON"),
        ("max_fps", b"2.5"),
        ("caption", b"PRESS"),
        ("bundle", b"mine"),
        ("look_for", b"cat"),
        ("reload", b"RELOAD"),
    )
)


class _Errors(logging.Handler):
    """Keeps what is logged as an error, and what ends a thread."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the exception behind a record, or its text as one."""
        error = record.exc_info[1] if record.exc_info else None
        self.errors.append(error or RuntimeError(record.getMessage()))

    def add(self, arguments: threading.ExceptHookArgs) -> None:
        """Keep what ends a thread."""
        if arguments.exc_value:
            self.errors.append(arguments.exc_value)

    def raise_first(self) -> None:
        """Raise the first error, if there is one."""
        if self.errors:
            error = self.errors[0]
            self.errors.clear()
            raise error


@cache
def _errors() -> _Errors:
    errors = _Errors()
    for name in ("picaption", "asyncio", "uvicorn"):
        logging.getLogger(name).addHandler(errors)
    threading.excepthook = errors.add
    return errors


@cache
def _page() -> WebServer:
    """Return the page that all requests of this process go to."""
    page = WebServer("127.0.0.1", 0, TOKEN)
    page.write(recognized())
    return page


def _use_request(content: bytes, folder: Path) -> None:
    errors = _errors()
    port = int(_page().address.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=_ANSWER_SECONDS) as client:
        try:
            client.sendall(content)
            client.shutdown(socket.SHUT_WR)
            received = 0
            while received < _ANSWER_BYTES and (data := client.recv(65_536)):
                received += len(data)
        except ConnectionError:
            pass  # What is dropped at once.
    errors.raise_first()


def _use_broker(content: bytes, folder: Path) -> None:
    """Publish to a broker that answers so, whatever it is sent, and then hangs up."""
    errors = _errors()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(_ANSWER_SECONDS)
        port = listener.getsockname()[1]
        config = Config(mqtt=f"127.0.0.1:{port}", mqtt_topic="fuzz", mqtt_discovery="homeassistant")
        control = LoopControl()
        control.state = LoopState(bundles=("mine",), labels=("cat",), words={"cat": 4})
        context = OutputContext(None, Metadata("fuzz"), control=control)
        publisher = MqttPublisher(config, context, first_pause=60)
        publisher.write(recognized())
        broker, _ = listener.accept()
        with broker:
            broker.settimeout(_ANSWER_SECONDS)
            try:
                broker.recv(65_536)
                broker.sendall(content)
                broker.shutdown(socket.SHUT_WR)
                while broker.recv(65_536):
                    continue
            except OSError:
                pass  # What is dropped at once.
        publisher.close()
    errors.raise_first()


def _always(*seeds: bytes) -> Callable[[Path], list[bytes]]:
    return lambda folder: list(seeds)


def _mutate_request(seed: bytes, random: Random) -> bytes:
    """Return a mutated request, as often of text as of bytes; the token stays in most."""
    return random.choice((mutate_text, mutate_bytes))(seed, random)


KINDS = (
    Kind(
        "requests",
        _always(*(request.encode() for request in _REQUESTS)),
        _use_request,
        _mutate_request,
    ),
    Kind("mqtt", _always(_BROKER, _ORDERS), _use_broker, mutate_bytes),
)
