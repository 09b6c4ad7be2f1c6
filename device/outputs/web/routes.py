"""The addresses of the page: itself, the streams of images, the events and the history."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .feed import Feed, HistoryEntry
from .pages.page import read_part
from .view import CameraView, Views, find_view, merge_events, open_streams

#: How many streams are open at once; a page takes two.
MAX_STREAMS = 20

IMAGES_TYPE = "multipart/x-mixed-replace; boundary=picture"
EVENTS_TYPE = "text/event-stream"

#: Returns the parts of a stream.
CreateParts = Callable[[], AsyncIterator[bytes] | AsyncIterator[str]]


def page_routes(views: Views, page: str) -> list[Route]:
    """Return the routes of a page, as HTML, and of the feeds of its cameras."""
    all_views = list(views.values())

    async def get_page(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def get_icon(request: Request) -> Response:
        return Response(read_part("favicon.svg"), media_type="image/svg+xml")

    async def get_cameras(request: Request) -> Response:
        return JSONResponse([view.to_json() for view in all_views])

    def find_entry(request: Request) -> HistoryEntry | None:
        number = request.path_params["number"]
        entries = (view.feed.entry(number) for view in all_views)
        return next(filter(None, entries), None)

    async def get_thumbnail(request: Request) -> Response:
        entry = find_entry(request)
        if entry is None:
            return PlainTextResponse("no such thumbnail\n", 404)
        return Response(entry.thumbnail, media_type="image/jpeg")

    async def get_scene(request: Request) -> Response:
        entry = find_entry(request)
        if entry is None:
            return PlainTextResponse("no such scene\n", 404)
        return Response(entry.image, media_type="image/jpeg")

    async def images(request: Request) -> ASGIApp:
        view = find_view(views, request)
        if isinstance(view, Response):
            return view
        if request.query_params.get("overlay") == "0":
            stream = Stream(view.feed, "plain images", view.feed.plain_images, IMAGES_TYPE)
        else:
            stream = Stream(view.feed, "images", view.feed.images, IMAGES_TYPE)
        return _respond(stream, request, all_views)

    async def events(request: Request) -> ASGIApp:
        view = find_view(views, request)
        if isinstance(view, Response):
            return view
        parts: CreateParts = view.feed.events
        if len(all_views) > 1 and not request.query_params.get("camera"):
            parts = partial(merge_events, all_views)
        return _respond(Stream(view.feed, "events", parts, EVENTS_TYPE), request, all_views)

    return [
        Route("/", get_page),
        Route("/favicon.svg", get_icon),
        Route("/cameras.json", get_cameras),
        Route("/picture.mjpeg", images),
        Route("/events", events),
        Route("/thumbnails/{number:int}.jpg", get_thumbnail),
        Route("/scenes/{number:int}.jpg", get_scene),
    ]


class Stream(NamedTuple):
    """A stream of parts.

    Attributes:
        feed: Whose it is.
        content: The key of the feed's `streams` that counts it.
        create_parts: Returns its parts.
        media_type: Its media type.
    """

    feed: Feed
    content: str
    create_parts: CreateParts
    media_type: str


def _respond(stream: Stream, request: Request, views: Sequence[CameraView]) -> ASGIApp:
    """Return what answers a request for a stream."""
    if request.method == "HEAD":
        return Response(media_type=stream.media_type)
    if open_streams(views) >= MAX_STREAMS:
        return PlainTextResponse(
            f"more than {MAX_STREAMS} streams are open; close another page\n", 503
        )

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        with stream.feed.open_stream(stream.content):
            response = StreamingResponse(stream.create_parts(), media_type=stream.media_type)
            await response(scope, receive, send)

    return respond
