"""The addresses of the page: itself, the streams of images, the events and the history."""

from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from .feed import Feed
from .pages.page import read_part

#: How many streams are open at once; a page takes two.
MAX_STREAMS = 20

IMAGES_TYPE = "multipart/x-mixed-replace; boundary=picture"
EVENTS_TYPE = "text/event-stream"


def page_routes(feed: Feed, page: str) -> list[Route]:
    """Return the routes of a page, as HTML, and its feed."""

    async def get_page(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def get_icon(request: Request) -> Response:
        return Response(read_part("favicon.svg"), media_type="image/svg+xml")

    async def get_thumbnail(request: Request) -> Response:
        entry = feed.entry(request.path_params["number"])
        if entry is None:
            return PlainTextResponse("no such thumbnail\n", 404)
        return Response(entry.thumbnail, media_type="image/jpeg")

    async def get_scene(request: Request) -> Response:
        entry = feed.entry(request.path_params["number"])
        if entry is None:
            return PlainTextResponse("no such scene\n", 404)
        return Response(entry.image, media_type="image/jpeg")

    annotated = _stream(feed, "images", feed.images, IMAGES_TYPE)
    plain = _stream(feed, "plain images", feed.plain_images, IMAGES_TYPE)

    async def images(request: Request) -> ASGIApp:
        is_plain = request.query_params.get("overlay") == "0"
        return await (plain if is_plain else annotated)(request)

    events = _stream(feed, "events", feed.events, EVENTS_TYPE)
    return [
        Route("/", get_page),
        Route("/favicon.svg", get_icon),
        Route("/picture.mjpeg", images),
        Route("/events", events),
        Route("/thumbnails/{number:int}.jpg", get_thumbnail),
        Route("/scenes/{number:int}.jpg", get_scene),
    ]


def _stream(
    feed: Feed,
    content: str,
    create_parts: Callable[[], AsyncIterator[bytes] | AsyncIterator[str]],
    media_type: str,
) -> Callable[[Request], Awaitable[ASGIApp]]:
    """Return the endpoint of a stream of parts."""

    async def respond(scope: Scope, receive: Receive, send: Send) -> None:
        with feed.open_stream(content):
            await StreamingResponse(create_parts(), media_type=media_type)(scope, receive, send)

    async def endpoint(request: Request) -> ASGIApp:
        if request.method == "HEAD":
            return Response(media_type=media_type)
        if sum(feed.streams.values()) >= MAX_STREAMS:
            return PlainTextResponse(
                f"more than {MAX_STREAMS} streams are open; close another page\n", 503
            )
        return respond

    return endpoint
