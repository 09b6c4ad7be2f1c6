"""The addresses of the API: a request's body is read within bounds, and passed on to the worker."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..errors import error_response
from .exchange import API_PATHS, MODEL_PREFIX, ApiRequest
from .worker import BusyError, UnavailableError, Worker

#: Bytes of a body at most: 24 MB of pictures in base64.
MAX_BODY = 32 << 20
#: How long a body may take.
BODY_SECONDS = 20.0
#: How long the body of a request that is refused is read.
DISCARD_SECONDS = 2.0


class BodyError(Exception):
    """A body that is not taken.

    Args:
        status: The HTTP status that says so.
        message: One line that says why.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def api_routes(worker: Worker, on_answer: Callable[[str, int], None]) -> list[Route]:
    """Return the routes of the API.

    Args:
        worker: What answers.
        on_answer: Called with the path and the status of every answer.
    """

    async def endpoint(request: Request) -> Response:
        response = await _respond(request, worker)
        on_answer(request.scope["route"].path, response.status_code)
        return response

    routes = [Route(path, endpoint, methods=list(methods)) for path, methods in API_PATHS.items()]
    return [*routes, Route(f"{MODEL_PREFIX}{{model}}", endpoint)]


def index_routes() -> list[Route]:
    """Return the routes of a server without a camera: what there is to ask, and that it is well."""

    async def get_index(request: Request) -> Response:
        lines = [f"{' or '.join(methods)} {path}" for path, methods in API_PATHS.items()]
        text = "\n".join(["picaption answers at:", *lines, "GET /healthz", "GET /metrics", ""])
        return PlainTextResponse(text)

    async def get_readiness(request: Request) -> Response:
        return JSONResponse({"ready": True})

    return [Route("/", get_index), Route("/readyz", get_readiness)]


async def _respond(request: Request, worker: Worker) -> Response:
    path = request.scope["path"]
    try:
        with worker.reserve():
            body = await read_body(request)
            head, content = await worker.answer(
                ApiRequest(request.method, path, request.headers.get("content-type", "")), body
            )
    except BusyError:
        await discard_body(request)
        return error_response(
            path, 429, "too many requests at once; try again", {"Retry-After": "1"}
        )
    except BodyError as error:
        return error_response(path, error.status, str(error))
    except UnavailableError as error:
        return error_response(path, 503, str(error), {"Retry-After": "5"})
    except ClientDisconnect:
        return error_response(path, 400, "the body is cut short")
    return Response(content, head.status, media_type=head.media_type)


async def discard_body(request: Request) -> None:
    """Read what a client is still sending: it would not see the answer else."""
    with suppress(BodyError, ClientDisconnect):
        await read_body(request, 0, DISCARD_SECONDS)


async def read_body(
    request: Request, max_bytes: int = MAX_BODY, seconds: float = BODY_SECONDS
) -> bytes:
    """Return a request's body.

    One that is too large is read to its end all the same, and not kept: a client that is still
    sending would not see the answer.

    Args:
        request: The request.
        max_bytes: How much of it is taken.
        seconds: How long it may take.

    Raises:
        BodyError: It is too large or too slow.
        ClientDisconnect: The client has gone.
    """
    body = bytearray()
    is_large = False
    try:
        async with asyncio.timeout(seconds):
            async for chunk in request.stream():
                is_large = is_large or len(body) + len(chunk) > max_bytes
                if is_large:
                    body.clear()
                else:
                    body += chunk
    except TimeoutError:
        if not is_large:
            raise BodyError(408, f"the body takes longer than {seconds:.0f} s") from None
    if is_large:
        raise BodyError(413, f"the body is larger than {max_bytes >> 20} MB")
    return bytes(body)
