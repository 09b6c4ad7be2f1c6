"""What the server knows of one camera: its feed, its newest frame, and what it has done."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ...images import encode_image, shrink_to_fit
from ...sources.source import SourceStatus
from ..sink import RecognizedFrame
from .errors import error_response
from .feed import JPEG_QUALITY, ChartPoint, Feed, Offer
from .live.metrics import RunCounters
from .live.newest import NewestFrame

#: Pixels of the longer side of a scene's image in the history, and of its thumbnail, at most.
SCENE_SIDE = 960
THUMBNAIL_SIDE = 192
#: Seconds between two points of the chart at least.
CHART_STEP_SECONDS = 1


class CameraView:
    """What clients see of a camera. The live loop writes to it; the server's thread reads.

    Args:
        source_status: Returns what is known of the source now; None: nothing is.
        bundle: Returns what the bundle is called that is in use.
        name: Which of several cameras it is; None: there is one source.
        numbers: What the scenes of all of them are numbered by; None: there is one source.

    Attributes:
        feed: What the page's clients are sent; it belongs to the server's thread.
        newest: The newest frame.
        counters: What the run has done.
        name: Which of several cameras it is.
    """

    def __init__(
        self,
        source_status: Callable[[], SourceStatus] | None = None,
        bundle: Callable[[], str] = str,
        name: str | None = None,
        numbers: Iterator[int] | None = None,
    ) -> None:
        self.name = name
        self.feed = Feed(source_status, bundle, name, numbers)
        self.newest = NewestFrame()
        self.counters = RunCounters()
        self._source_status = source_status
        self._meter = RateMeter()
        self._shown: tuple[int, str | None] | None = None

    def write(self, recognized: RecognizedFrame, call_soon: Callable[..., None]) -> None:
        """Take the newest frame; its image is copied if someone is watching.

        Args:
            recognized: The frame.
            call_soon: Calls a function in the server's thread.
        """
        recognition = recognized.recognition
        self.counters.add(recognition)
        self.newest.write(recognized)
        latency = recognition.timings.get("queue", 0.0) + recognition.timings["total"]
        point = self._meter.add(latency)
        if point:
            call_soon(self.feed.chart.append, point)
        shown = (recognition.scene, recognition.text)
        if shown != self._shown:
            self._shown = shown
            image = shrink_to_fit(recognized.image, SCENE_SIDE)
            scene = encode_image(image, ".jpg", JPEG_QUALITY)
            thumbnail = encode_image(shrink_to_fit(image, THUMBNAIL_SIDE), ".jpg", JPEG_QUALITY)
            call_soon(self.feed.remember, recognized, scene, thumbnail)
        if self.feed.wants_frame:
            self.feed.wants_frame = False
            with_image = self.feed.watches_images
            if with_image:
                self.newest.retain(recognized, time.monotonic())
            call_soon(self.feed.offer, Offer(recognized, self._meter.fps, latency, with_image))

    def source(self) -> SourceStatus | None:
        """Return what is known of the source now; None: nothing is."""
        return self._source_status() if self._source_status else None

    def to_json(self) -> dict[str, Any]:
        """Return what a list of cameras says of this one."""
        source = self.source()
        recognized = self.newest.recognized
        recognition = recognized.recognition if recognized else None
        return {
            "name": self.name,
            "source": source.name if source else None,
            "model": source.model if source else None,
            "problem": (source and source.problem) or self.newest.problem(),
            "failures": source.failures if source else 0,
            "is_paused": source is not None and source.is_paused,
            "fps": self._meter.fps and round(self._meter.fps, 2),
            "text": recognition.shown_text if recognition else None,
            "captured_at": round(recognition.captured_at, 3) if recognition else None,
        }


#: The views of the cameras by name; of a single source, one with the name "".
Views = Mapping[str, CameraView]


def first_view(views: Views) -> CameraView:
    """Return the first camera's view, for who asks for none."""
    return next(iter(views.values()))


def find_view(views: Views, request: Request) -> CameraView | Response:
    """Return the view of the camera that a request names; or the answer that there is none.

    Args:
        views: The cameras'.
        request: `camera` in its query is the name; without one, the first camera is meant.
    """
    name = request.query_params.get("camera", "")
    if not name:
        return first_view(views)
    if name in views:
        return views[name]
    names = ", ".join(filter(None, views)) or "one, without a name"
    return error_response(
        request.scope["path"], 404, f"there is no such camera; there are: {names}"
    )


def open_streams(views: Sequence[CameraView]) -> int:
    """Return how many streams are open of cameras."""
    return sum(sum(view.feed.streams.values()) for view in views)


async def merge_events(views: Sequence[CameraView]) -> AsyncIterator[str]:
    """Yield the server-sent events of several cameras, each of which says whose it is.

    A client that is busy misses frames of each alike.
    """
    queue: asyncio.Queue[str] = asyncio.Queue(1)

    async def pump(view: CameraView) -> None:
        async for event in view.feed.events():
            if not event.startswith("event: chart"):  # Its points are the page's.
                await queue.put(event)

    with ExitStack() as stack:
        for view in views[1:]:  # The first one is counted by the stream.
            stack.enter_context(view.feed.open_stream("events"))
        tasks = [asyncio.create_task(pump(view)) for view in views]
        try:
            while not all(task.done() for task in tasks):
                getter = asyncio.ensure_future(queue.get())
                done, _ = await asyncio.wait(
                    [getter, *(task for task in tasks if not task.done())],
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if getter in done:
                    yield getter.result()
                else:
                    getter.cancel()
        finally:
            for task in tasks:
                task.cancel()


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
