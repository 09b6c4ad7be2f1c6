"""`python -m picaption.device.outputs.web.api.child.program`: answers what the server passes on.

It reads messages on its standard input (picaption.device.outputs.web.api.exchange) until that ends:
first the settings, then requests. It runs with little leave: no file is written, memory is bounded,
and where memory runs out for all, the system ends this process first. Beside a live loop it gives
way to that.
"""

import contextlib
import hashlib
import importlib.metadata
import os
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO

from .....bundle.bundle import default_bundle
from .....errors import PicaptionError
from .....log import one_line
from .....recognition.recognizer import open_recognizer
from ..exchange import ApiAnswer, ApiRequest, ChildSettings, pack, read_message
from .dispatch import Dispatcher, refuse
from .observer import Observer
from .ollama import BundleFile
from .questions import Service

#: How far the child steps back behind a live loop (nice(1)).
NICE = 10
#: Memory that answering may take beside the bundle: a request, and the decoding of a picture.
MEMORY_BYTES = 1536 << 20


def give_way() -> None:
    """Step back behind a live loop, where that is allowed: a unit of before forbids it."""
    with contextlib.suppress(OSError):
        os.nice(NICE)


def limit_resources(file_bytes: int = 0) -> None:
    """Take memory and the writing of files from this process, for good.

    Args:
        file_bytes: Bytes of a file that it may write all the same.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        size = pages * resource.getpagesize() + MEMORY_BYTES
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        if hard != resource.RLIM_INFINITY:
            size = min(size, hard)
        resource.setrlimit(resource.RLIMIT_AS, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def open_dispatcher(settings: ChildSettings) -> Dispatcher:
    """Return what answers requests.

    Raises:
        PicaptionError: The bundle is unusable.
    """
    path = Path(settings.bundle or default_bundle())
    recognizer = open_recognizer(path, settings.threads or None)
    data = path.read_bytes()
    bundle = BundleFile(
        recognizer.model.metadata.name,
        len(data),
        hashlib.sha256(data).hexdigest(),
        path.stat().st_mtime,
    )
    service = Service(Observer(recognizer), settings.has_camera)
    return Dispatcher(service, bundle, importlib.metadata.version("picaption"))


def serve(dispatcher: Dispatcher, requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until their stream ends.

    Args:
        dispatcher: What answers them.
        requests: Where they come from.
        answers: Where the answers go.
    """
    while (message := read_message(requests)) is not None:
        request = ApiRequest(**message[0])
        try:
            head, body = dispatcher.answer(request, message[1])
        except MemoryError:
            head, body = refuse(request.path, 413, "the request takes more memory than there is")
        send(answers, head, body)


def send(answers: BinaryIO, head: ApiAnswer | dict[str, Any], body: bytes = b"") -> None:
    """Write a message."""
    for part in pack(head, body):
        answers.write(part)
    answers.flush()


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
    if settings.has_camera:
        give_way()
    try:
        dispatcher = open_dispatcher(settings)
    except PicaptionError as error:
        send(answers, {"error": one_line(str(error))})
        return
    limit_resources()
    send(answers, {"error": ""})
    # The server that has gone needs no answer.
    with contextlib.suppress(BrokenPipeError):
        serve(dispatcher, requests, answers)


if __name__ == "__main__":
    main()
