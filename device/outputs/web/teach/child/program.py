"""`python -m picaption.device.outputs.web.teach.child.program`: keeps the page's class folders.

It reads messages on its standard input as the process does that answers pictures
(picaption.device.outputs.web.api.child.program), and looks at pictures while none comes. It writes
files of bounded size, into the folder of class folders only; memory is bounded, and it gives way to
the live loop.
"""

import contextlib
import os
import select
import sys
from pathlib import Path
from typing import BinaryIO

from .....bundle.bundle import default_bundle
from .....errors import PicaptionError
from .....log import one_line
from ...api.child.dispatch import refuse
from ...api.child.program import give_way, limit_resources, send
from ...api.child.questions import NeedsFrameError
from ...api.exchange import ApiAnswer, ApiError, ApiRequest, ChildSettings, read_message
from .classroom import Classroom

#: Bytes of a file that is written at most: of a bundle.
MAX_FILE_BYTES = 256 << 20


def serve(classroom: Classroom, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until their stream ends, and work in between.

    Args:
        classroom: What answers them.
        requests: Where they come from.
        answers: Where the answers go.
    """
    has_work = True
    while True:
        # The server sends nothing before it has its answer, so nothing waits in the buffer.
        is_ready = select.select([requests], [], [], 0 if has_work else None)[0]
        if not is_ready:
            has_work = classroom.work()
            continue
        message = read_message(requests)
        if message is None:
            return
        head, body = answer(classroom, ApiRequest(**message[0]), message[1])
        send(answers, head, body)
        has_work = True


def answer(classroom: Classroom, request: ApiRequest, content: bytes) -> tuple[ApiAnswer, bytes]:
    """Return the answer to a request: its head, and its body.

    Args:
        classroom: What answers it.
        request: The request's head.
        content: The live camera's frame, if it was asked for, and the body.
    """
    frame = content[: request.frame_bytes] or None
    try:
        body, media_type = classroom.answer(request, frame, content[request.frame_bytes :])
    except NeedsFrameError:
        return ApiAnswer(needs_frame=True), b""
    except ApiError as error:
        return refuse(request.path, error.status, str(error))
    except MemoryError:
        return refuse(request.path, 413, "this takes more memory than there is")
    return ApiAnswer(200, media_type), body


def main() -> None:
    """Answer what the server passes on."""
    # What a library prints is no answer.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    message = read_message(requests)
    if message is None:
        return
    settings = ChildSettings(**message[0])
    give_way()
    try:
        bundle = Path(settings.bundle or default_bundle())
        classroom = Classroom(Path(settings.folder), bundle, settings.threads or None)
    except PicaptionError as error:
        send(answers, {"error": one_line(str(error))})
        return
    limit_resources(MAX_FILE_BYTES)
    send(answers, {"error": ""})
    # The server that has gone needs no answer.
    with contextlib.closing(classroom), contextlib.suppress(BrokenPipeError):
        serve(classroom, requests, answers)


if __name__ == "__main__":
    main()
