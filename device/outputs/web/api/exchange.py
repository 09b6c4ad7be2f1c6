"""How the server and its child talk: a head in JSON and bytes, each with its length before it."""

import json
import struct
from asyncio import StreamReader
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO

from ....errors import PicaptionError

#: The addresses, and the methods that each understands; /v1/models/NAME beside them.
API_PATHS = {
    "/recognize": ("POST",),
    "/v1/chat/completions": ("POST",),
    "/v1/responses": ("POST",),
    "/v1/models": ("GET", "HEAD"),
    "/api/generate": ("POST",),
    "/api/chat": ("POST",),
    "/api/show": ("POST",),
    "/api/tags": ("GET", "HEAD"),
    "/api/ps": ("GET", "HEAD"),
    "/api/version": ("GET", "HEAD"),
}
MODEL_PREFIX = "/v1/models/"
#: The lengths of head and body, in front of both.
LENGTHS = struct.Struct(">II")


@dataclass(frozen=True)
class ApiRequest:
    """What a client asks.

    Attributes:
        method: Of HTTP.
        path: The path, without the query.
        content_type: What the header of that name says; empty if there is none.
        frame_bytes: How many bytes of what follows are the live camera's newest frame, a JPEG; the
            rest is the body. 0: none was asked for, or there is none.
        has_asked_frame: Whether the server was asked for that frame.
        query: What stands behind the path.
    """

    method: str
    path: str
    content_type: str = ""
    frame_bytes: int = 0
    has_asked_frame: bool = False
    query: str = ""


@dataclass(frozen=True)
class ApiAnswer:
    """What a client is answered.

    Attributes:
        status: Of HTTP.
        media_type: What the body is.
        needs_frame: Whether there is no answer without the live camera's newest frame.
    """

    status: int = 200
    media_type: str = "application/json"
    needs_frame: bool = False


@dataclass(frozen=True)
class ChildSettings:
    """What the server tells its child first.

    Attributes:
        bundle: The bundle's path; empty: the shipped one.
        threads: Threads to compute with; 0: as the runtime chooses.
        has_camera: Whether there is a live loop with a camera, which has the right of way.
        folder: The folder of class folders that is taught from; empty: none.
    """

    bundle: str = ""
    threads: int = 0
    has_camera: bool = False
    folder: str = ""


class ApiError(Exception):
    """A request that is refused.

    Args:
        status: Of HTTP, from 400 on.
        message: One line that says what is wrong with it.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def pack(
    head: ApiRequest | ApiAnswer | ChildSettings | dict[str, Any], *bodies: bytes
) -> list[bytes]:
    """Return a message as the parts that are written one after the other."""
    data = json.dumps(head if isinstance(head, dict) else asdict(head)).encode()
    return [LENGTHS.pack(len(data), sum(map(len, bodies))), data, *bodies]


def read_message(stream: BinaryIO) -> tuple[dict[str, Any], bytes] | None:
    """Return the next message's head and body; None at the end of the stream."""
    lengths = stream.read(LENGTHS.size)
    if len(lengths) < LENGTHS.size:
        return None
    head_length, body_length = LENGTHS.unpack(lengths)
    head = json.loads(stream.read(head_length))
    body = stream.read(body_length)
    if len(body) < body_length:
        raise PicaptionError("the server has gone in the middle of a message")
    return head, body


async def receive_message(reader: StreamReader) -> tuple[dict[str, Any], bytes]:
    """Return the next message's head and body.

    Raises:
        asyncio.IncompleteReadError: The other side has gone.
    """
    head_length, body_length = LENGTHS.unpack(await reader.readexactly(LENGTHS.size))
    head = json.loads(await reader.readexactly(head_length))
    return head, await reader.readexactly(body_length)
