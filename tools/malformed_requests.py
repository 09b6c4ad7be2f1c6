"""Send the HTTP API requests that are malformed, and count what it answers.

    python -m tools.malformed_requests [--count N] [--bundle PATH]

A server of its own, on this computer, with a frame and the process that answers, gets requests with
values of wrong types, bodies that are no JSON, bad base64, damaged pictures, broken forms, bodies
beyond the limit, and bodies that stop half-way, several at a time. All are answered with a status
from 400 to 499; the memory of both processes is measured after a tenth, a half, and at the end.
Exit code 1 says that one was answered otherwise.
"""

import argparse
import json
import multiprocessing
import random
import socket
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from picaption.device.images import encode_image
from picaption.device.outputs.web.api import routes
from picaption.device.outputs.web.api.exchange import API_PATHS
from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.standins import FRAME, recognized
from tests.tiny import TINY_BUNDLE

TOKEN = "a-token-of-more-than-16"
#: Requests at a time.
CLIENTS = 4
#: How long a client waits for its answer.
ANSWER_SECONDS = 60.0
#: The limits in this run: 20 s for a body would make slow ones the whole of it. On a busy computer
#: a body that is not slow takes a part of a second.
MAX_BODY = 1 << 20
BODY_SECONDS = 3.0

_SPAWN = multiprocessing.get_context("spawn")
_PATHS = [path for path, methods in API_PATHS.items() if "POST" in methods]
_JPEG = encode_image(FRAME, ".jpg")
_WRONG = (None, True, 5, -1.5, "?", [], {}, [None], [5], {"a": 1}, "x" * 1000)


@dataclass
class Report:
    """What came of the requests.

    Attributes:
        statuses: How often each status came, by what the request was.
        megabytes: Resident memory of the server's process and of its child, after a tenth, a half,
            and at the end.
    """

    statuses: dict[str, Counter[int]] = field(default_factory=dict)
    megabytes: list[tuple[float, float]] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """How many requests were answered with another status than 4xx."""
        return sum(
            count
            for counter in self.statuses.values()
            for status, count in counter.items()
            if not 400 <= status < 500
        )


def wrong_type(generator: random.Random) -> tuple[str, bytes, str]:
    """Return a path, a body and a content type: JSON with a value of a wrong type."""
    wrong = generator.choice(_WRONG)
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": wrong}]}]
    form = generator.choice(
        (
            ("/v1/chat/completions", {"model": wrong, "messages": messages}),
            ("/v1/chat/completions", {"model": "picaption", "messages": messages}),
            ("/v1/chat/completions", {"model": "picaption", "messages": [wrong]}),
            ("/v1/responses", {"model": "picaption", "input": [wrong]}),
            ("/api/generate", {"model": "picaption", "images": [5, wrong]}),
            ("/api/chat", {"model": "picaption", "messages": [wrong, 5]}),
            ("/api/show", {"model": [wrong]}),
        )
    )
    return form[0], json.dumps(form[1]).encode(), "application/json"


def no_json(generator: random.Random) -> tuple[str, bytes, str]:
    """Return a body that is no JSON object."""
    body = generator.choice((b"", b"{", b"[]", b"\xff\xfe\x00", b"[" * 50_000, b"nul"))
    return generator.choice(_PATHS), body, "application/json"


def bad_base64(generator: random.Random) -> tuple[str, bytes, str]:
    """Return a request whose picture is no base64, or that of no picture."""
    text = generator.choice(("%%%", "AAAA", "A" * 4001, "é", "/9j/4AAQSkZJRg==", "iVBORw0KGgo="))
    if generator.random() < 0.5:
        return "/api/generate", json.dumps({"model": "picaption", "images": [text]}).encode(), ""
    url = {"url": f"data:image/png;base64,{text}"}
    messages = [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]
    body = json.dumps({"model": "picaption", "messages": messages}).encode()
    return "/v1/chat/completions", body, ""


def bad_picture(generator: random.Random) -> tuple[str, bytes, str]:
    """Return a picture that is cut short, or none."""
    cut = _JPEG[: generator.randrange(len(_JPEG) // 2)]
    noise = generator.randbytes(generator.randrange(2000))
    return "/recognize", generator.choice((cut, noise, b"\x89PNG\r\n\x1a\n" + noise)), "image/jpeg"


def broken_form(generator: random.Random) -> tuple[str, bytes, str]:
    """Return a form that is broken, or has no file."""
    body = generator.choice((b"", b"--x\r\n", b"--x\r\n\r\n\r\n--x--\r\n", generator.randbytes(99)))
    return "/recognize", body, generator.choice(("multipart/form-data; boundary=x", _NO_BOUNDARY))


def huge_body(generator: random.Random) -> tuple[str, bytes, str]:
    """Return a body beyond the limit."""
    return generator.choice(_PATHS), bytes(MAX_BODY + generator.randrange(1, 1 << 20)), ""


_NO_BOUNDARY = "multipart/form-data"
#: What is sent, and how often beside the others.
MAKERS: dict[str, tuple[Callable[[random.Random], tuple[str, bytes, str]], int]] = {
    "wrong type": (wrong_type, 30),
    "no JSON": (no_json, 20),
    "bad base64": (bad_base64, 20),
    "bad picture": (bad_picture, 20),
    "broken form": (broken_form, 10),
    "huge body": (huge_body, 2),
}
#: How often a body stops half-way.
SLOW_SHARE = 0.01


def send(port: int, path: str, body: bytes, content_type: str, is_slow: bool) -> int:
    """Send a request and return its status; 0 if the connection ends without one.

    Args:
        port: Of the server.
        path: Where to.
        body: What.
        content_type: Of what type it says it is.
        is_slow: Send the half of the body, and wait.
    """
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body) + is_slow}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", port), timeout=ANSWER_SECONDS) as client:
        answer = b""
        # A server that has answered may end the connection before all of the body was read.
        with suppress(ConnectionError):
            client.sendall(head.encode() + body)
        with suppress(ConnectionError):
            while data := client.recv(65_536):
                answer += data
    words = answer.split(maxsplit=2)
    return int(words[1]) if len(words) > 1 else 0


def resident_megabytes(pid: int | str) -> float:
    """Return the memory of a process that is in use."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return 0.0
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def run_clients(port: int, parts: tuple[int, ...], results: Connection) -> None:
    """Send so many requests in parts; send what came of all so far after each part.

    Args:
        port: Of the server.
        parts: How many requests a part has.
        results: Where the counts go, as Report.statuses; the other side answers to go on.
    """
    generator = random.Random(1)
    statuses = {name: Counter[int]() for name in (*MAKERS, "slow body")}
    names = list(MAKERS)
    weights = [weight for _, weight in MAKERS.values()]

    def ask(number: int) -> None:
        name = generator.choices(names, weights)[0]
        path, body, content_type = MAKERS[name][0](generator)
        is_slow = generator.random() < SLOW_SHARE
        status = send(port, path, body, content_type, is_slow)
        statuses["slow body" if is_slow else name][status] += 1

    with ThreadPoolExecutor(CLIENTS) as clients:
        for part in parts:
            list(clients.map(ask, range(part)))
            results.send(statuses)
            results.recv()


def run(count: int, bundle: str) -> Report:
    """Send so many requests from another process, and return what came of them."""
    defaults = routes.read_body.__defaults__
    routes.read_body.__defaults__ = (MAX_BODY, BODY_SECONDS)
    server = WebServer("127.0.0.1", 0, TOKEN, bundle=bundle)
    port = int(server.address.rstrip("/").rpartition(":")[2])
    server.write(recognized())
    send(port, "/recognize", b"hello", "", False)  # The child starts.
    report = Report()
    child = _child_pids()
    parts = (count // 10, count // 2 - count // 10, count - count // 2)
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=run_clients, args=(port, parts, theirs), daemon=True)
    process.start()
    theirs.close()  # So that the end of the process is noticed.
    try:
        for _ in parts:
            report.statuses = ours.recv()
            megabytes = (resident_megabytes("self"), sum(map(resident_megabytes, child)))
            report.megabytes.append(megabytes)
            ours.send(None)
    finally:
        process.kill()
        process.join()
        server.close()
        routes.read_body.__defaults__ = defaults
    return report


def _child_pids() -> set[str]:
    """Return the ids of this process' children."""
    return {
        pid
        for task in Path("/proc/self/task").iterdir()
        for pid in (task / "children").read_text(encoding="ascii").split()
    }


def main() -> None:
    """Print what came of the requests; exit with 1 if one was answered otherwise than with 4xx."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, metavar="N")
    parser.add_argument("--bundle", default=str(TINY_BUNDLE), metavar="PATH")
    arguments = parser.parse_args()
    report = run(arguments.count, arguments.bundle)
    for name, counter in report.statuses.items():
        print(f"{name:12}", ", ".join(f"{status}: {n}" for status, n in sorted(counter.items())))
    for moment, (server, child) in zip(("a tenth", "a half", "the end"), report.megabytes):
        print(f"memory after {moment}: server {server:.1f} MB, child {child:.1f} MB")
    sys.exit(1 if report.faults else 0)


if __name__ == "__main__":
    main()
