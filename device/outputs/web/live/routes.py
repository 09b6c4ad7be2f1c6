"""The addresses of a live run, for programs: its state, a snapshot, and whether it is well."""

from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ..errors import error_response
from ..view import Views, find_view
from .newest import MAX_SIDE, MIN_SIDE


@dataclass(frozen=True)
class SnapshotOptions:
    """What a request wants of a snapshot.

    Attributes:
        has_overlay: Whether caption, classes and tags are drawn into it.
        width: Its pixels across; 0: as many as it has.
    """

    has_overlay: bool = False
    width: int = 0


def live_routes(views: Views) -> list[Route]:
    """Return the routes that a live run has, of one camera or several."""

    async def get_state(request: Request) -> Response:
        view = find_view(views, request)
        if isinstance(view, Response):
            return view
        state = view.newest.state()
        if state is None:
            return error_response("/state", 503, "there is no frame yet", {"Retry-After": "1"})
        return JSONResponse(state)

    async def get_snapshot(request: Request) -> Response:
        path = request.scope["path"]
        try:
            options = parse_options(request)
        except ValueError as error:
            return error_response(path, 400, str(error))
        view = find_view(views, request)
        if isinstance(view, Response):
            return view
        problem = view.newest.problem()
        image = view.newest.snapshot(options.has_overlay, options.width)
        if problem or image is None:
            return error_response(path, 503, f"no snapshot: {problem}", {"Retry-After": "1"})
        headers = {} if view.name is None else {"X-Camera": quote(view.name)}
        return Response(image, media_type="image/jpeg", headers=headers)

    async def get_readiness(request: Request) -> Response:
        problems = [view.newest.problem() for view in views.values()]
        # One camera that gives frames is reason enough not to start all of them again.
        if all(problems):
            return error_response("/readyz", 503, str(problems[0]), {"Retry-After": "1"})
        return JSONResponse({"ready": True})

    return [
        Route("/state", get_state),
        Route("/snapshot.jpg", get_snapshot),
        Route("/readyz", get_readiness),
    ]


def parse_options(request: Request) -> SnapshotOptions:
    """Return what a request's query says of a snapshot.

    Raises:
        ValueError: It says what cannot be.
    """
    overlay = request.query_params.get("overlay", "0")
    if overlay not in ("0", "1"):
        raise ValueError("overlay is 0 or 1")
    width = request.query_params.get("width", "")
    if not width:
        return SnapshotOptions(overlay == "1")
    is_number = width.isascii() and width.isdigit() and len(width) <= len(str(MAX_SIDE))
    if not is_number or not MIN_SIDE <= int(width) <= MAX_SIDE:
        raise ValueError(f"width is a number of pixels from {MIN_SIDE} to {MAX_SIDE}")
    return SnapshotOptions(overlay == "1", int(width))
