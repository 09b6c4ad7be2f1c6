"""Lets connections in once their request has come, so that those without the token cost little.

A server that starts its machinery for every connection can be kept busy by whoever connects. Here
a connection waits as a bare socket until the head of its request is complete. Those with the
token are passed on; all others are answered or dropped on the spot, the form of the login too, once
it is complete. What waits is bounded for each
address and in all: a newcomer takes the place of the oldest that waits, so nobody can lock others
out by holding connections. All work happens in ticks of bounded size, whatever arrives.
"""

import asyncio
import errno
import ipaddress
import re
import resource
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Self

from starlette.responses import Response
from starlette.types import Scope

#: How long a connection may take to send the head of its request.
REQUEST_SECONDS = 5.0
#: Bytes of a request's head at most, as for h11.
MAX_HEAD = 16_384
#: Bytes of a form at most.
MAX_FORM = 4096
#: How many connections wait for their request's head at once: in all, and of one address.
MAX_WAITING = 512
MAX_WAITING_PER_ADDRESS = 448
#: The waiting take no more than this share of the files that the process may open.
FILES_SHARE = 0.5
#: How often the door looks at those that wait, and how many it accepts and reads each time. The
#: first looks come sooner: a request is there at once after its connection.
TICK_SECONDS = 0.02
FIRST_TICK_SECONDS = 0.0005
ACCEPTS_PER_TICK = 22
READS_PER_TICK = 64
#: How much of a refused request's body is read and forgotten at once.
DISCARDED_BYTES = 65_536
#: Of so many that wait, the door reads what comes later than the connection only so often. Whoever
#: has come through such a crowd has been in the kernel long enough for the request to be there.
CROWD = 128
CROWD_SECONDS = 0.1
#: How many connections the kernel keeps for the door.
BACKLOG = 4096
#: How many refusals are remembered.
MAX_REFUSALS = 16
#: How long nothing is accepted once the system has no files or memory left for it.
BACK_OFF_SECONDS = 1.0

_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
#: Answers a form: from the request's scope, its body and the client's network.
FormHandler = Callable[[Scope, bytes, str], Response]

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]+) HTTP/1\.[01]\r?\n")
_END_OF_HEAD = re.compile(rb"\n\r?\n")


@dataclass(eq=False)
class _Waiting:
    """A connection whose request has not come yet, and what has come of it.

    One that was refused may still be sending its body: its answer would be lost if the connection
    were closed before that is read.
    """

    connection: socket.socket
    address: str
    deadline: float
    head: bytearray = field(default_factory=bytearray)
    is_refused: bool = False


class Door:
    """Accepts the connections of a listener while it is open, in the running event loop.

    Args:
        listener: A listening socket; it stays open.
        is_admitted: Whether a request, as an ASGI scope with its path, query and headers, has
            the token.
        admit: Takes a socket whose request is admitted, and what was read from it.
        refuse: Returns what all other requests are answered, by method, path and Accept alone.
        forms: What answers posts that need no token, by their path.
        request_seconds: How long a connection may take to send the head of its request.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        listener: socket.socket,
        is_admitted: Callable[[Scope], bool],
        admit: Callable[[socket.socket, bytes], None],
        refuse: Callable[[Scope], Response],
        forms: Mapping[str, FormHandler],
        request_seconds: float = REQUEST_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._listener = listener
        self._is_admitted = is_admitted
        self._admit = admit
        self._refuse = refuse
        self._forms = forms
        self._request_seconds = request_seconds
        self._clock = clock
        self._max_waiting = min(MAX_WAITING, _files_share())
        # By file descriptor, in the order of their arrival, which is that of their deadlines.
        self._waiting: dict[int, _Waiting] = {}
        self._by_address: dict[str, dict[_Waiting, None]] = {}
        self._refusals: dict[tuple[str, str, bytes], bytes] = {}
        self._accept_after = 0.0
        self._read_after = 0.0
        self._pause = FIRST_TICK_SECONDS

    def __enter__(self) -> Self:
        """Begin to accept."""
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        self._poller = select.epoll()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._loop.add_reader(self._listener, self._wake)
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Drop those that wait and accept no more."""
        self._loop.remove_reader(self._listener)
        if self._timer:
            self._timer.cancel()
        for waiting in tuple(self._waiting.values()):
            self._drop(waiting)
        self._poller.close()

    @property
    def waiting(self) -> int:
        """How many connections wait for their request."""
        return len(self._waiting)

    def _wake(self) -> None:
        self._loop.remove_reader(self._listener)
        self._tick()

    def _tick(self) -> None:
        """Accept some, read what has come, drop who is late; rest once nobody waits."""
        now = self._clock()
        may_accept = now >= self._accept_after
        accepted = may_accept and self._accept(now)
        if len(self._waiting) < CROWD or now >= self._read_after:
            self._read_after = now + CROWD_SECONDS
            for descriptor, _ in self._poller.poll(0, READS_PER_TICK):
                self._read(self._waiting[descriptor])
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            if oldest.deadline > now:
                break
            self._drop(oldest)
        if accepted or self._waiting or not may_accept:
            # Where more may be waiting to be accepted, no sooner than the bound on that allows.
            pause = TICK_SECONDS if accepted or not may_accept else self._pause
            self._timer = self._loop.call_later(pause, self._tick)
            self._pause = min(TICK_SECONDS, self._pause * 2)
        else:
            self._pause = FIRST_TICK_SECONDS
            self._timer = None
            self._loop.add_reader(self._listener, self._wake)

    def _accept(self, now: float) -> bool:
        """Take connections from the kernel; return whether there may be more."""
        for _ in range(ACCEPTS_PER_TICK):
            try:
                connection, address = self._listener.accept()
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._accept_after = now + BACK_OFF_SECONDS
                    return False
                continue  # It has gone again.
            connection.setblocking(False)
            waiting = _Waiting(connection, _network(address[0]), now + self._request_seconds)
            # Of most the request has come already.
            if not self._read(waiting):
                self._add(waiting)
        return True

    def _add(self, waiting: _Waiting) -> None:
        """Let a connection wait for its request."""
        self._waiting[waiting.connection.fileno()] = waiting
        neighbours = self._by_address.setdefault(waiting.address, {})
        neighbours[waiting] = None
        self._poller.register(waiting.connection.fileno(), select.EPOLLIN)
        if len(neighbours) > MAX_WAITING_PER_ADDRESS:
            self._drop(next(iter(neighbours)))
        elif len(self._waiting) > self._max_waiting:
            greediest = max(self._by_address, key=lambda address: len(self._by_address[address]))
            self._drop(next(iter(self._by_address[greediest])))

    def _read(self, waiting: _Waiting) -> bool:
        """Read what has come of a request; return whether its connection waits no more."""
        size = DISCARDED_BYTES if waiting.is_refused else MAX_HEAD + 1 - len(waiting.head)
        try:
            data = waiting.connection.recv(size)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if data and waiting.is_refused:
            return False
        waiting.head += data
        # The beginning of a body may have come with the head.
        if data and _END_OF_HEAD.search(waiting.head):
            return self._decide(waiting)
        if data and len(waiting.head) <= MAX_HEAD:
            return False
        self._drop(waiting)
        return True

    def _decide(self, waiting: _Waiting) -> bool:
        """Admit or refuse a request whose head is complete; drop what is none.

        Returns:
            Whether its connection waits no more.
        """
        head = bytes(waiting.head)
        scope = parse_head(head)
        if scope is None:
            self._drop(waiting)
        elif scope["method"] == "POST" and scope["path"] in self._forms:
            return self._take_form(waiting, scope)
        elif self._is_admitted(scope):
            if self._forget(waiting):
                self._poller.unregister(waiting.connection.fileno())
            self._admit(waiting.connection, head)
        else:
            return self._answer(waiting, self._refusal(scope), scope)
        return True

    def _take_form(self, waiting: _Waiting, scope: Scope) -> bool:
        """Answer a form once it is complete; what is none, or too long, is refused."""
        end = _END_OF_HEAD.search(waiting.head)
        assert end, "the head is complete"
        body = bytes(waiting.head[end.end() :])
        length = _content_length(scope)
        if length is None or length > MAX_FORM:
            return self._answer(waiting, self._refusal(scope), scope)
        if len(body) < length:
            return False
        response = self._forms[scope["path"]](scope, body[:length], waiting.address)
        return self._answer(waiting, _response_bytes(response, scope["method"]), scope)

    def _refusal(self, scope: Scope) -> bytes:
        """Return what a request is answered that is not admitted; the last ones are remembered."""
        accept = next((value for name, value in scope["headers"] if name == b"accept"), b"")
        key = (scope["method"], scope["path"], accept)
        refusal = self._refusals.get(key)
        if refusal is None:
            if len(self._refusals) == MAX_REFUSALS:
                self._refusals.clear()
            refusal = _response_bytes(self._refuse(scope), scope["method"])
            self._refusals[key] = refusal
        return refusal

    def _answer(self, waiting: _Waiting, response: bytes, scope: Scope) -> bool:
        """Answer a request, and close its connection unless its body is still to come.

        Returns:
            Whether it waits no more.
        """
        with suppress(OSError):  # Whoever has gone misses nothing.
            waiting.connection.send(response)
            if _is_incomplete(waiting.head, scope):
                waiting.connection.shutdown(socket.SHUT_WR)
                waiting.is_refused = True
                return False
        self._drop(waiting)
        return True

    def _drop(self, waiting: _Waiting) -> None:
        self._forget(waiting)
        waiting.connection.close()  # Which ends its registration as well.

    def _forget(self, waiting: _Waiting) -> bool:
        """Let a connection wait no more; return whether it did."""
        if self._waiting.pop(waiting.connection.fileno(), None) is None:
            return False
        neighbours = self._by_address[waiting.address]
        del neighbours[waiting]
        if not neighbours:
            del self._by_address[waiting.address]
        return True


def parse_head(head: bytes) -> Scope | None:
    """Return the ASGI scope of a request's head, as far as its admission needs it.

    Args:
        head: From the request line up to the empty line, or more.

    Returns:
        The scope with method, path, query and headers; None if this is no request of HTTP/1.
    """
    request = _REQUEST_LINE.match(head)
    if not request:
        return None
    path, _, query = request[2].partition(b"?")
    end = _END_OF_HEAD.search(head)
    headers = []
    for line in head[request.end() : end.start() if end else None].splitlines():
        name, colon, value = line.partition(b":")
        if not colon:
            return None
        headers.append((name.lower(), value.strip()))
    return {
        "type": "http",
        "method": request[1].decode(),
        "path": path.decode(),
        "query_string": query,
        "headers": headers,
    }


def _response_bytes(response: Response, method: str) -> bytes:
    """Return a response as it is sent; HEAD has no body."""
    status = HTTPStatus(response.status_code)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode()]
    lines += [name + b": " + value for name, value in response.raw_headers]
    head = b"\r\n".join([*lines, b"", b""])
    return head if method == "HEAD" else head + bytes(response.body)


def _is_incomplete(head: bytearray, scope: Scope) -> bool:
    """Return whether more of a request's body is to come than was read with its head."""
    if any(name == b"transfer-encoding" for name, _ in scope["headers"]):
        return True
    end = _END_OF_HEAD.search(head)
    length = _content_length(scope) or 0
    return end is not None and len(head) - end.end() < length


def _content_length(scope: Scope) -> int | None:
    """Return the length of a request's body; None if it has no single one."""
    values = [value for name, value in scope["headers"] if name == b"content-length"]
    if len(values) != 1 or not re.fullmatch(rb"\d{1,9}", values[0]):
        return None
    return int(values[0])


def _network(address: str) -> str:
    """Return what connections of one place have in common: an IPv6 host has 2^64 addresses."""
    if ":" not in address:
        return address
    host = ipaddress.IPv6Address(address.partition("%")[0])
    if host.ipv4_mapped:
        return str(host.ipv4_mapped)
    return str(ipaddress.IPv6Network((host, 64), strict=False))


def _files_share() -> int:
    """Return how many of the files that the process may open are for those that wait."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MAX_WAITING if limit == resource.RLIM_INFINITY else int(limit * FILES_SHARE)
