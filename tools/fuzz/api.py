"""What programs ask over HTTP: JSON, forms and pictures, as the process that answers reads them."""

import base64
import json
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from picaption.device.errors import PicaptionError
from picaption.device.images import encode_image
from picaption.device.outputs.web.api.child.dispatch import Dispatcher
from picaption.device.outputs.web.api.child.observer import Observer
from picaption.device.outputs.web.api.child.ollama import BundleFile
from picaption.device.outputs.web.api.child.questions import Service
from picaption.device.outputs.web.api.exchange import ApiRequest
from picaption.device.recognition.recognizer import Recognizer
from tests.device.fakes.model import StandInModel

from .kind import Kind
from .mutation import mutate_bytes, mutate_text

_IMAGE = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
_TEXT = base64.b64encode(encode_image(_IMAGE, ".jpg")).decode()
_FORM = "multipart/form-data; boundary=edge"
#: What takes the place of a value of another type.
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1e308, 10**30, "", "?", [], {}, [[]], {"type": "object"}),
    *("picaption", "data:image/jpeg;base64,", ["a"] * 40, {"$ref": "#"}, "Is there a cat?"),
)
_SCHEMA = {
    "type": "object",
    "properties": {
        "caption": {"type": "string"},
        "labels": {"type": "array", "items": {"type": "string"}},
        "cat_present": {"type": "boolean"},
    },
    "required": ["caption"],
}
_USER = {
    "role": "user",
    "content": [
        {"type": "text", "text": "Is there a cat?"},
        {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{_TEXT}"}},
    ],
}
_REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/v1/chat/completions", {"model": "picaption", "messages": [_USER], "stream": True}),
    (
        "/v1/chat/completions",
        {
            "model": "picaption",
            "messages": [_USER],
            "response_format": {"type": "json_schema", "json_schema": {"schema": _SCHEMA}},
        },
    ),
    ("/v1/responses", {"model": "picaption", "input": [_USER | {"content": "Hi"}]}),
    (
        "/v1/responses",
        {
            "model": "picaption",
            "input": [_USER | {"content": [{"type": "input_text", "text": "Hi"}]}],
            "text": {"format": {"type": "json_object"}},
            "stream": True,
        },
    ),
    ("/api/generate", {"model": "picaption", "prompt": "Hi", "images": [_TEXT], "format": "json"}),
    ("/api/generate", {"model": "picaption", "images": [_TEXT], "format": _SCHEMA}),
    ("/api/chat", {"model": "picaption", "messages": [{"role": "user", "images": [_TEXT]}]}),
    ("/api/show", {"model": "picaption"}),
)


@cache
def _dispatcher() -> Dispatcher:
    service = Service(Observer(Recognizer(StandInModel())))
    return Dispatcher(service, BundleFile("fuzz", 1, "", 0.0), "0")


def _use(path: str, content_type: str, body: bytes) -> None:
    """Hand over a request; an error of the client's, 4xx, is a refusal."""
    head, answer = _dispatcher().answer(ApiRequest("POST", path, content_type), body)
    if head.status >= 500:
        raise RuntimeError(f"{path}: {head.status}")
    if head.status >= 400:
        if head.media_type == "application/json":
            json.loads(answer)
        raise PicaptionError(answer.decode())


def _use_json(content: bytes, folder: Path) -> None:
    path, _, body = content.partition(b"\n")
    _use(path.decode(errors="replace"), "application/json", body)


def _use_picture(content: bytes, folder: Path) -> None:
    _use("/recognize", "", content)


def _use_form(content: bytes, folder: Path) -> None:
    _use("/recognize", _FORM, content)


def _json_seeds(folder: Path) -> list[bytes]:
    return [f"{path}\n{json.dumps(body)}".encode() for path, body in _REQUESTS]


def _picture_seeds(folder: Path) -> list[bytes]:
    return [encode_image(_IMAGE, suffix) for suffix in (".jpg", ".png", ".webp")]


def _form_seeds(folder: Path) -> list[bytes]:
    head = b'--edge\r\nContent-Disposition: form-data; name="file"; filename="a.jpg"\r\n\r\n'
    return [head + image + b"\r\n--edge--\r\n" for image in _picture_seeds(folder)]


def _mutate_json(seed: bytes, random: Random) -> bytes:
    """Return a request with a value of another type or, as often, with other letters."""
    path, _, body = seed.partition(b"\n")
    if random.random() < 0.5:
        return path + b"\n" + random.choice((mutate_text, mutate_bytes))(body, random)
    value = json.loads(body)
    container, entry = random.choice(list(_entries(value)))
    container[entry] = random.choice(_VALUES)
    return path + b"\n" + json.dumps(value).encode()


def _entries(value: Any) -> Any:
    """Yield every entry of a JSON value at any depth: what holds it, and its name or index."""
    entries = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
    for name, part in entries:
        yield value, name
        if isinstance(part, dict | list):
            yield from _entries(part)


KINDS = (
    Kind("api-json", _json_seeds, _use_json, _mutate_json),
    Kind("api-pictures", _picture_seeds, _use_picture, mutate_bytes),
    Kind("api-forms", _form_seeds, _use_form, mutate_bytes),
)
