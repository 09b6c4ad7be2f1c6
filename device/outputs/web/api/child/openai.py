"""OpenAI's chat completions and responses, answered with what a picture shows."""

import json
import time
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..exchange import ApiError
from .fields import objects, optional, required
from .questions import MODEL, Question, Service, check_model, split_words
from .uploads import decode_url

JSON_TYPE = "application/json"
EVENTS_TYPE = "text/event-stream"

#: What the parts of a message are called: in chat completions and in responses.
_TEXT_PARTS = ("text", "input_text")
_IMAGE_PARTS = ("image_url", "input_image")


def list_models(created: int) -> dict[str, Any]:
    """Return the models that there are, `created` at that time in seconds since the epoch."""
    return {"object": "list", "data": [describe_model(created)]}


def describe_model(created: int) -> dict[str, Any]:
    """Return the model as a client reads it."""
    return {"id": MODEL, "object": "model", "created": created, "owned_by": "picaption"}


def complete_chat(values: dict[str, Any], service: Service) -> tuple[str, str]:
    """Answer POST /v1/chat/completions.

    Args:
        values: The request's JSON.
        service: What answers.

    Returns:
        The body and its media type: JSON, or server-sent events for a stream.

    Raises:
        ApiError: The request is refused.
    """
    check_model(required(values, "model", str))
    if optional(values, "n", int, 1) != 1:
        raise ApiError(400, "n: there is one answer only")
    messages = objects(required(values, "messages", list), "messages")
    if not messages:
        raise ApiError(400, "messages is empty")
    form = optional(values, "response_format", dict, {})
    schema = optional(optional(form, "json_schema", dict, {}), "schema", dict, {})
    question = _read_messages(messages, form, schema)
    is_stream = optional(values, "stream", bool, False)
    stream_options = optional(values, "stream_options", dict, {})
    text = service.answer(question)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
    usage = _usage(question.prompt, text, "prompt_tokens", "completion_tokens")
    if is_stream:
        with_usage = optional(stream_options, "include_usage", bool, False)
        return _stream(head, text, usage if with_usage else None), EVENTS_TYPE
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": None,
        "finish_reason": "stop",
    }
    answer = head | {"object": "chat.completion", "choices": [choice], "usage": usage}
    return json.dumps(answer), JSON_TYPE


def create_response(values: dict[str, Any], service: Service) -> tuple[str, str]:
    """Answer POST /v1/responses; the arguments are those of `complete_chat`."""
    check_model(required(values, "model", str))
    if optional(values, "stream", bool, False):
        raise ApiError(400, "stream: responses come at once; use /v1/chat/completions for a stream")
    messages = values.get("input")
    if isinstance(messages, str):
        messages = [{"role": "user", "content": messages}]
    if not isinstance(messages, list) or not messages:
        raise ApiError(400, "input is no text and no list of messages")
    form = optional(optional(values, "text", dict, {}), "format", dict, {})
    schema = optional(form, "schema", dict, {})
    question = _read_messages(objects(messages, "input"), form, schema)
    text = service.answer(question)
    part = {"type": "output_text", "text": text, "annotations": []}
    message = {
        "type": "message",
        "id": f"msg_{uuid.uuid4().hex}",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }
    usage = _usage(question.prompt, text, "input_tokens", "output_tokens")
    answer = {
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
        "usage": usage
        | {
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        },
    }
    return json.dumps(answer), JSON_TYPE


def _read_messages(
    messages: list[dict[str, Any]], form: dict[str, Any], schema: dict[str, Any]
) -> Question:
    """Return the question that the messages since the last answer ask."""
    form_type = optional(form, "type", str, "text")
    if form_type not in ("text", "json_object", "json_schema"):
        raise ApiError(400, "response_format: its type is text, json_object or json_schema")
    if form_type == "json_schema" and not schema:
        raise ApiError(400, "response_format: json_schema has no schema")
    turns: list[list[tuple[str, list[Any]]]] = [[]]
    for message in messages:
        role = required(message, "role", str)
        if role == "assistant":
            turns.append([])
        elif role == "user":
            turns[-1].append(_read_parts(message))
    asked = turns[-1]
    prompt = asked[-1][0] if asked else ""
    with_images = [turn for turn in turns if any(urls for _, urls in turn)]
    urls = [url for _, urls in (with_images or [[]])[-1] for url in urls]
    return Question(
        prompt,
        decode_all(urls),
        form_type != "text",
        schema if form_type == "json_schema" else None,
    )


def decode_all(urls: Sequence[Any]) -> list[np.ndarray]:
    """Return the images of data URLs, uint8 RGB [height, width, 3] each."""
    return [decode_url(url) for url in urls]


def _read_parts(message: dict[str, Any]) -> tuple[str, list[Any]]:
    """Return a message's text and the addresses of its pictures."""
    content = message.get("content")
    if content is None:
        return "", []
    if isinstance(content, str):
        return content, []
    if not isinstance(content, list):
        raise ApiError(400, "a message's content is no text and no list")
    texts = []
    urls = []
    for part in objects(content, "a message's content"):
        part_type = required(part, "type", str)
        if part_type in _TEXT_PARTS:
            texts.append(required(part, "text", str))
        elif part_type in _IMAGE_PARTS:
            url = part.get("image_url")
            urls.append(url.get("url") if isinstance(url, dict) else url)
        else:
            raise ApiError(
                400,
                f"a part of a message is of type {part_type[:40]!r}: text and "
                "image_url are understood",
            )
    return "\n".join(texts), urls


def _stream(head: dict[str, Any], text: str, usage: dict[str, Any] | None) -> str:
    """Return a text as the server-sent events of a stream."""
    head = head | {"object": "chat.completion.chunk"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in split_words(text)]
    chunks: list[dict[str, Any]] = [
        head | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
        for delta in deltas
    ]
    chunks.append(head | {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    if usage:
        chunks.append(head | {"choices": [], "usage": usage})
    events = [json.dumps(chunk) for chunk in chunks] + ["[DONE]"]
    return "".join(f"data: {event}\n\n" for event in events)


def _usage(prompt: str, text: str, input_name: str, output_name: str) -> dict[str, Any]:
    """Return the counts that clients add up; words, since there are no tokens here."""
    counts = (len(prompt.split()), len(text.split()))
    return {input_name: counts[0], output_name: counts[1], "total_tokens": sum(counts)}
