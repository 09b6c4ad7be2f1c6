"""The addresses of the operators' page: itself, what it shows, and the devices' pictures."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ..outputs.web.pages.page import read_part
from .forms import exposition, json_fields, summary_line
from .rollout.ledger import Ledger
from .rollout.manifest import Manifest
from .watch import Device

#: Earlier roll-outs that the page lists at most.
MAX_HISTORY = 20
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def fleet_routes(ledger: Ledger, page: str, problem: Callable[[], str]) -> list[Route]:
    """Return the routes of the operators' page.

    Args:
        ledger: What devices say, and what is rolled out; another thread fills it.
        page: The page, as HTML.
        problem: Returns what is wrong with the broker; empty: nothing.
    """

    async def get_page(request: Request) -> Response:
        return Response(page, media_type="text/html")

    async def get_icon(request: Request) -> Response:
        return Response(read_part("favicon.svg"), media_type="image/svg+xml")

    async def get_fleet(request: Request) -> Response:
        return await asyncio.to_thread(_fleet_response, ledger, problem())

    async def get_thumbnail(request: Request) -> Response:
        thumbnail = ledger.watch.thumbnails.get(request.path_params["name"])
        if thumbnail is None:
            return PlainTextResponse("no such picture\n", 404)
        return Response(thumbnail.content, media_type="image/jpeg")

    async def get_metrics(request: Request) -> Response:
        try:
            text = await asyncio.to_thread(exposition, ledger.watch.devices)
        except ImportError:
            message = "this needs prometheus-client; pip install 'picaption[metrics]'\n"
            return PlainTextResponse(message, 501)
        return Response(text, media_type=METRICS_TYPE)

    return [
        Route("/", get_page),
        Route("/favicon.svg", get_icon),
        Route("/fleet.json", get_fleet),
        Route("/pictures/{name}.jpg", get_thumbnail),
        Route("/metrics", get_metrics),
    ]


def _fleet_response(ledger: Ledger, problem: str) -> Response:
    """Return what the page shows; of a large fleet it takes a while."""
    devices = ledger.watch.devices
    versions = {
        name: thumbnail.version for name, thumbnail in list(ledger.watch.thumbnails.items())
    }
    history = ledger.history()
    current = ledger.current
    earlier = [manifest for manifest in reversed(history) if manifest != current]
    return JSONResponse(
        {
            "problem": problem,
            "summary": summary_line(devices),
            "devices": [
                json_fields(device) | {"picture": versions.get(device.name)} for device in devices
            ],
            "rollout": _current_json(current, devices) if current else None,
            "history": [_manifest_json(manifest) for manifest in earlier[:MAX_HISTORY]],
        }
    )


def _current_json(manifest: Manifest, devices: Sequence[Device]) -> dict[str, Any]:
    statuses = [device.status for device in devices]
    counts = Counter(status.rollout_state for status in statuses if status.rollout == manifest.id)
    return _manifest_json(manifest) | {"counts": dict(counts)}


def _manifest_json(manifest: Manifest) -> dict[str, Any]:
    return {
        "id": manifest.id,
        "label": manifest.label,
        "artifact": manifest.artifact,
        "state": manifest.state,
        "share": manifest.share,
        "note": manifest.note,
        "begun": manifest.begun,
    }
