"""JSON, and pictures with it, posted to HTTP servers that nothing waits for."""

import contextlib
import json
import logging
import queue
import re
import secrets
import socket
import threading
from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from ...errors import PicaptionError

logger = logging.getLogger(__name__)

#: Posts that wait at most.
MAX_WAITING = 16
#: How long a server may take to answer.
ANSWER_SECONDS = 10.0
#: How long `close` waits for posts, and for a server to be hung up on.
CLOSE_SECONDS = 0.8
HANG_UP_SECONDS = 0.2


@dataclass(frozen=True)
class _Target:
    """A server to post to.

    Attributes:
        host: Host and port, which the log may show: the rest of the address may hold a secret.
        path: Path and query.
        encrypted: Whether it is https.
        headers: User and password are among them.
    """

    host: str
    path: str
    encrypted: bool
    headers: dict[str, str]

    def connect(self) -> HTTPConnection:
        connection_class = HTTPSConnection if self.encrypted else HTTPConnection
        return connection_class(self.host, timeout=ANSWER_SECONDS)


class _Post(NamedTuple):
    """What is to be sent, and where."""

    address: str
    value: Any
    jpeg: bytes | None

    def body(self) -> tuple[bytes, str]:
        """Return the body, and its content type."""
        record = json.dumps(self.value).encode()
        if self.jpeg is None:
            return record, "application/json"
        boundary = secrets.token_hex(16)
        parts = []
        for name, content_type, data in (
            ('"recognition"', "application/json", record),
            ('"picture"; filename="picture.jpg"', "image/jpeg", self.jpeg),
        ):
            head = (
                f"--{boundary}\r\nContent-Disposition: form-data; name={name}\r\n"
                f"Content-Type: {content_type}\r\n\r\n"
            )
            parts += [head.encode(), data, b"\r\n"]
        parts.append(f"--{boundary}--\r\n".encode())
        return b"".join(parts), f"multipart/form-data; boundary={boundary}"


class WebhookPoster:
    """A thread that sends one post after the other; redirections are not followed.

    Args:
        addresses: All addresses that will be posted to.

    Raises:
        PicaptionError: One is no address.
    """

    def __init__(self, addresses: Iterable[str]) -> None:
        self._targets = {address: _parse_address(address) for address in addresses}
        self._queue: queue.Queue[_Post | None] = queue.Queue(MAX_WAITING)
        self._connection: HTTPConnection | None = None
        self._closed = False
        self._failing: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="posts", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """How many posts wait to be sent."""
        return self._queue.qsize()

    def put(self, address: str, value: Any, jpeg: bytes | None = None) -> None:
        """Send `value` as JSON, without waiting; if too many posts wait, the oldest is dropped.

        Args:
            address: Where to.
            value: What JSON has a form for.
            jpeg: A picture that goes with it: both are parts of a multipart/form-data then, called
                "recognition" and "picture".
        """
        self._put(_Post(address, value, jpeg))

    def close(self) -> None:
        """Send what waits; after a moment drop it, and hang up on a server that does not answer."""
        self._put(None)
        self._thread.join(CLOSE_SECONDS)
        self._closed = True
        # There may be no connection, or not yet, or no more.
        with contextlib.suppress(AttributeError, OSError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self._thread.join(HANG_UP_SECONDS)

    def _put(self, post: _Post | None) -> None:
        if self._queue.full():
            with contextlib.suppress(queue.Empty):  # The thread was faster.
                dropped = self._queue.get_nowait()
                if dropped:
                    logger.warning(
                        "event: %s is too slow: a post to it is let go",
                        self._targets[dropped.address].host,
                    )
        self._queue.put_nowait(post)  # There is room: nobody else puts.

    def _run(self) -> None:
        while (post := self._queue.get()) and not self._closed:
            target = self._targets[post.address]
            try:
                self._post(target, *post.body())
                self._failing.discard(target.host)
            except (OSError, ValueError, HTTPException) as error:
                if target.host not in self._failing and not self._closed:
                    logger.warning("event: no post to %s: %s", target.host, error)
                self._failing.add(target.host)

    def _post(self, target: _Target, body: bytes, content_type: str) -> None:
        self._connection = target.connect()
        try:
            headers = target.headers | {"Content-Type": content_type}
            self._connection.request("POST", target.path, body, headers)
            response = self._connection.getresponse()
            if not 200 <= response.status < 300:
                raise HTTPException(f"it answers {response.status}")
        finally:
            self._connection.close()


def _parse_address(address: str) -> _Target:
    """Return the server at an http:// or https:// address; raises PicaptionError for others."""
    try:
        parts = urlsplit(address)
        valid = _is_valid(address, parts)
    except ValueError:
        valid = False
    if not valid:
        raise PicaptionError(
            "event: post: it is an http:// or https:// address, "
            "in which a space, say, is written as %20"
        )
    headers = {"User-Agent": "picaption"}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + b64encode(login.encode()).decode()
    path = parts._replace(scheme="", netloc="", fragment="").geturl() or "/"
    return _Target(parts.netloc.rpartition("@")[2], path, parts.scheme == "https", headers)


def _is_valid(address: str, parts: SplitResult) -> bool:
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and parts.port != 0
        and re.fullmatch("[!-~]+", address) is not None
    )
