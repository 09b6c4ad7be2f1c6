"""docs/reference/openapi.json is valid, lists the very routes that exist, and describes answers."""

import base64
import http.client
import json
import re
from contextlib import closing
from pathlib import Path

import pytest

pytest.importorskip("openapi_spec_validator")

import jsonschema
from openapi_spec_validator import validate

from picaption.device.images import encode_image
from picaption.device.outputs.control import LoopControl
from picaption.device.outputs.web.api.exchange import ChildSettings
from picaption.device.outputs.web.api.routes import api_routes
from picaption.device.outputs.web.api.worker import Worker
from picaption.device.outputs.web.app import create_app
from picaption.device.outputs.web.history.routes import history_routes
from picaption.device.outputs.web.live.routes import live_routes
from picaption.device.outputs.web.pages.page import Page
from picaption.device.outputs.web.routes import page_routes
from picaption.device.outputs.web.server import WebServer
from picaption.device.outputs.web.teach.routes import teach_routes
from picaption.device.outputs.web.view import CameraView
from tests.device.fakes.histories import make_history
from tests.device.fakes.standins import FRAME, recognized
from tests.device.fakes.web_client import TOKEN, port_of
from tests.tiny import TINY_BUNDLE

REFERENCE = Path(__file__).parents[4] / "docs/reference"
OPENAPI = json.loads((REFERENCE / "openapi.json").read_text(encoding="utf-8"))
RECOGNITION = json.loads((REFERENCE / "recognition.schema.json").read_text(encoding="utf-8"))
IMAGE = base64.b64encode(encode_image(FRAME, ".jpg")).decode()
CHAT = {
    "model": "picaption",
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is it?"},
                {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{IMAGE}"}},
            ],
        }
    ],
}
OLLAMA = {"model": "picaption", "stream": False}

#: What is asked: the path there, the path in the file, and the body.
REQUESTS = [
    ("/state", None, None),
    ("/readyz", None, None),
    ("/cameras.json", None, None),
    ("/recognize", None, encode_image(FRAME, ".jpg")),
    ("/recognize", None, b"hello"),
    ("/v1/chat/completions", None, CHAT),
    ("/v1/chat/completions", None, CHAT | {"model": "gpt-4o"}),
    ("/v1/chat/completions", None, {}),
    ("/v1/responses", None, {"model": "picaption", "input": "Hi"}),
    ("/v1/models", None, None),
    ("/v1/models/picaption", "/v1/models/{model}", None),
    ("/v1/models/gpt-4o", "/v1/models/{model}", None),
    ("/api/generate", None, OLLAMA | {"prompt": "Hi", "images": [IMAGE]}),
    ("/api/generate", None, OLLAMA | {"images": ["?"]}),
    ("/api/chat", None, OLLAMA | {"messages": [{"role": "user", "content": "Hi"}]}),
    ("/api/show", None, {"model": "picaption"}),
    ("/api/tags", None, None),
    ("/api/ps", None, None),
    ("/api/version", None, None),
    ("/history/scenes.json", None, None),
    ("/history/search.json?q=cat", "/history/search.json", None),
    ("/history/search.json", None, None),
    ("/history/scenes.json?limit=0", "/history/scenes.json", None),
    ("/history/days.json?until=2026-11-28", "/history/days.json", None),
    ("/history/digest.json?day=2026-11-28", "/history/digest.json", None),
    ("/history/last-seen.json?since=2026-11-01", "/history/last-seen.json", None),
    ("/history/thumbnails/1.jpg", "/history/thumbnails/{number}.jpg", None),
    ("/history/export?format=xls", "/history/export", None),
    ("/history/delete", None, {"ids": [1]}),
    ("/history/delete", None, {"since": "2020-01-01", "until": 1.6e9}),
    ("/history/delete", None, {}),
]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """A server with a frame and a history."""
    path = make_history(tmp_path_factory.mktemp("history") / "history.db")
    server = WebServer("127.0.0.1", 0, TOKEN, "tiny", bundle=str(TINY_BUNDLE), history=str(path))
    server.write(recognized())
    yield server
    server.close()


def test_the_file_is_valid():
    validate(OPENAPI)


def test_it_has_the_routes_that_there_are():
    routes = [
        *page_routes({"": CameraView()}, ""),
        *live_routes({"": CameraView()}),
        *api_routes(Worker(ChildSettings()), lambda path, status: None),
        *teach_routes(Worker(ChildSettings()), LoopControl(), Page("", "")),
        *history_routes("history.db", Page("", "")),
    ]
    app = create_app(routes, lambda: None)
    there = {
        (re.sub(r":int}", "}", route.path), method)
        for route in app.routes
        for method in route.methods - {"HEAD"}
    }
    written = {(path, method.upper()) for path, item in OPENAPI["paths"].items() for method in item}
    assert there == written


def test_only_whether_it_is_there_needs_no_token():
    open_paths = [
        path
        for path, item in OPENAPI["paths"].items()
        for operation in item.values()
        if operation.get("security") == []
    ]
    assert open_paths == ["/healthz"]


@pytest.mark.parametrize(("path", "written", "body"), REQUESTS)
def test_answers_are_as_it_says(live, path, written, body):
    method = "GET" if body is None else "POST"
    data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(live), timeout=60)) as client:
        client.request(method, path, data, {"Authorization": f"Bearer {TOKEN}"})
        answer = client.getresponse()
        form = json.loads(answer.read())
    operation = OPENAPI["paths"][written or path][method.lower()]
    content = operation["responses"][str(answer.status)]["content"]
    schema = content[answer.headers["Content-Type"]]["schema"]
    jsonschema.validate(form, schema | {"components": OPENAPI["components"]})
    if path in ("/state", "/recognize") and answer.status == 200:
        jsonschema.validate(form, RECOGNITION)
    if isinstance(body, dict) and answer.status == 200:
        asked = operation["requestBody"]["content"]["application/json"]["schema"]
        jsonschema.validate(body, asked | {"components": OPENAPI["components"]})
