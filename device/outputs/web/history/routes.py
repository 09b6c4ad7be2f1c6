"""The addresses of the history: its page, scenes, days, digests, exports and deletions."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from datetime import timedelta
from functools import wraps
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ....errors import PicaptionError
from ....history.database import reading_errors
from ....history.reader import HistoryReader, ImageState, SceneFilter
from ....history.reports.days import count_days
from ....history.reports.digest import Digest, day_span, make_digest
from ....history.reports.export import MEDIA_TYPES, TooManyScenesError, export, export_name
from ....history.reports.forms import scene_json
from ....history.reports.ics import MEDIA_TYPE as CALENDAR_TYPE
from ....history.reports.ics import calendar_lines
from ....history.reports.visits import Visit, find_visits
from ....history.scene import Scene
from ....history.store import HistoryStore
from ..api.routes import BodyError, read_body
from ..errors import error_response
from ..pages.page import Page
from .desk import BusyError, HistoryDesk, SlowError
from .queries import (
    COUNTED_DAYS,
    MAX_DAYS,
    Deletion,
    parse_day,
    parse_deletion,
    parse_filter,
    parse_integer,
    parse_paging,
    parse_text,
    parse_zone,
)
from .searcher import Searcher

#: Days of the calendar, and of the classes that were there last, unless more are asked for.
DEFAULT_DAYS = 30
#: Events of a calendar at most.
MAX_EVENTS = 2000
#: Scenes that a search leaves out at most: nobody looks at more of them.
MAX_HITS = 1000
#: Bytes of a body at most, and how long it may take.
MAX_BODY = 65_536
BODY_SECONDS = 10.0

Endpoint = Callable[[Request], Awaitable[Response]]


def history_routes(path: str, page: Page, get_bundle: Callable[[], str] = str) -> list[Route]:
    """Return the routes of a history.

    Args:
        path: The history's file.
        page: The page that shows it.
        get_bundle: Returns the path of the bundle that searches; empty: the shipped one.
    """
    desk = HistoryDesk(path)
    searcher = Searcher(get_bundle)

    async def get_page(request: Request) -> Response:
        headers = {"Content-Security-Policy": page.policy}
        return Response(page.html, media_type="text/html", headers=headers)

    async def get_hits(desk: HistoryDesk, request: Request) -> Response:
        return await search(desk, searcher, request)

    return [
        Route("/history", get_page),
        Route("/history/search.json", _answering(desk, get_hits)),
        Route("/history/scenes.json", _answering(desk, get_scenes)),
        Route("/history/days.json", _answering(desk, get_days)),
        Route("/history/digest.json", _answering(desk, get_digest)),
        Route("/history/last-seen.json", _answering(desk, get_sightings)),
        Route("/history/thumbnails/{number:int}.jpg", _answering(desk, get_thumbnail)),
        Route("/history/export", _exporting(desk)),
        Route("/history/calendar.ics", _answering(desk, get_calendar)),
        Route("/history/delete", _answering(desk, post_deletion), methods=["POST"]),
    ]


def _answering(
    desk: HistoryDesk, answer: Callable[[HistoryDesk, Request], Awaitable[Response]]
) -> Endpoint:
    """Return the endpoint of an answer; what fails becomes an error of one line."""

    @wraps(answer)
    async def endpoint(request: Request) -> Response:
        path = request.scope["path"]
        try:
            return await answer(desk, request)
        except Exception as error:
            return _error_response(path, error)

    return endpoint


def _error_response(path: str, error: Exception) -> Response:
    """Return what a request is answered that failed; raises what is nobody's fault but ours."""
    if isinstance(error, (ValueError, TooManyScenesError)):
        return error_response(path, 400, str(error))
    if isinstance(error, ClientDisconnect):
        return error_response(path, 400, "the body is cut short")
    if isinstance(error, BodyError):
        return error_response(path, error.status, str(error))
    if isinstance(error, BusyError):
        message = "too many requests at once; try again"
        return error_response(path, 429, message, {"Retry-After": "1"})
    if isinstance(error, SlowError):
        return error_response(path, 503, "this takes too long; choose a shorter time")
    if isinstance(error, PicaptionError):
        return error_response(path, 503, str(error))
    raise error


async def get_scenes(desk: HistoryDesk, request: Request) -> Response:
    """Return the scenes that a query wants, the newest first."""
    wanted = parse_filter(request.query_params, parse_zone(request.query_params))
    paging = parse_paging(request.query_params)

    def read(reader: HistoryReader) -> dict[str, object]:
        scenes = reader.scenes(wanted, paging.limit, paging.offset)
        return {
            "count": reader.count(wanted),
            "offset": paging.offset,
            "scenes": scene_forms(reader, scenes),
        }

    return JSONResponse(await desk.ask(read))


async def search(desk: HistoryDesk, searcher: Searcher, request: Request) -> Response:
    """Return the scenes that a text describes, that are like another one, or both; best first."""
    query = request.query_params
    wanted = parse_filter(query, parse_zone(query))
    paging = parse_paging(query, MAX_HITS)
    text = parse_text(query, "q")
    like = parse_integer(query, "like", -1, 0, 2**63 - 1)
    if text is None and like < 0:
        raise ValueError("the query has q, a text, or like, the id of a scene, or both")

    def read(reader: HistoryReader) -> dict[str, object]:
        end = paging.offset + paging.limit
        if like >= 0 and reader.scene(like) is None:
            raise ValueError("there is no such scene")
        if text is not None:
            hits = searcher.by_text(reader, text, wanted, end + 1, like if like >= 0 else None)
        else:
            hits = searcher.like(reader, like, wanted, end + 1)
        part = hits[paging.offset : end]
        forms = scene_forms(reader, [hit.scene for hit in part])
        scores = [{"score": round(hit.score, 5), "found_by": list(hit.found_by)} for hit in part]
        return {
            "offset": paging.offset,
            "has_more": len(hits) > end,
            "scenes": [form | score for form, score in zip(forms, scores)],
        }

    return JSONResponse(await desk.ask(read))


def scene_forms(reader: HistoryReader, scenes: Sequence[Scene]) -> list[dict[str, Any]]:
    """Return scenes as the page shows them: with the address of the thumbnail, if there is one."""
    images = reader.image_states([scene.id for scene in scenes])
    forms = []
    for scene in scenes:
        state = images.get(scene.id, ImageState(False, False))
        address = f"/history/thumbnails/{scene.id}.jpg" if state.has_thumbnail else None
        can_compare = state.has_features
        forms.append(scene_json(scene) | {"thumbnail": address, "can_compare": can_compare})
    return forms


async def get_days(desk: HistoryDesk, request: Request) -> Response:
    """Return how many scenes began in each hour of some days."""
    query = request.query_params
    zone = parse_zone(query)
    wanted = parse_filter({**query, "since": "", "until": ""}, zone)
    last = parse_day(query, "until", zone)
    count = parse_integer(query, "days", COUNTED_DAYS, 1, MAX_DAYS)
    first = last - timedelta(days=count - 1)
    days = await desk.ask(lambda reader: count_days(reader, wanted, first, last, zone))
    return JSONResponse({"days": [day.to_json() for day in days]})


async def get_digest(desk: HistoryDesk, request: Request) -> Response:
    """Return what a day was like, as JSON or as a sentence."""
    query = request.query_params
    zone = parse_zone(query)
    day = parse_day(query, "day", zone)
    form = query.get("format", "json")
    if form not in ("json", "text"):
        raise ValueError("format is json or text")
    begin, end = day_span(day, zone)
    wanted = SceneFilter(since=round(begin * 1000), until=round(end * 1000))

    def read(reader: HistoryReader) -> Digest:
        return make_digest(reader.walk(wanted), day, zone)

    digest = await desk.ask(read)
    if form == "text":
        return PlainTextResponse(f"{digest.text}\n")
    return JSONResponse(digest.to_json())


async def get_sightings(desk: HistoryDesk, request: Request) -> Response:
    """Return when each class was certain last, and which cameras there are."""
    wanted = _recent(request)

    def read(reader: HistoryReader) -> dict[str, object]:
        classes = [
            {"name": sighting.name, "last_seen": sighting.end / 1000, "scene": sighting.scene}
            for sighting in reader.last_scenes(wanted)
        ]
        return {"classes": classes, "cameras": reader.cameras()}

    return JSONResponse(await desk.ask(read))


async def get_calendar(desk: HistoryDesk, request: Request) -> Response:
    """Return the visits of classes as a calendar."""
    wanted = _recent(request)

    def read(reader: HistoryReader) -> bytes:
        newest = deque(_visits(reader, wanted), maxlen=MAX_EVENTS)
        return b"".join(calendar_lines(newest))

    return Response(await desk.ask(read), headers={"Content-Type": CALENDAR_TYPE})


def _visits(reader: HistoryReader, wanted: SceneFilter) -> Iterator[Visit]:
    """Yield the visits in some scenes: of the class that they are filtered by, or of all."""
    for visit in find_visits(reader.walk(wanted)):
        if wanted.class_name in (None, visit.name):
            yield visit


def _recent(request: Request) -> SceneFilter:
    """Return which scenes a query wants; those of the last days if it names no time."""
    wanted = parse_filter(request.query_params, parse_zone(request.query_params))
    if wanted.since is None:
        since = round((time.time() - DEFAULT_DAYS * 86_400) * 1000)
        return replace(wanted, since=since)
    return wanted


async def get_thumbnail(desk: HistoryDesk, request: Request) -> Response:
    """Return the small picture of a scene."""
    number = request.path_params["number"]
    if number >= 2**63:
        thumbnail = None
    else:
        thumbnail = await desk.ask(lambda reader: reader.thumbnail(number))
    if thumbnail is None:
        return error_response(request.scope["path"], 404, "there is no such thumbnail")
    return Response(thumbnail, media_type="image/jpeg")


async def post_deletion(desk: HistoryDesk, request: Request) -> Response:
    """Delete a span, or scenes by their ids."""
    deletion = parse_deletion(await read_body(request, MAX_BODY, BODY_SECONDS))
    count = await desk.run(lambda: _delete(desk.path, deletion))
    return JSONResponse({"deleted": count})


def _delete(path: str, deletion: Deletion) -> int:
    with reading_errors(path), closing(HistoryStore(path)) as store:
        if deletion.span:
            return store.erase(*deletion.span)
        return store.erase_scenes(deletion.ids)


def _exporting(desk: HistoryDesk) -> Callable[[Request], Awaitable[ASGIApp]]:
    """Return the endpoint of a file with scenes."""

    async def respond(request: Request, scope: Scope, receive: Receive, send: Send) -> None:
        query = request.query_params
        try:
            zone = parse_zone(query)
            wanted = parse_filter(query, zone)
            form = query.get("format", "csv")
            if form not in MEDIA_TYPES:
                raise ValueError(f"format is one of {', '.join(MEDIA_TYPES)}")
            stack = AsyncExitStack()
            pieces = await stack.enter_async_context(
                desk.stream(lambda reader: export(reader, wanted, form, zone))
            )
        except (ValueError, BusyError, PicaptionError) as error:
            await _error_response(request.scope["path"], error)(scope, receive, send)
            return
        async with stack:
            headers = {
                "Content-Type": MEDIA_TYPES[form],
                "Content-Disposition": f'attachment; filename="{export_name(form, wanted, zone)}"',
            }
            await StreamingResponse(pieces, headers=headers)(scope, receive, send)

    async def endpoint(request: Request) -> ASGIApp:
        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await respond(request, scope, receive, send)

        return app

    return endpoint
