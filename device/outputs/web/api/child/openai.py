"""OpenAI's chat completions, answered with what a picture shows, and what responses share."""

import json
import time
import uuid
from typing import Any

from ..exchange import ApiError
from .conversation import Message, last_question
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
    question = read_question(messages, form, schema)
    is_stream = optional(values, "stream", bool, False)
    stream_options = optional(values, "stream_options", dict, {})
    text = service.answer(question)
    head = {"id": f"chatcmpl-{uuid.uuid4().hex}", "created": int(time.time()), "model": MODEL}
    usage = word_counts(question.prompt, text, "prompt_tokens", "completion_tokens")
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


def read_question(
    messages: list[dict[str, Any]], form: dict[str, Any], schema: dict[str, Any]
) -> Question:
    """Return the question that messages ask at their end.

    Args:
        messages: Of a chat, or the input of a response.
        form: What the client wants the answer to be; its `type` is that of a `response_format`.
        schema: The JSON schema of the answer; empty: there is none.

    Raises:
        ApiError: A message or the form is malformed.
    """
    form_type = optional(form, "type", str, "text")
    if form_type not in ("text", "json_object", "json_schema"):
        raise ApiError(400, "response_format: its type is text, json_object or json_schema")
    if form_type == "json_schema" and not schema:
        raise ApiError(400, "response_format: json_schema has no schema")
    asked = last_question(messages, _read_parts)
    return Question(
        asked.text,
        [decode_url(url) for url in asked.images],
        form_type != "text",
        schema if form_type == "json_schema" else None,
    )


def _read_parts(message: dict[str, Any]) -> Message:
    """Return a message's text and the addresses of its pictures."""
    content = message.get("content")
    if content is None:
        return Message("", [])
    if isinstance(content, str):
        return Message(content, [])
    if not isinstance(content, list):
        raise ApiError(400, "a message's content is neither text nor a list")
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
    return Message("\n".join(texts), urls)


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


def word_counts(prompt: str, text: str, input_name: str, output_name: str) -> dict[str, Any]:
    """Return the counts that clients add up: words, since there are no tokens here.

    Args:
        prompt: What was asked.
        text: The answer.
        input_name: What the client calls the count of the prompt.
        output_name: What it calls that of the answer.
    """
    counts = (len(prompt.split()), len(text.split()))
    return {input_name: counts[0], output_name: counts[1], "total_tokens": sum(counts)}
