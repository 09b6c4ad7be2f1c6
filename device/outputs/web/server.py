"""The page's server as a sink of the live loop, and what programs ask of it beside the page.

The live loop hands over only the frames that the feed asks for, and the feed asks for no more than
its clients can see.
"""

import asyncio
import importlib.metadata
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any

from starlette.routing import Route

from ...sources.source import SourceStatus
from ..control import LoopControl
from ..sink import RecognizedFrame
from .api.exchange import ChildSettings
from .api.routes import api_routes
from .api.worker import Worker
from .app import create_app
from .door import REQUEST_SECONDS
from .feed import scene_numbers
from .history.page import HISTORY_PAGE
from .history.routes import history_routes
from .http_server import CLIENT_TIMEOUT_SECONDS, HttpServer, log_failure
from .live.metrics import CameraRun, MetricsSource
from .live.routes import live_routes
from .pages.navigation import HISTORY_PATH, LIVE_PATH, TEACH_PATH
from .pages.page import LIVE_PAGE, load_page
from .routes import page_routes
from .teach.addresses import MAX_SIDE
from .teach.page import TEACH_PAGE
from .teach.routes import MAX_REQUESTS, PROGRAM, teach_routes
from .view import CameraView, first_view


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
        cameras: Of several cameras, what returns what is known of each now, by its name.

    Attributes:
        views: What is known of every camera, by its name; of a single source, by "".
        feed: What the page's clients are sent of the first camera.

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
        cameras: Mapping[str, Callable[[], SourceStatus]] | None = None,
    ) -> None:
        self._name = name
        self._bundle = bundle
        self._control = control
        numbers = scene_numbers()
        self.views = {
            camera: CameraView(status, self._bundle_name, camera, numbers)
            for camera, status in (cameras or {}).items()
        }
        if not self.views:
            self.views[""] = CameraView(source_status, self._bundle_name)
        self.feed = first_view(self.views).feed
        self._answers: Counter[tuple[str, int]] = Counter()
        # One thread: the live loop's own have the others.
        worker = Worker(
            ChildSettings(bundle, 1, True), self._snapshot, get_bundle=self._bundle_path
        )
        self._workers = [worker]
        paths = [LIVE_PATH, *([HISTORY_PATH] if history else []), *([TEACH_PATH] if teach else [])]
        page = load_page(LIVE_PAGE, name, frame_ancestors, paths, tuple(cameras or ()))
        routes = [
            *page_routes(self.views, page.html),
            *live_routes(self.views),
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
            background=(*self._background(), *resting),
            on_stop=self._close_feeds,
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
            view = self.views.get(recognized.recognition.camera_name or "")
            if view is not None:
                view.write(recognized, self._http.call_soon)
        except Exception as error:
            log_failure(error)

    def _background(self) -> Iterator[Callable[[], Coroutine[Any, Any, None]]]:
        for view in self.views.values():
            yield view.feed.publish
            yield view.feed.watch_source

    def _close_feeds(self) -> None:
        for view in self.views.values():
            view.feed.close()

    def _snapshot(self, width: int = 0) -> bytes | None:
        """Return the newest image of the first camera that gives any, as a JPEG."""
        views = list(self.views.values())
        running = [view for view in views if view.newest.problem() is None]
        return (running or views)[0].newest.snapshot(width=width)

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
            are_running = [view.newest.problem() is None for view in self.views.values()]
            return self._snapshot(MAX_SIDE) if any(are_running) else None

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
            first_view(self.views).counters,
            self._answers,
            first_view(self.views).source(),
            {
                name: CameraRun(view.counters, view.source())
                for name, view in self.views.items()
                if name
            },
        )
