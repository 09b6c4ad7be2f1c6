"""Ollama's generate and chat, answered with what a picture shows."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..exchange import ApiError
from .conversation import Message, last_question
from .fields import objects, optional, required
from .questions import MODEL, Question, Service, check_model, split_words
from .uploads import decode_base64

JSON_TYPE = "application/json"
LINES_TYPE = "application/x-ndjson"

#: What Ollama's own list calls it.
TAG = f"{MODEL}:latest"


@dataclass(frozen=True)
class BundleFile:
    """The bundle behind the model.

    Attributes:
        name: What the bundle is called.
        size: Bytes of its file.
        digest: The SHA-256 of that, in hexadecimal digits.
        changed: When the file was changed, in seconds since the epoch.
    """

    name: str
    size: int
    digest: str
    changed: float


def list_tags(bundle: BundleFile) -> dict[str, Any]:
    """Return the models that there are, for GET /api/tags and /api/ps."""
    model = {
        "name": TAG,
        "model": TAG,
        "modified_at": _time_text(bundle.changed),
        "size": bundle.size,
        "digest": bundle.digest,
        "details": _details(bundle),
    }
    return {"models": [model]}


def show_model(values: dict[str, Any], bundle: BundleFile) -> dict[str, Any]:
    """Return what POST /api/show tells of the model."""
    check_model(optional(values, "model", str, "") or required(values, "name", str))
    return {
        "license": "",
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(bundle),
        "model_info": {"general.architecture": "picaption", "general.name": bundle.name},
        "capabilities": ["completion", "vision"],
        "modified_at": _time_text(bundle.changed),
    }


def generate(values: dict[str, Any], service: Service) -> tuple[str, str]:
    """Answer POST /api/generate.

    Args:
        values: The request's JSON.
        service: What answers.

    Returns:
        The body and its media type: JSON, or lines of JSON for a stream.

    Raises:
        ApiError: The request is refused.
    """
    start = time.perf_counter()
    check_model(required(values, "model", str))
    prompt = optional(values, "prompt", str, "")
    images = optional(values, "images", list, [])
    is_stream = optional(values, "stream", bool, True)
    question = _question(prompt, images, values)
    if not prompt and not images:
        return _reply("response", "", start, is_stream, "load")
    return _reply("response", service.answer(question), start, is_stream)


def chat(values: dict[str, Any], service: Service) -> tuple[str, str]:
    """Answer POST /api/chat; the arguments are those of `generate`."""
    start = time.perf_counter()
    check_model(required(values, "model", str))
    messages = objects(optional(values, "messages", list, []), "messages")
    is_stream = optional(values, "stream", bool, True)
    asked = last_question(messages, _read_message)
    question = _question(asked.text, asked.images, values)
    if not messages:
        return _reply("message", "", start, is_stream, "load")
    return _reply("message", service.answer(question), start, is_stream)


def _read_message(message: dict[str, Any]) -> Message:
    return Message(optional(message, "content", str, ""), optional(message, "images", list, []))


def _question(prompt: str, images: Sequence[Any], values: dict[str, Any]) -> Question:
    form = values.get("format")
    if form is not None and not isinstance(form, dict) and form not in ("", "json"):
        raise ApiError(400, 'format is neither "json" nor a JSON schema')
    return Question(
        prompt,
        [decode_base64(image) for image in images],
        bool(form),
        form if isinstance(form, dict) and form else None,
    )


def _reply(
    field: str, text: str, start: float, is_stream: bool, reason: str = "stop"
) -> tuple[str, str]:
    """Return an answer as one object, or as lines with a word each.

    Args:
        field: Where its text stands: "response" or "message".
        text: The answer.
        start: When the request came, on the clock of performance.
        is_stream: Whether the client reads lines.
        reason: Why the answer ends: "stop", or "load" where nothing was asked.
    """
    head = {"model": TAG, "created_at": _time_text(time.time())}

    def content(words: str) -> dict[str, Any]:
        if field == "message":
            return {"message": {"role": "assistant", "content": words}}
        return {"response": words}

    duration = int((time.perf_counter() - start) * 1e9)
    ending = {
        "done": True,
        "done_reason": reason,
        "total_duration": duration,
        "load_duration": 0,
        "prompt_eval_count": 0,
        "prompt_eval_duration": 0,
        "eval_count": len(text.split()),
        "eval_duration": duration,
    }
    if not is_stream:
        return json.dumps(head | content(text) | ending), JSON_TYPE
    lines = [head | content(word) | {"done": False} for word in split_words(text) if word]
    lines.append(head | content("") | ending)
    return "".join(f"{json.dumps(line)}\n" for line in lines), LINES_TYPE


def _details(bundle: BundleFile) -> dict[str, Any]:
    return {
        "parent_model": "",
        "format": "tflite",
        "family": "picaption",
        "families": ["picaption"],
        "parameter_size": "",
        "quantization_level": "INT8",
    }


def _time_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")
