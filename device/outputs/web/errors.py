"""Errors in the form that the client of an address expects: text, JSON, OpenAI's or Ollama's."""

from collections.abc import Mapping

from starlette.responses import JSONResponse, PlainTextResponse, Response

#: How the addresses begin that OpenAI's and Ollama's clients ask.
OPENAI_PREFIX = "/v1/"
OLLAMA_PREFIX = "/api/"
#: Other addresses whose answers are JSON.
JSON_PATHS = ("/state", "/recognize", "/readyz")

#: What OpenAI's `code` says of a status, where it says something.
_CODES = {401: "invalid_api_key", 404: "not_found", 429: "rate_limit_exceeded"}


def error_response(
    path: str, status: int, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an error in the form of its address.

    Args:
        path: The path that was asked for.
        status: The HTTP status, from 400 on.
        message: One line that says what is wrong.
        headers: Further headers.
    """
    if path.startswith(OPENAI_PREFIX):
        return JSONResponse(openai_error(status, message), status, headers)
    if path.startswith(OLLAMA_PREFIX) or path in JSON_PATHS:
        return JSONResponse({"error": message}, status, headers)
    return PlainTextResponse(f"{message}\n", status, headers)


def openai_error(status: int, message: str) -> dict[str, dict[str, str | None]]:
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
