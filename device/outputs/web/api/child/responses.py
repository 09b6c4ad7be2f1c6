"""OpenAI's responses, answered with what a picture shows: at once, or as a stream of events."""

import json
import time
import uuid
from collections.abc import Iterator
from typing import Any

from ..exchange import ApiError
from .fields import objects, optional, required
from .openai import EVENTS_TYPE, JSON_TYPE, read_question, word_counts
from .questions import MODEL, Service, check_model, split_words


def create_response(values: dict[str, Any], service: Service) -> tuple[str, str]:
    """Answer POST /v1/responses; arguments and result are those of `openai.complete_chat`."""
    check_model(required(values, "model", str))
    is_stream = optional(values, "stream", bool, False)
    messages = values.get("input")
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "input is neither text nor a list of messages")
    form = optional(optional(values, "text", dict, {}), "format", dict, {})
    schema = optional(form, "schema", dict, {})
    question = read_question(objects(messages, "input"), form, schema)
    text = service.answer(question)
    response = _response(question.prompt, text)
    if is_stream:
        return _stream(response, text), EVENTS_TYPE
    return json.dumps(response), JSON_TYPE


def _response(prompt: str, text: str) -> dict[str, Any]:
    """Return the complete response of a question and its answer."""
    message = {
        "type": "message",
        "id": f"msg_{uuid.uuid4().hex}",
        "status": "completed",
        "role": "assistant",
        "content": [_text_part(text)],
    }
    details = {
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {
        "id": f"resp_{uuid.uuid4().hex}",
        "object": "response",
        "created_at": int(time.time()),
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": MODEL,
        "output": [message],
        "parallel_tool_calls": False,
        "tool_choice": "none",
        "tools": [],
        "usage": word_counts(prompt, text, "input_tokens", "output_tokens") | details,
    }


def _text_part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "text": text, "annotations": []}


def _stream(response: dict[str, Any], text: str) -> str:
    """Return a complete response as the server-sent events of a stream."""
    events = enumerate(_events(response, text))
    return "".join(
        f"event: {event_type}\n"
        f"data: {json.dumps({'type': event_type, 'sequence_number': number} | fields)}\n\n"
        for number, (event_type, fields) in events
    )


def _events(response: dict[str, Any], text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the types and fields of the events by which a response grows, a word each."""
    begun = response | {"status": "in_progress", "output": [], "usage": None}
    (message,) = response["output"]
    item = {"output_index": 0}
    part = item | {"item_id": message["id"], "content_index": 0}
    yield "response.created", {"response": begun}
    yield "response.in_progress", {"response": begun}
    empty_message = message | {"status": "in_progress", "content": []}
    yield "response.output_item.added", item | {"item": empty_message}
    yield "response.content_part.added", part | {"part": _text_part("")}
    for word in split_words(text):
        yield "response.output_text.delta", part | {"delta": word, "logprobs": []}
    yield "response.output_text.done", part | {"text": text, "logprobs": []}
    yield "response.content_part.done", part | {"part": _text_part(text)}
    yield "response.output_item.done", item | {"item": message}
    yield "response.completed", {"response": response}
