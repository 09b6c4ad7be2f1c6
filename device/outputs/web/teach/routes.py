"""The addresses of teaching: what the page asks is passed on to a process of its own.

Which bundle is live is a matter of two: that process moves the files, and the live loop opens what
is there. Where the loop cannot, the files go back.
"""

import asyncio
import json
import logging

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ...control import LoopControl
from ..api.exchange import ApiAnswer, ApiRequest
from ..api.routes import BodyError, discard_body, read_body
from ..api.worker import BusyError, UnavailableError, Worker
from ..errors import error_response
from ..pages.navigation import TEACH_PATH
from ..pages.page import Page
from .addresses import (
    ACTION_PATHS,
    BACK_PATH,
    COLLECT_PATH,
    IMAGES_PREFIX,
    LIVE_PATH,
    MAX_BODY,
    MAX_UPLOAD,
    STATE_PATH,
    UPLOAD_PATH,
)

logger = logging.getLogger(__name__)

#: The module that the process runs.
PROGRAM = "picaption.device.outputs.web.teach.child.program"
#: Requests with a body that are on their way at once.
MAX_REQUESTS = 4
#: How long the live loop may take to open another bundle.
LIVE_SECONDS = 20.0
#: How often it is looked whether it has.
LOOK_SECONDS = 0.05
#: How long a browser may keep a thumbnail, whose address is that of its content.
THUMBNAIL_SECONDS = 3600
#: Where something is posted.
POST_PATHS = (UPLOAD_PATH, COLLECT_PATH, *ACTION_PATHS, LIVE_PATH, BACK_PATH)


def teach_routes(worker: Worker, control: LoopControl, page: Page) -> list[Route]:
    """Return the routes of teaching.

    Args:
        worker: What answers.
        control: What can be asked of the live loop.
        page: The page.
    """

    async def get_page(request: Request) -> Response:
        headers = {"Content-Security-Policy": page.policy}
        return Response(page.html, media_type="text/html", headers=headers)

    async def get_answer(request: Request) -> Response:
        path = request.scope["path"]
        try:
            head, content = await worker.answer(ApiRequest("GET", path), b"")
        except UnavailableError as error:
            return error_response(path, 503, str(error), {"Retry-After": "5"})
        return _respond(head, content, control)

    async def post(request: Request) -> Response:
        path = request.scope["path"]
        try:
            with worker.reserve():
                return await _pass_on(request, worker, control)
        except BusyError:
            await discard_body(request)
            message = "too many requests at once; try again"
            return error_response(path, 429, message, {"Retry-After": "1"})
        except BodyError as error:
            return error_response(path, error.status, str(error))
        except UnavailableError as error:
            return error_response(path, 503, str(error), {"Retry-After": "5"})
        except ClientDisconnect:
            return error_response(path, 400, "the body is cut short")

    return [
        Route(TEACH_PATH, get_page),
        Route(STATE_PATH, get_answer),
        Route(f"{IMAGES_PREFIX}{{name}}", get_answer),
        *(Route(path, post, methods=["POST"]) for path in POST_PATHS),
    ]


async def _pass_on(request: Request, worker: Worker, control: LoopControl) -> Response:
    path = request.scope["path"]
    body = await read_body(request, MAX_UPLOAD if path == UPLOAD_PATH else MAX_BODY)
    question = ApiRequest(
        "POST",
        path,
        request.headers.get("content-type", ""),
        query=request.scope["query_string"].decode("latin-1"),
    )
    head, content = await worker.answer(question, body)
    if head.status in (500, 507):
        logger.warning("teaching: %s", json.loads(content)["error"])
    if head.status == 200 and path in (LIVE_PATH, BACK_PATH):
        problem = await _use_taught(control)
        if problem and path == LIVE_PATH:
            await worker.answer(ApiRequest("POST", BACK_PATH), b"{}")
        if problem:
            return error_response(path, 409, f"the bundle stays as it was: {problem}")
    return _respond(head, content, control)


async def _use_taught(control: LoopControl) -> str:
    """Have the live loop use what is live in the folder now; return why it does not, or ""."""
    count = control.state.taught_changes
    control.use_taught()
    try:
        async with asyncio.timeout(LIVE_SECONDS):
            while control.state.taught_changes == count:
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        return f"the live loop did not answer within {LIVE_SECONDS:.0f} s"
    return control.state.taught_problem


def _respond(head: ApiAnswer, content: bytes, control: LoopControl) -> Response:
    """Return an answer; a state with the bundle that the live loop has."""
    headers = {}
    if head.media_type == "image/jpeg":
        headers["Cache-Control"] = f"private, max-age={THUMBNAIL_SECONDS}, immutable"
    elif head.status == 200:
        state = control.state
        bundle = {"name": state.name, "is_taught": state.is_taught, "classes": len(state.labels)}
        content = json.dumps(json.loads(content) | {"bundle": bundle}).encode()
    return Response(content, head.status, headers, head.media_type)
