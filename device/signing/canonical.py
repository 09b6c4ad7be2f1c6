"""JSON that has one spelling only, so that no bit of a signed file can differ unnoticed."""

import base64
import binascii
import json
from typing import Any

from ..errors import PicaptionError
from ..parsing import MalformedError, parse_json


def canonical_bytes(value: Any) -> bytes:
    """Return a JSON value in its only spelling: names sorted, no spaces, ASCII, a line feed."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.encode("ascii") + b"\n"


def parse_canonical(data: bytes, description: str) -> dict[str, Any]:
    """Return the JSON object of bytes that canonical_bytes has made.

    Args:
        data: The bytes.
        description: What errors call them.

    Raises:
        PicaptionError: They are anything else.
    """
    try:
        value = parse_json(data)
        is_canonical = isinstance(value, dict) and canonical_bytes(value) == data
    except (MalformedError, ValueError, RecursionError):
        is_canonical = False
    if not is_canonical:
        raise PicaptionError(f"{description}: it is damaged or was altered; copy it again")
    return value


def encode_base64(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: Any, size: int) -> bytes | None:
    """Return so many bytes from base64 in its only spelling; None of anything else."""
    if not isinstance(text, str):
        return None
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) != size or encode_base64(data) != text:
        return None
    return data
