"""The application behind the guard: routes, what is answered elsewhere, and the metrics."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.applications import Starlette
from starlette.convertors import CONVERTOR_TYPES, IntegerConvertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from .errors import error_response
from .live.metrics import MetricsSource, exposition


class ShortInteger(IntegerConvertor):
    """A number in an address that fits into 64 bits; Python reads none of 4,300 digits."""

    regex = "[0-9]{1,18}"


# Routes are made by functions that run later than this.
CONVERTOR_TYPES["int"] = ShortInteger()


def create_app(
    routes: Sequence[Route], metrics: Callable[[], MetricsSource] | None = None
) -> Starlette:
    """Return the application with these routes, and those that every server has.

    Args:
        routes: The routes.
        metrics: Returns where the figures of /metrics come from; None: the routes have them.
    """

    async def get_health(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def get_metrics(request: Request) -> Response:
        assert metrics is not None
        try:
            # The board's figures may take a while.
            body, media_type = await asyncio.to_thread(exposition, metrics())
        except ImportError:
            message = "this needs prometheus-client; pip install 'picaption[metrics]'"
            return error_response("/metrics", 501, message)
        return Response(body, headers={"Content-Type": media_type})

    own = [Route("/healthz", get_health)]
    if metrics is not None:
        own.append(Route("/metrics", get_metrics))
    return Starlette(
        routes=[*routes, *own],
        exception_handlers={HTTPException: _refuse},
    )


async def _refuse(request: Request, error: Exception) -> Response:
    """Return what is answered where no route takes the path, or none the method."""
    assert isinstance(error, HTTPException)
    path = request.scope["path"]
    headers = dict(error.headers or {})
    message = f"there is nothing at {path}"
    if error.status_code == 405:
        # Starlette's order is that of a set.
        headers["Allow"] = ", ".join(sorted(headers["Allow"].split(", ")))
        message = f"only {headers['Allow']} is understood at {path}"
    return error_response(path, error.status_code, message, headers)
