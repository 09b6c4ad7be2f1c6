"""Errors in the form that the client of an address expects: text, JSON, OpenAI's or Ollama's."""

import json
from typing import Any

#: How the addresses begin that OpenAI's and Ollama's clients ask.
OPENAI_PREFIX = "/v1/"
OLLAMA_PREFIX = "/api/"
#: Other addresses whose answers are JSON.
JSON_PATHS = ("/state", "/cameras.json", "/recognize", "/readyz")
JSON_PREFIXES = (OLLAMA_PREFIX, "/history/", "/teach/")

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"

#: What OpenAI's `code` says of a status, where it says something.
_CODES = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}


def error_form(path: str, status: int, message: str) -> tuple[bytes, str]:
    """Return the body of an error and its media type.

    Args:
        path: The path that was asked for.
        status: The HTTP status, from 400 on.
        message: One line that says what is wrong.
    """
    if path.startswith(OPENAI_PREFIX):
        return json.dumps(openai_error(status, message)).encode(), JSON_TYPE
    if path.startswith(JSON_PREFIXES) or path in JSON_PATHS:
        return json.dumps({"error": message}).encode(), JSON_TYPE
    return f"{message}\n".encode(errors="replace"), TEXT_TYPE


def openai_error(status: int, message: str) -> dict[str, Any]:
    """Return an error as OpenAI's clients read it."""
    error_type = "invalid_request_error"
    if status == 429:
        error_type = "rate_limit_error"
    elif status >= 500:
        error_type = "server_error"
    return {
        "error": {
            "message": message,
            "type": error_type,
            "param": None,
            "code": _CODES.get(status),
        }
    }
