"""Errors as responses, in the form that the client of an address expects."""

from collections.abc import Mapping

from starlette.responses import Response

from .api.error_forms import error_form


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
    body, media_type = error_form(path, status, message)
    return Response(body, status, headers, media_type)
