"""A page that shows the live run in a browser: picture, caption, tags, classes, history and figures (extra `web`).

The server has a thread and an event loop of its own. What it keeps is changed there only, so nothing is locked: the live
loop hands over what is asked for, and the server asks for no more than its clients can see.
"""

import asyncio
import base64
import errno
import hashlib
import hmac
import html
import json
import re
import socket
import threading
import time
from collections import deque
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import (
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route

from .. import board
from ..config.toml import is_loopback
from ..errors import PicaptionError, TemporaryError
from ..images import encode_image, shrink_to_fit

#: Pictures and events a second at most, how many streams of them are open at once (a page takes two), and connections.
MAX_RATE, MAX_STREAMS, MAX_CONNECTIONS = 15, 8, 64
#: Pixels of the longer side of a picture and of a thumbnail at most.
PICTURE_SIDE, THUMBNAIL_SIDE = 1280, 192
#: Captions that are remembered, and seconds of the chart, which has a point a second.
MAX_HISTORY, CHART_SECONDS = 50, 300
#: Seconds between two looks at the board's own figures, until a client that takes nothing is dropped, and of a login.
BOARD_EVERY, PATIENCE, LOGIN = 2, 20, 30 * 24 * 3600


class WebServer:
    """Serves the page at `address`, such as "http://127.0.0.1:8080/"; with port 0, its port is any free one.

    token: what every request has to know, as ?token= once, which sets a cookie, or as "Authorization: Bearer"; empty: nothing,
    on this computer's own addresses only. name: what the page's title tells beside picaption.
    Raises PicaptionError where `host` can be reached from the network without a token, or cannot be listened at.
    """

    def __init__(self, host, port, token="", name="picaption"):
        if not token and not is_loopback(host):
            raise PicaptionError(
                f"{host!r} can be reached from the network: set a token for the page too, or host 127.0.0.1"
            )
        listener = _listen(host, port)
        port = listener.getsockname()[1]
        host = socket.gethostname() if host in ("", "0.0.0.0", "::") else host
        self.address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        self._count, self._since, self._latency = 0, None, 0.0
        self._fps = self._said = self._newest = self._picture = self._event = None
        self._history, self._chart = deque(maxlen=MAX_HISTORY), deque(maxlen=CHART_SECONDS)
        # Numbers from the clock: no thumbnail has the address of another one that a page has seen before.
        self._next, self._published = int(time.time() * 1e3), 0
        self._open, self._asked, self._closed = {"picture": 0, "events": 0}, False, False
        self._watched, self._arrived, self._changed = (
            asyncio.Event(),
            asyncio.Event(),
            asyncio.Event(),
        )
        self._html, policy = _page(name)
        app = Starlette(
            routes=[
                Route("/", self._page),
                Route(
                    "/picture.mjpeg",
                    self._stream(
                        "picture", self._pictures, "multipart/x-mixed-replace; boundary=picture"
                    ),
                ),
                Route("/events", self._stream("events", self._events, "text/event-stream")),
                Route("/thumbnails/{number:int}.jpg", self._thumbnail),
            ]
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                _guard(app, token, f"picaption_{port}", policy),
                log_config=None,
                log_level="error",
                access_log=False,
                lifespan="off",
                http="h11",
                ws="none",
                server_header=False,
                proxy_headers=False,
                limit_concurrency=MAX_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._publisher = self._loop.create_task(self._publish())
        self._thread = threading.Thread(
            target=self._serve, args=(listener,), name="web", daemon=True
        )
        self._thread.start()

    def write(self, recognized):
        """Take the newest frame; copy it if someone is watching. Raises what making the page's data of an earlier one raised."""
        if self._publisher.done():
            self._publisher.result()
        recognition = recognized.recognition
        now, latency = (
            time.monotonic(),
            recognition.timings.get("waited", 0.0) + recognition.timings["total"],
        )
        if self._since is None:
            self._since = now
        else:
            self._count += 1
            self._latency += latency
            if now - self._since >= 1:
                self._fps = self._count / (now - self._since)
                point = [
                    round(time.time(), 1),
                    round(self._fps, 2),
                    round(self._latency / self._count, 1),
                ]
                self._loop.call_soon_threadsafe(self._chart.append, point)
                self._count, self._since, self._latency = 0, now, 0.0
        said = (recognition.scene, recognition.caption and recognition.caption.text)
        if said != self._said:
            self._said = said
            thumbnail = encode_image(shrink_to_fit(recognized.image, THUMBNAIL_SIDE), ".jpg", 80)
            self._loop.call_soon_threadsafe(self._remember, recognition, thumbnail)
        if self._asked:
            self._asked = False
            if wanted := bool(self._open["picture"]):
                recognized.retain_image()
            self._newest = wanted, recognized, latency
            self._loop.call_soon_threadsafe(self._arrived.set)

    def close(self):
        """Drop every client, free the port and end the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(timeout=5)

    # All below runs in the server's thread.

    def _serve(self, listener):
        with listener, self._runner:
            self._runner.run(self._server.serve([listener]))

    def _stop(self):
        self._closed = self._server.should_exit = True
        self._changed.set()
        for connection in tuple(self._server.server_state.connections):
            connection.transport.abort()  # one that reads nothing would never be flushed

    def _remember(self, recognition, thumbnail):
        text = (
            recognition.caption.text
            if recognition.caption
            else recognition.classes[0].name
            if recognition.classes
            else ""
        )
        self._history.append(
            ({"number": self._next, "time": recognition.captured_at, "text": text}, thumbnail)
        )
        self._next += 1

    async def _publish(self):
        """Turn the newest frame into what the clients are sent, once for all of them, while there are any."""
        figures, looked = {}, -BOARD_EVERY
        while True:
            await self._watched.wait()
            self._arrived.clear()
            self._asked = True
            await self._arrived.wait()
            start = time.monotonic()
            (wanted, recognized, latency), self._newest = self._newest, None
            if start - looked >= BOARD_EVERY:
                figures, looked = (
                    {"temperature": board.temperature(), "throttled": board.throttled()},
                    start,
                )
            self._event = json.dumps(
                recognized.json()
                | {"fps": self._fps and round(self._fps, 2), "latency_ms": round(latency, 1)}
                | figures
            )
            self._picture = None
            if wanted:
                self._picture = encode_image(
                    shrink_to_fit(recognized.annotated(), PICTURE_SIDE), ".jpg", 80
                )
            self._published += 1
            self._changed.set()
            self._changed = asyncio.Event()
            spent = time.monotonic() - start
            await asyncio.sleep(
                max(1 / MAX_RATE - spent, spent)
            )  # a slow board's core is not taken for more than half

    async def _news(self):
        """Yield at once and whenever something was published: whether it was. Who was away meanwhile has missed it."""
        first = self._published
        while not self._closed:
            seen = self._published
            yield seen > first
            if seen == self._published and not self._closed:
                await self._changed.wait()

    async def _pictures(self):
        yield b"--picture\r\n"
        async for fresh in self._news():
            if fresh and self._picture:
                # The boundary goes with the picture that it ends: browsers show none before.
                yield b"".join(
                    (
                        b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                        % len(self._picture),
                        self._picture,
                        b"\r\n--picture\r\n",
                    )
                )

    async def _events(self):
        entry, point = 0, 0
        yield "retry: 2000\n\n"
        async for fresh in self._news():
            if entries := [told for told, _ in self._history if told["number"] > entry]:
                entry = entries[-1]["number"]
                yield f"event: history\ndata: {json.dumps(entries)}\n\n"
            if points := [told for told in self._chart if told[0] > point]:
                point = points[-1][0]
                yield f"event: chart\ndata: {json.dumps(points)}\n\n"
            if fresh:
                yield f"data: {self._event}\n\n"

    def _stream(self, kind, parts, media_type):
        """Return the endpoint of a stream of `parts()`."""

        async def endpoint(request):
            if request.method == "HEAD":
                return Response(media_type=media_type)
            if sum(self._open.values()) >= MAX_STREAMS:
                return PlainTextResponse(
                    f"more than {MAX_STREAMS} streams are open; close another page\n", 503
                )
            return respond

        async def respond(scope, receive, send):
            self._open[kind] += 1
            self._watched.set()
            try:
                await StreamingResponse(parts(), media_type=media_type)(scope, receive, send)
            finally:
                self._open[kind] -= 1
                if not any(self._open.values()):
                    self._watched.clear()

        return endpoint

    async def _page(self, request):
        return Response(self._html, media_type="text/html")

    async def _thumbnail(self, request):
        number = request.path_params["number"]
        data = next((data for told, data in self._history if told["number"] == number), None)
        return (
            Response(data, media_type="image/jpeg")
            if data
            else PlainTextResponse("no such thumbnail\n", 404)
        )


def _listen(host, port):
    """Return a socket that listens there; raises PicaptionError where it cannot."""
    try:
        listener = socket.create_server(
            (host, port),
            family=socket.AF_INET6 if ":" in host else socket.AF_INET,
            dualstack_ipv6=host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        hint = {
            errno.EADDRINUSE: f"port {port} is in use; give another one, or 0 for any that is free",
            errno.EADDRNOTAVAIL: "this computer has no such address; use 127.0.0.1, or 0.0.0.0 and a token",
            errno.EACCES: f"port {port} is for the system; give one from 1024 on",
        }
        # A network that is not up yet has no address either.
        raised = TemporaryError if error.errno == errno.EADDRNOTAVAIL else PicaptionError
        raise raised(
            f"the page cannot listen at {host}: {hint.get(error.errno, f'{error.strerror}; check the host')}"
        ) from None
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # accepted connections inherit it
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PATIENCE * 1000)
    return listener


def _page(name):
    """Return the page as HTML and the Content-Security-Policy that allows just its own script and style."""
    title = html.escape(" · ".join(dict.fromkeys(("picaption", name))))
    page = (
        Path(__file__).with_name("page.html").read_text(encoding="utf-8").replace("$title", title)
    )

    def source(element):
        text = re.search(f"<{element}>(.*?)</{element}>", page, re.DOTALL)[1]
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return page, (
        f"default-src 'none'; script-src {source('script')}; style-src {source('style')}; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _guard(app, token, cookie, policy):
    """Return an ASGI application that lets to `app` only who may see it, and adds the headers that browsers heed."""
    key = token and hashlib.sha256(token.encode()).hexdigest()
    security = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-store",
    }

    def is_key(text):
        return hmac.compare_digest(text.encode(), key.encode())

    def is_token(text):
        return is_key(hashlib.sha256(text.encode()).hexdigest())

    def refusal(request):
        """Return the Response in place of the app's, or None."""
        if token:
            scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
            if is_token(request.query_params.get("token", "")):
                response = RedirectResponse("/" + request.scope["path"].lstrip("/"), 303)
                response.set_cookie(cookie, key, max_age=LOGIN, httponly=True, samesite="strict")
                return response
            if not (
                scheme.lower() == "bearer"
                and is_token(bearer.strip())
                or is_key(request.cookies.get(cookie, ""))
            ):
                return PlainTextResponse(
                    "this page asks for its token: open it once as /?token=TOKEN\n",
                    401,
                    {"WWW-Authenticate": "Bearer"},
                )
        # Without a token, a site whose name suddenly means this computer is kept out by the name.
        elif not is_loopback(
            re.sub(r":\d*$", "", request.headers.get("host", "")).strip("[]").lower()
        ):
            return PlainTextResponse("this page is shown at localhost only\n", 403)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse(
                "only GET and HEAD are understood\n", 405, {"Allow": "GET, HEAD"}
            )

    async def guarded(scope, receive, send):
        async def secured(message):
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(security)
            await send(message)

        await (refusal(Request(scope)) or app)(scope, receive, secured)

    return guarded
