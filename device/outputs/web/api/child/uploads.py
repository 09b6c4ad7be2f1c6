"""Pictures in requests: a body by itself, a form's file, base64; JPEG, PNG or WebP."""

import base64
import binascii
import logging
import re
from typing import Any

import numpy as np
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from .....errors import PicaptionError
from .....images import decode_image
from ..exchange import ApiError

# It warns of every form that is broken.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

#: What a form calls its file, where it has no file name.
FIELD_NAMES = ("file", "image", "picture", "data")
#: Parts of a form at most.
MAX_PARTS = 20

_STARTS = (
    re.compile(rb"\xff\xd8\xff"),
    re.compile(rb"\x89PNG\r\n\x1a\n"),
    re.compile(rb"RIFF....WEBP", re.DOTALL),
)
_DATA_URL = re.compile(r"data:[^,]{0,200};base64,", re.IGNORECASE)
_SHOWN_CHARACTERS = 40


def decode_upload(data: bytes) -> np.ndarray:
    """Return the image of a file that was sent, uint8 RGB [height, width, 3].

    Raises:
        ApiError: It is no JPEG, PNG or WebP (415), or damaged (400), or too large (413).
    """
    if not data:
        raise ApiError(400, "the picture is empty; send a JPEG, PNG or WebP file")
    if not any(start.match(data) for start in _STARTS):
        raise ApiError(415, "the picture is not a JPEG, PNG or WebP file")
    try:
        return decode_image(data, "the picture")
    except PicaptionError as error:
        status = 413 if "scale it down" in str(error) else 400
        raise ApiError(status, str(error)) from None


def decode_base64(text: Any) -> np.ndarray:
    """Return the image of a file in base64, with or without a data URL around it.

    Raises:
        ApiError: It is none.
    """
    if not isinstance(text, str):
        raise ApiError(400, "a picture is a text in base64")
    prefix = _DATA_URL.match(text)
    if prefix:
        text = text[prefix.end() :]
    try:
        data = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise ApiError(400, "a picture is not valid base64") from None
    return decode_upload(data)


def decode_url(url: Any) -> np.ndarray:
    """Return the image of a data URL; no other address is opened.

    Raises:
        ApiError: It is none.
    """
    if not isinstance(url, str):
        raise ApiError(400, "the address of a picture is a text")
    if not _DATA_URL.match(url):
        shown = url[:_SHOWN_CHARACTERS]
        raise ApiError(
            400,
            f"{shown!r} is not a data URL: nothing is fetched; send the picture itself as "
            "data:image/jpeg;base64,...",
        )
    return decode_base64(url)


def extract_upload(body: bytes, content_type: str) -> bytes:
    """Return the file in a request's body: all of it, or the first file of a form.

    Args:
        body: The body.
        content_type: What the request's header says.

    Raises:
        ApiError: A form is broken, or has no file.
    """
    media_type, options = parse_options_header(content_type)
    if media_type != b"multipart/form-data":
        return body
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise ApiError(400, "the form has no boundary; send the picture as the body itself")
    form = _Form()
    try:
        parser = MultipartParser(boundary, form.callbacks())
        parser.write(body)
        parser.finalize()
    except (FormParserError, ValueError):
        raise ApiError(400, "the form is broken; send the picture as the body itself") from None
    if form.file is None:
        raise ApiError(400, "the form has no file; call it file")
    return bytes(form.file)


class _Form:
    """The first file among the parts of a form, as the parser finds them.

    Attributes:
        file: Its bytes; None: there is none.
    """

    def __init__(self) -> None:
        self.file: bytearray | None = None
        self._parts = 0
        self._header = b""
        self._value = b""
        self._disposition = b""
        self._is_in_file = False

    def callbacks(self) -> Any:
        """Return what a MultipartParser calls."""
        return {
            "on_part_begin": self._begin_part,
            "on_header_field": self._add_header,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._end_headers,
            "on_part_data": self._add_data,
            "on_part_end": self._end_part,
        }

    def _begin_part(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise ApiError(400, f"the form has more than {MAX_PARTS} parts")
        self._disposition = b""

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header = self._value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._disposition)
        name = options.get(b"name", b"").decode(errors="replace")
        if self.file is None and (b"filename" in options or name in FIELD_NAMES):
            self._is_in_file = True
            self.file = bytearray()

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_in_file and self.file is not None:
            self.file += data[start:end]

    def _end_part(self) -> None:
        self._is_in_file = False
