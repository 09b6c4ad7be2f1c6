"""The server of the page, a sink with a thread and an event loop of its own.

The live loop hands over only the frames that the feed asks for, and the feed asks for no more than
its clients can see.
"""

import asyncio
import errno
import logging
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ...config.checks import is_loopback
from ...errors import PicaptionError, TemporaryError
from ...images import encode_image, shrink_to_fit
from ...sources.source import SourceStatus
from ..sink import RecognizedFrame
from .door import REQUEST_SECONDS, Door
from .feed import JPEG_QUALITY, ChartPoint, Feed, Offer
from .guard import Guard
from .pages.page import load_page
from .routes import create_app

logger = logging.getLogger(__name__)

#: How many requests are answered at once.
MAX_CONNECTIONS = 64
#: Pixels of the longer side of a scene's image in the history, and of its thumbnail, at most.
SCENE_SIDE = 960
THUMBNAIL_SIDE = 192
#: After this a client that takes nothing is dropped.
CLIENT_TIMEOUT_SECONDS = 20
#: How long requests may take once the server ends, and how long `close` waits for its thread.
SHUTDOWN_SECONDS = 1
CLOSE_SECONDS = 5.0
#: After this, making the page's data is tried again once it has failed.
RETRY_SECONDS = 1.0
#: Seconds between two points of the chart at least.
CHART_STEP_SECONDS = 1


class WebServer:
    """Serves the page at `address`, such as "http://127.0.0.1:8080/".

    Args:
        host: Where to listen.
        port: 0 for any that is free.
        token: What every request must know (see picaption.device.outputs.web.guard); empty:
            nothing, on this computer's own addresses only.
        name: What the page's title shows beside picaption.
        client_timeout: Seconds after which a client that takes nothing is dropped.
        request_seconds: Seconds after which a client that has sent no request is dropped.
        frame_ancestors: The origins whose pages may show this one in a frame, spaces between.
        source_status: Returns what is known of the source now; the server's thread calls it.

    Attributes:
        feed: What the clients are sent; it belongs to the server's thread.

    Raises:
        PicaptionError: `host` can be reached from the network without a token, or the server
            cannot listen there.
    """

    def __init__(
        self,
        host: str,
        port: int,
        token: str = "",
        name: str = "picaption",
        client_timeout: int = CLIENT_TIMEOUT_SECONDS,
        request_seconds: float = REQUEST_SECONDS,
        frame_ancestors: str = "",
        source_status: Callable[[], SourceStatus] | None = None,
    ) -> None:
        if not token and not is_loopback(host):
            raise PicaptionError(
                f"{host!r} can be reached from the network: set a token for the page too, "
                "or host 127.0.0.1"
            )
        listener = _listen(host, port, client_timeout)
        port = listener.getsockname()[1]
        self.address = f"http://{_visible_host(host)}:{port}/"
        self.feed = Feed(source_status)
        self._meter = RateMeter()
        self._shown: tuple[int, str | None] | None = None
        page = load_page(name, frame_ancestors)
        app = create_app(self.feed, page.html)
        self._guard = Guard(app, token, f"picaption_{port}", page.policy, frame_ancestors)
        self._server = _create_server(self._guard)
        self._request_seconds = request_seconds
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

    def write(self, recognized: RecognizedFrame) -> None:
        """Take the newest frame; its image is copied if someone is watching.

        What fails here is logged: a run does not end because of its page.
        """
        try:
            self._write(recognized)
        except Exception as error:
            _log_failure(error)

    def _write(self, recognized: RecognizedFrame) -> None:
        recognition = recognized.recognition
        latency = recognition.timings.get("queue", 0.0) + recognition.timings["total"]
        point = self._meter.add(latency)
        if point:
            self._loop.call_soon_threadsafe(self.feed.chart.append, point)
        shown = (recognition.scene, recognition.text)
        if shown != self._shown:
            self._shown = shown
            image = shrink_to_fit(recognized.image, SCENE_SIDE)
            scene = encode_image(image, ".jpg", JPEG_QUALITY)
            thumbnail = encode_image(shrink_to_fit(image, THUMBNAIL_SIDE), ".jpg", JPEG_QUALITY)
            self._loop.call_soon_threadsafe(self.feed.remember, recognized, scene, thumbnail)
        if self.feed.wants_frame:
            self.feed.wants_frame = False
            with_image = self.feed.watches_images
            if with_image:
                recognized.retain_image()
            offer = Offer(recognized, self._meter.fps, latency, with_image)
            self._loop.call_soon_threadsafe(self.feed.offer, offer)

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
                _log_failure(error)

    async def _serve_requests(self, listener: socket.socket) -> None:
        tasks = [
            asyncio.create_task(_keep_running(endless))
            for endless in (self.feed.publish, self.feed.watch_source)
        ]
        seconds = self._request_seconds
        guard = self._guard
        with Door(listener, guard.admits, self._admit, guard.refuse, guard.forms, seconds):
            await self._server.serve([])
        for task in tasks:
            task.cancel()

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
        self.feed.close()
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


class RateMeter:
    """Measures frames per second and their latency, for a point of the chart a second.

    Attributes:
        fps: The last point's frames per second; None before the first.
    """

    def __init__(self) -> None:
        self.fps: float | None = None
        self._start: float | None = None
        self._count = 0
        self._latency = 0.0

    def add(self, latency: float) -> ChartPoint | None:
        """Count a frame with its latency in milliseconds; return a point if one is due."""
        now = time.monotonic()
        if self._start is None:
            self._start = now
            return None
        self._count += 1
        self._latency += latency
        seconds = now - self._start
        if seconds < CHART_STEP_SECONDS:
            return None
        self.fps = self._count / seconds
        latency_ms = round(self._latency / self._count, 1)
        self._start = now
        self._count = 0
        self._latency = 0.0
        return ChartPoint(round(time.time(), 1), round(self.fps, 2), latency_ms)


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
    """Run what has no end; begin anew after a pause where it fails."""
    while True:
        try:
            await endless()
            return
        except Exception as error:
            _log_failure(error)
            await asyncio.sleep(RETRY_SECONDS)


def _log_failure(error: Exception) -> None:
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
