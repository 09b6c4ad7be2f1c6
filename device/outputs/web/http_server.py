"""The HTTP server: a thread with an event loop of its own, a door, a guard, and an application.

It knows nothing of the page or of frames; picaption.device.outputs.web.server has those.
"""

import asyncio
import errno
import logging
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ...config.checks import is_loopback
from ...errors import PicaptionError, TemporaryError
from .door import REQUEST_SECONDS, Door
from .guard import Guard

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

#: How many requests are answered at once.
MAX_CONNECTIONS = 64
#: After this a client that takes nothing is dropped.
CLIENT_TIMEOUT_SECONDS = 20
#: How long requests may take once the server ends, and how long `close` waits for its thread.
SHUTDOWN_SECONDS = 1
CLOSE_SECONDS = 5.0
#: After this, what runs in the background is tried again once it has failed.
RETRY_SECONDS = 1.0


class HttpServer:
    """Serves an application at `address`, such as "http://127.0.0.1:8080/".

    Args:
        host: Where to listen.
        port: 0 for any that is free.
        token: What every request must know (see picaption.device.outputs.web.guard); empty:
            nothing, on this computer's own addresses only.
        app: The application.
        policy: The Content-Security-Policy of its answers.
        frame_ancestors: The origins whose pages may show its pages in a frame, spaces between.
        background: What runs in the event loop as long as the server does.
        on_stop: Called in the event loop when the server ends: streams end by it.
        on_end: Awaited in the event loop once no request is left.
        client_timeout: Seconds after which a client that takes nothing is dropped.
        request_seconds: Seconds after which a client that has sent no request is dropped.

    Raises:
        PicaptionError: `host` can be reached from the network without a token, or the server
            cannot listen there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str,
        app: ASGIApp,
        policy: str,
        frame_ancestors: str = "",
        background: Sequence[Callable[[], Awaitable[None]]] = (),
        on_stop: Callable[[], None] | None = None,
        on_end: Callable[[], Awaitable[None]] | None = None,
        client_timeout: int = CLIENT_TIMEOUT_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
    ) -> None:
        if not token and not is_loopback(host):
            raise PicaptionError(
                f"{host!r} can be reached from the network: set a token for the page too, "
                "or host 127.0.0.1"
            )
        listener = _listen(host, port, client_timeout)
        port = listener.getsockname()[1]
        self.address = f"http://{_visible_host(host)}:{port}/"
        self._guard = Guard(app, token, f"picaption_{port}", policy, frame_ancestors)
        self._server = _create_server(self._guard)
        self._request_seconds = request_seconds
        self._background = background
        self._on_stop = on_stop
        self._on_end = on_end
        self._door = ExitStack()
        self._admissions: set[asyncio.Task[None]] = set()
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="web", daemon=True
        )
        self._thread.start()

    @property
    def buffered(self) -> list[int]:
        """How many bytes wait to be sent over each open connection."""
        return [
            connection.transport.get_write_buffer_size()
            for connection in tuple(self._server.server_state.connections)
        ]

    def call_soon(self, callback: Callable[..., object], *arguments: Any) -> None:
        """Call something in the event loop; any thread may ask."""
        self._loop.call_soon_threadsafe(callback, *arguments)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine in the event loop and return its result; not from that loop itself."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def close(self) -> None:
        """Drop every client, free the port and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(CLOSE_SECONDS)

    # All below runs in the server's thread.

    def _serve(self, listener: socket.socket) -> None:
        with listener, self._runner:
            try:
                self._runner.run(self._serve_requests(listener))
            except Exception as error:
                log_failure(error)

    async def _serve_requests(self, listener: socket.socket) -> None:
        tasks = [asyncio.create_task(_keep_running(endless)) for endless in self._background]
        seconds = self._request_seconds
        guard = self._guard
        door = Door(listener, guard.admits, self._admit, guard.refuse, guard.forms, seconds)
        with self._door:
            self._door.enter_context(door)
            await self._server.serve([])
        for task in tasks:
            task.cancel()
        if self._on_end:
            await self._on_end()

    def _admit(self, connection: socket.socket, head: bytes) -> None:
        """Let the server answer a request whose head was read already."""
        admission = self._loop.create_task(self._connect(connection, head))
        self._admissions.add(admission)
        admission.add_done_callback(self._admissions.discard)

    async def _connect(self, connection: socket.socket, head: bytes) -> None:
        def create_protocol() -> asyncio.Protocol:
            return ReadAhead(
                head,
                config=self._server.config,
                server_state=self._server.server_state,
                app_state={},
                _loop=self._loop,
            )

        try:
            await self._loop.connect_accepted_socket(create_protocol, connection)
        except OSError:
            connection.close()

    def _stop(self) -> None:
        self._server.should_exit = True
        # Who comes again at once would find a server that waits for its last answer.
        self._door.close()
        if self._on_stop:
            self._on_stop()
        for connection in tuple(self._server.server_state.connections):
            connection.transport.abort()  # one that reads nothing would never be flushed


class ReadAhead(H11Protocol):
    """The server's end of a connection of which something was read already.

    Args:
        head: What was read.
        **options: As H11Protocol's.
    """

    def __init__(self, head: bytes, **options: Any) -> None:
        super().__init__(**options)
        self._head = head

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take what was read before anything else comes."""
        super().connection_made(transport)
        self.data_received(self._head)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, and end what was begun for it: a body can break after its head.

        Where an answer was begun, the connection is closed: it takes no second one.
        """
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()
        if self.cycle:
            self.cycle.disconnected = True
            self.cycle.message_event.set()


def _create_server(app: Guard) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="error",
            access_log=False,
            lifespan="off",
            http="h11",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )


async def _keep_running(endless: Callable[[], Awaitable[None]]) -> None:
    """Run what has no end; after a failure, try again after a pause."""
    while True:
        try:
            await endless()
            return
        except Exception as error:
            log_failure(error)
            await asyncio.sleep(RETRY_SECONDS)


def log_failure(error: Exception) -> None:
    """Log what failed behind the page, which ends nothing."""
    logger.error("the page: %s: %s", type(error).__name__, error)


def _visible_host(host: str) -> str:
    """Return what stands for the host in an address that others can open."""
    if host in ("", "0.0.0.0", "::"):
        host = socket.gethostname()
    return f"[{host}]" if ":" in host else host


def _listen(host: str, port: int, client_timeout: int) -> socket.socket:
    """Return a socket that listens there; raises PicaptionError if it cannot."""
    try:
        listener = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        message = f"the page cannot listen at {host}: {_reason(error, port)}"
        # A network that is not up yet has no address either.
        if error.errno == errno.EADDRNOTAVAIL:
            raise TemporaryError(message) from None
        raise PicaptionError(message) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted connections inherit it
        milliseconds = client_timeout * 1000
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, milliseconds)
    return listener


def _reason(error: OSError, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} is in use; give another one, or 0 for any that is free"
    if error.errno == errno.EADDRNOTAVAIL:
        return "this computer has no such address; use 127.0.0.1, or 0.0.0.0 and a token"
    if error.errno == errno.EACCES:
        return f"port {port} is for the system; give one from 1024 on"
    return f"{error.strerror}; check the host"
