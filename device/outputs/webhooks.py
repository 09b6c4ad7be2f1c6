"""JSON, posted to HTTP servers that nothing waits for."""

import json
import logging
import queue
import re
import socket
import threading
from base64 import b64encode
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import unquote, urlsplit

from ..errors import PicaptionError

#: Posts that wait, the oldest of which gives way, and the seconds that a server has to answer.
WAITING, ANSWER = 16, 10.0
#: Seconds that `close` gives to what waits.
CLOSE = 0.8

_log = logging.getLogger("picaption")


class WebhookPoster:
    """A thread that posts to some of `addresses`, one post after the other; redirections are not followed.

    The log shows of an address its host only: the rest may hold a secret. Raises PicaptionError where one is no address.
    """

    def __init__(self, addresses):
        self._targets = {address: _target(address) for address in addresses}
        self._waiting, self._connection, self._closed, self._trouble = (
            queue.Queue(WAITING),
            None,
            False,
            set(),
        )
        self._thread = threading.Thread(target=self._run, name="posts", daemon=True)
        self._thread.start()

    def put(self, address, value):
        """Have `value` sent as JSON, without waiting; where too much waits already, the oldest is let go."""
        self._put((address, value))

    def close(self):
        """Send what waits; after a moment let it go, and hang up on a server that does not answer."""
        self._put(None)
        self._thread.join(CLOSE)
        self._closed = True
        try:
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        except (AttributeError, OSError):  # there is no connection, or not yet, or no more
            pass
        self._thread.join(CLOSE / 4)

    def _put(self, item):
        if self._waiting.full():
            try:
                address, _ = self._waiting.get_nowait()
                _log.warning(
                    "event: %s is too slow: a post to it is let go",
                    self._targets[address][1].netloc,
                )
            except queue.Empty:  # The thread was faster.
                pass
        self._waiting.put_nowait(item)  # There is room: nobody else puts.

    def _run(self):
        while (item := self._waiting.get()) and not self._closed:
            kind, place, headers = self._targets[item[0]]
            try:
                self._post(kind, place, headers, json.dumps(item[1]).encode())
                self._trouble.discard(place.netloc)
            except (OSError, ValueError, HTTPException) as error:
                if place.netloc not in self._trouble and not self._closed:
                    _log.warning("event: no post to %s: %s", place.netloc, error)
                self._trouble.add(place.netloc)

    def _post(self, kind, place, headers, body):
        self._connection = kind(place.netloc, timeout=ANSWER)
        try:
            self._connection.request(
                "POST", place._replace(scheme="", netloc="").geturl() or "/", body, headers
            )
            response = self._connection.getresponse()
            if not 200 <= response.status < 300:
                raise HTTPException(f"it answers {response.status}")
        finally:
            self._connection.close()


def _target(address):
    """Return a kind of connection, the parts of the address without user and password, and headers, which hold those."""
    try:
        place = urlsplit(address)
        fine = (
            place.scheme in ("http", "https")
            and place.hostname
            and place.port != 0
            and re.fullmatch("[!-~]+", address)
        )
    except ValueError:
        fine = False
    if not fine:
        raise PicaptionError(
            "event: post: it is an http:// or https:// address, in which a space, say, is written as %20"
        )
    headers = {"Content-Type": "application/json", "User-Agent": "picaption"}
    if place.username:
        pair = f"{unquote(place.username)}:{unquote(place.password or '')}"
        headers["Authorization"] = "Basic " + b64encode(pair.encode()).decode()
    kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
    return kind, place._replace(netloc=place.netloc.rpartition("@")[2], fragment=""), headers
