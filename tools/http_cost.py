"""Measure what HTTP clients cost the live loop, in alternating runs.

    python -m tools.http_cost [--pairs N] [--frames N] [--bundle PATH] [--case 1..3]
                              [--mqtt ADDRESS]

Each pair of runs is one of the live loop with the page's server and nobody who asks, and one with
clients in a process of their own. Printed are the figures of every run, so that a busy machine
shows in how they scatter: a frame's time by that of its invocations, the same of the processor time
of the loop's thread, the 99th percentile of a recognition and of a result's age, and how long the
clients' requests took.
"""

import argparse
import http.client
import json
import multiprocessing
import socket
import statistics
import sys
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from picaption.device import sources
from picaption.device.bench.soak import soak
from picaption.device.config.settings import Config

#: A camera's frames a second, where a result's age is measured.
CAMERA_RATE = 30.0
#: How long a client waits before it begins: the loop and the child have started by then.
START_SECONDS = 2.0
_PHOTO = Path(sources.__file__).parent / "demo" / "cat.jpg"
_SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Client:
    """What a client asks, and how often.

    Attributes:
        path: The address.
        rate: Requests a second.
        has_picture: Whether it posts one.
    """

    path: str
    rate: float
    has_picture: bool = False


@dataclass(frozen=True)
class Case:
    """Clients, and whether the loop runs at a camera's rate or as fast as it can."""

    name: str
    clients: tuple[Client, ...]
    rate: float | None


CASES = (
    Case("20 pictures a second to /recognize", (Client("/recognize", 20, True),), CAMERA_RATE),
    Case("5 snapshots a second", (Client("/snapshot.jpg", 5),), CAMERA_RATE),
    Case(
        "the page's events, /metrics and 5 snapshots a second",
        (Client("/events", 0), Client("/metrics", 0.2), Client("/snapshot.jpg", 5)),
        None,
    ),
)


def ask(port: int, client: Client, times: list[float], statuses: list[int]) -> None:
    """Ask at a client's rate, for ever; note how long each request took, in milliseconds."""
    body = _PHOTO.read_bytes() if client.has_picture else None
    method = "POST" if client.has_picture else "GET"
    due = time.monotonic()
    while True:
        start = time.perf_counter()
        try:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
                connection.request(method, client.path, body)
                answer = connection.getresponse()
                if not client.rate:
                    while answer.read(4096):
                        continue
                answer.read()
        except (OSError, http.client.HTTPException):
            return  # The server has ended.
        times.append((time.perf_counter() - start) * 1e3)
        statuses.append(answer.status)
        due = max(due + 1 / client.rate, time.monotonic() - 1) if client.rate else due
        time.sleep(max(0.0, due - time.monotonic()))


def run_clients(port: int, clients: tuple[Client, ...], results: Connection) -> None:
    """Run clients until the other side says stop, and send it what their requests took."""
    time.sleep(START_SECONDS)
    times: dict[str, list[float]] = {client.path: [] for client in clients}
    statuses: list[int] = []
    for client in clients:
        arguments = (port, client, times[client.path], statuses)
        threading.Thread(target=ask, args=arguments, daemon=True).start()
    results.recv()
    results.send((times, statuses))


def measure(
    case: Case, frames: int, bundle: str, with_clients: bool, mqtt: str = ""
) -> dict[str, object]:
    """Return the figures of a run of the live loop, and those of its clients."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    config = Config(
        bundle=bundle,
        threads=1,
        quiet=True,
        frames=frames,
        web=True,
        port=port,
        source="demo",
        mqtt=mqtt,
    )
    ours, theirs = _SPAWN.Pipe()
    clients = case.clients if with_clients else ()
    process = _SPAWN.Process(target=run_clients, args=(port, clients, theirs), daemon=True)
    process.start()
    try:
        figures = soak(config, case.rate, frames // 2)
        ours.send("stop")
        times, statuses = ours.recv()
    finally:
        process.kill()
        process.join()
    answered = {
        path: f"{len(values)} in {statistics.median(values):.1f} ms"
        for path, values in times.items()
        if len(values) > 2
    }
    return {
        "overhead": figures["overhead"],
        "cpu_overhead": figures["cpu_overhead"],
        "recognition_ms": figures["inference_ms"],
        "age_ms": figures["age_ms"],
        "answered": answered,
        "statuses": sorted(set(statuses)),
    }


def main() -> None:
    """Print the figures of every run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=3, metavar="N")
    parser.add_argument("--frames", type=int, default=900, metavar="N")
    parser.add_argument("--bundle", default="", metavar="PATH")
    parser.add_argument("--case", type=int, choices=range(1, len(CASES) + 1), help="only this one")
    parser.add_argument("--mqtt", default="", metavar="ADDRESS", help="publish to a broker too")
    arguments = parser.parse_args()
    cases = CASES if arguments.case is None else CASES[arguments.case - 1 : arguments.case]
    for case in cases:
        print(case.name)
        for _ in range(arguments.pairs):
            for with_clients in (False, True):
                figures = measure(
                    case, arguments.frames, arguments.bundle, with_clients, arguments.mqtt
                )
                print(
                    " ", "with   " if with_clients else "without", json.dumps(figures), flush=True
                )


if __name__ == "__main__":
    main()
