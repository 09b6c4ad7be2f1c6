"""From a request to its answer: which function answers which address."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .....log import one_line
from ..error_forms import error_form
from ..exchange import MODEL_PREFIX, ApiAnswer, ApiError, ApiRequest
from . import ollama, openai, responses
from .fields import parse_body
from .ollama import BundleFile
from .questions import NeedsFrameError, Service, check_model
from .uploads import decode_upload, extract_upload

JSON_TYPE = "application/json"

#: Answers JSON with a body and its media type.
Answering = Callable[[dict[str, Any], Service], tuple[str, str]]

_ANSWERS: dict[str, Answering] = {
    "/v1/chat/completions": openai.complete_chat,
    "/v1/responses": responses.create_response,
    "/api/generate": ollama.generate,
    "/api/chat": ollama.chat,
}


@dataclass(frozen=True)
class Dispatcher:
    """Answers requests one after the other.

    Attributes:
        service: What answers questions.
        bundle: The bundle's file.
        version: Of picaption.
    """

    service: Service
    bundle: BundleFile
    version: str

    def answer(self, request: ApiRequest, content: bytes) -> tuple[ApiAnswer, bytes]:
        """Return the answer to a request: its head, and its body.

        Args:
            request: The request's head.
            content: The live camera's frame, if there is one, and the body.
        """
        frame = content[: request.frame_bytes] or None
        body = content[request.frame_bytes :]
        service = replace(self.service, frame=frame, has_asked_frame=request.has_asked_frame)
        try:
            text, media_type = self._answer(request, body, service)
        except NeedsFrameError:
            return ApiAnswer(needs_frame=True), b""
        except ApiError as error:
            return refuse(request.path, error.status, str(error))
        return ApiAnswer(200, media_type), text.encode()

    def _answer(self, request: ApiRequest, body: bytes, service: Service) -> tuple[str, str]:
        path = request.path
        if path == "/recognize":
            image = decode_upload(extract_upload(body, request.content_type))
            recognition, _, _ = service.observer.recognize(image)
            return json.dumps(recognition.to_json()), JSON_TYPE
        if path in _ANSWERS:
            return _ANSWERS[path](parse_body(body), service)
        return json.dumps(self._describe(path, body)), JSON_TYPE

    def _describe(self, path: str, body: bytes) -> dict[str, Any]:
        """Return what an address tells of the model and the program."""
        created = int(self.bundle.changed)
        if path == "/v1/models":
            return openai.list_models(created)
        if path.startswith(MODEL_PREFIX):
            check_model(path.removeprefix(MODEL_PREFIX))
            return openai.describe_model(created)
        if path in ("/api/tags", "/api/ps"):
            return ollama.list_tags(self.bundle)
        if path == "/api/show":
            return ollama.show_model(parse_body(body), self.bundle)
        if path == "/api/version":
            return {"version": self.version}
        raise ApiError(404, f"there is nothing at {path}")


def refuse(path: str, status: int, message: str) -> tuple[ApiAnswer, bytes]:
    """Return the answer that refuses a request: its head, and its body."""
    body, media_type = error_form(path, status, one_line(message))
    return ApiAnswer(status, media_type), body
