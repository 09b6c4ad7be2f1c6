"""The page's server as a sink of the live loop, and what programs ask of it beside the page.

The live loop hands over only the frames that the feed asks for, and the feed asks for no more than
its clients can see.
"""

import asyncio
import importlib.metadata
import time
from collections import Counter
from collections.abc import Callable, Sequence

from starlette.routing import Route

from ...images import encode_image, shrink_to_fit
from ...sources.source import SourceStatus
from ..control import LoopControl
from ..sink import RecognizedFrame
from .api.exchange import ChildSettings
from .api.routes import api_routes
from .api.worker import Worker
from .app import create_app
from .door import REQUEST_SECONDS
from .feed import JPEG_QUALITY, ChartPoint, Feed, Offer
from .history.page import HISTORY_PAGE
from .history.routes import history_routes
from .http_server import CLIENT_TIMEOUT_SECONDS, HttpServer, log_failure
from .live.metrics import MetricsSource, RunCounters
from .live.newest import NewestFrame
from .live.routes import live_routes
from .pages.navigation import HISTORY_PATH, LIVE_PATH, TEACH_PATH
from .pages.page import LIVE_PAGE, load_page
from .routes import page_routes
from .teach.addresses import MAX_SIDE
from .teach.page import TEACH_PAGE
from .teach.routes import MAX_REQUESTS, PROGRAM, teach_routes

#: Pixels of the longer side of a scene's image in the history, and of its thumbnail, at most.
SCENE_SIDE = 960
THUMBNAIL_SIDE = 192
#: Seconds between two points of the chart at least.
CHART_STEP_SECONDS = 1


class WebServer:
    """Serves the page at `address`, such as "http://127.0.0.1:8080/", and what programs ask.

    Args:
        host: As HttpServer's, and so are `port` and `token`.
        port: 0 for any that is free.
        token: What every request must know.
        name: What the bundle is called; the page's title shows it beside picaption.
        client_timeout: As HttpServer's, and so are `request_seconds` and `frame_ancestors`.
        request_seconds: For a request to come.
        frame_ancestors: Whose pages may show this one.
        source_status: Returns what is known of the source now; the server's thread calls it.
        bundle: The path of the bundle that answers requests; empty: the shipped one.
        history: The path of the history that is shown; empty: none is.
        control: What can be asked of the loop, and which bundle it has; None: the one of before.
        teach: The folder of class folders that the page teaches from, which takes a `control`;
            empty: it teaches none.

    Attributes:
        feed: What the page's clients are sent; it belongs to the server's thread.
        newest: The newest frame.
        counters: What the run has done.

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
        bundle: str = "",
        history: str = "",
        control: LoopControl | None = None,
        teach: str = "",
    ) -> None:
        self._name = name
        self._bundle = bundle
        self._control = control
        self.feed = Feed(source_status, self._bundle_name)
        self.newest = NewestFrame()
        self.counters = RunCounters()
        self._source_status = source_status
        self._answers: Counter[tuple[str, int]] = Counter()
        self._meter = RateMeter()
        self._shown: tuple[int, str | None] | None = None
        # One thread: the live loop's own have the others.
        worker = Worker(
            ChildSettings(bundle, 1, True), self.newest.snapshot, get_bundle=self._bundle_path
        )
        self._workers = [worker]
        paths = [LIVE_PATH, *([HISTORY_PATH] if history else []), *([TEACH_PATH] if teach else [])]
        page = load_page(LIVE_PAGE, name, frame_ancestors, paths)
        routes = [
            *page_routes(self.feed, page.html),
            *live_routes(self.newest),
            *api_routes(worker, self._count_answer),
            *self._history_routes(history, frame_ancestors, paths),
        ]
        resting = []
        if teach and control is not None:
            teacher = self._open_teacher(teach, control)
            resting.append(teacher.rest)
            teach_page = load_page(TEACH_PAGE, name, frame_ancestors, paths)
            routes += teach_routes(teacher, control, teach_page)
        app = create_app(routes, self._metrics_source)
        self._http = HttpServer(
            host,
            port,
            token,
            app,
            page.policy,
            frame_ancestors=frame_ancestors,
            background=(self.feed.publish, self.feed.watch_source, *resting),
            on_stop=self.feed.close,
            on_end=self._close_workers,
            client_timeout=client_timeout,
            request_seconds=request_seconds,
        )
        self.address = self._http.address

    @property
    def buffered(self) -> list[int]:
        """How many bytes wait to be sent over each open connection."""
        return self._http.buffered

    def write(self, recognized: RecognizedFrame) -> None:
        """Take the newest frame; its image is copied if someone is watching.

        What fails here is logged: a run does not end because of its page.
        """
        try:
            self._write(recognized)
        except Exception as error:
            log_failure(error)

    def _write(self, recognized: RecognizedFrame) -> None:
        recognition = recognized.recognition
        self.counters.add(recognition)
        self.newest.write(recognized)
        latency = recognition.timings.get("queue", 0.0) + recognition.timings["total"]
        point = self._meter.add(latency)
        if point:
            self._http.call_soon(self.feed.chart.append, point)
        shown = (recognition.scene, recognition.text)
        if shown != self._shown:
            self._shown = shown
            image = shrink_to_fit(recognized.image, SCENE_SIDE)
            scene = encode_image(image, ".jpg", JPEG_QUALITY)
            thumbnail = encode_image(shrink_to_fit(image, THUMBNAIL_SIDE), ".jpg", JPEG_QUALITY)
            self._http.call_soon(self.feed.remember, recognized, scene, thumbnail)
        if self.feed.wants_frame:
            self.feed.wants_frame = False
            with_image = self.feed.watches_images
            if with_image:
                self.newest.retain(recognized, time.monotonic())
            offer = Offer(recognized, self._meter.fps, latency, with_image)
            self._http.call_soon(self.feed.offer, offer)

    def close(self) -> None:
        """Drop every client, free the port and end the thread."""
        self._http.close()

    def _history_routes(
        self, history: str, frame_ancestors: str, paths: Sequence[str]
    ) -> list[Route]:
        """Return the routes of the history at a path; none where there is none."""
        if not history:
            return []
        page = load_page(HISTORY_PAGE, self._name, frame_ancestors, paths)
        return history_routes(history, page, self._bundle_path)

    def _open_teacher(self, folder: str, control: LoopControl) -> Worker:
        """Return what keeps the class folders in a folder."""

        def newest_frame() -> bytes | None:
            return None if self.newest.problem() else self.newest.snapshot(width=MAX_SIDE)

        teacher = Worker(
            ChildSettings(threads=1, has_camera=True, folder=folder),
            newest_frame,
            MAX_REQUESTS,
            lambda: control.state.settings_path,
            PROGRAM,
        )
        self._workers.append(teacher)
        return teacher

    async def _close_workers(self) -> None:
        await asyncio.gather(*(worker.close() for worker in self._workers))

    def _bundle_name(self) -> str:
        """Return what the bundle is called that is in use."""
        return (self._control and self._control.state.name) or self._name

    def _bundle_path(self) -> str:
        """Return the path of the bundle that is in use."""
        return (self._control and self._control.state.path) or self._bundle

    def _count_answer(self, path: str, status: int) -> None:
        self._answers[path, status] += 1

    def _metrics_source(self) -> MetricsSource:
        return MetricsSource(
            importlib.metadata.version("picaption"),
            self._bundle_name(),
            self.counters,
            self._answers,
            self._source_status() if self._source_status else None,
        )


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
