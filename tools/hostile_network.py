"""Measure what hostile connections to the page cost the live loop.

    python tools/hostile_network.py [--connections 1000] [--pairs 20] [--seconds 4]

The loop runs over frames of the demo, as fast as it can, with the page on. In turns it is left in
peace and attacked, so that each turn has one of the other kind beside it, before or after in turns:
what other programs do meanwhile, and what the computer's clock does, falls on both alike. The fall
of the frame rate is the median of the pairs' ratios; beside it stand the quartiles, and what this
process computes for a frame, which hardly depends on other programs. The attacker is another
process, which keeps so many connections open and opens each again as
soon as it is dropped: silent ones, ones that send half a request or a byte at a time, rubbish, and
whole requests without the token. All the while a client with the token asks for the page twice a
second. Linux only: epoll.
"""

import argparse
import http.client
import json
import secrets
import select
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import closing
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from picaption.device.bench.soak import PreparedSource
from picaption.device.config.settings import Config
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.outputs.web.server import WebServer

#: What an attacker's connection sends at once, and then bit by bit.
OPENINGS = {
    "silent": b"",
    "half a request": b"GET / HTTP/1.1\r\nHost: ",
    "byte by byte": b"G",
    "rubbish": b"\x16\x03\x01\x02\x00\x01\n\r\n",
    "without the token": b"GET /?token=wrong HTTP/1.1\r\nHost: pi\r\n\r\n",
}
#: How often the connections that send byte by byte send one, and the page is asked for.
TRICKLE_SECONDS = 0.1
ASK_SECONDS = 0.5
#: Before anything counts, and before a turn does: the attacker has to be at work.
WARM_UP_SECONDS = 3.0
SETTLE_SECONDS = 1.0


class Frames:
    """A sink that counts.

    Attributes:
        count: so far.
    """

    def __init__(self) -> None:
        self.count = 0

    def write(self, recognized: RecognizedFrame) -> None:
        """Count a frame."""
        self.count += 1

    def close(self) -> None:
        """Do nothing: there is nothing to finish."""


class Turn(NamedTuple):
    """A turn of peace or attack.

    Attributes:
        rate: frames a second.
        cpu_ms: milliseconds that this process computed for a frame.
        answers: what the client with the token saw.
    """

    rate: float
    cpu_ms: float
    answers: "Answers"


class Answers(NamedTuple):
    """What the client with the token saw.

    Attributes:
        seconds: of each answer.
        failures: how often there was none.
    """

    seconds: list[float]
    failures: int


def attack(port: int, connections: int) -> None:
    """Keep so many hostile connections open until standard input ends; print their count."""
    poller = select.epoll()
    poller.register(sys.stdin.fileno(), select.EPOLLIN)
    openings = list(OPENINGS.values())
    slots: dict[int, tuple[socket.socket, int]] = {}
    opened = 0

    def connect(slot: int) -> None:
        nonlocal opened
        connection = socket.socket()
        connection.setblocking(False)
        connection.connect_ex(("127.0.0.1", port))
        slots[connection.fileno()] = (connection, slot)
        poller.register(connection.fileno(), select.EPOLLOUT)
        opened += 1

    for slot in range(connections):
        connect(slot)
    trickled_at = time.monotonic()
    while True:
        for descriptor, event in poller.poll(TRICKLE_SECONDS):
            if descriptor == sys.stdin.fileno():
                print(opened)
                return
            connection, slot = slots[descriptor]
            is_connected = event == select.EPOLLOUT
            try:
                if is_connected:
                    connection.send(openings[slot % len(openings)])
                    poller.modify(descriptor, select.EPOLLIN)
                elif not connection.recv(4096):
                    is_connected = False
                else:
                    is_connected = True
            except OSError:
                is_connected = False
            if not is_connected:
                del slots[descriptor]
                connection.close()
                connect(slot)
        if time.monotonic() - trickled_at >= TRICKLE_SECONDS:
            trickled_at = time.monotonic()
            for connection, slot in slots.values():
                if openings[slot % len(openings)] == OPENINGS["byte by byte"]:
                    try:
                        connection.send(b"G")
                    except OSError:
                        continue  # It is dropped, which the poller tells next.


def ask_for_page(port: int, token: str) -> float:
    """Return the seconds until a new client with the token has the page."""
    start = time.monotonic()
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=10)) as connection:
        connection.request("GET", "/", headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        page = answer.read()
    if answer.status != 200 or b"</html>" not in page:
        raise OSError(f"the page answered {answer.status}")
    return time.monotonic() - start


def ask_meanwhile(port: int, token: str, seconds: float) -> Answers:
    """Ask for the page every ASK_SECONDS for so long."""
    answers = []
    failures = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            answers.append(ask_for_page(port, token))
        except (OSError, http.client.HTTPException):
            failures += 1
        time.sleep(ASK_SECONDS)
    return Answers(answers, failures)


def measure(connections: int, pairs: int, seconds: float, threads: int) -> dict[str, object]:
    """Return the figures of `pairs` turns of peace and attack, of `seconds` each."""
    token = secrets.token_urlsafe()
    config = Config(quiet=True, web=True, port=0, token=token, size="640x480", threads=threads)

    def open_source(spec: str, config: Config) -> PreparedSource:
        return PreparedSource((640, 480))

    pipeline = Pipeline(replace(config), open_source)
    frames = Frames()
    pipeline.sinks["frames"] = frames
    server = pipeline.sinks["web"]
    assert isinstance(server, WebServer)
    port = int(server.address.rstrip("/").rpartition(":")[2])
    turns: dict[bool, list[Turn]] = {False: [], True: []}
    opened: list[int] = []
    done = threading.Event()

    def take_turn(is_attacked: bool) -> Turn:
        command = ["nice", sys.executable, __file__, "--attack", str(port)]
        command += ["--connections", str(connections)]
        attacker = is_attacked and subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        time.sleep(SETTLE_SECONDS)
        count = frames.count
        cpu_start = time.process_time()
        start = time.monotonic()
        answers = ask_meanwhile(port, token, seconds)
        elapsed = time.monotonic() - start
        count = max(1, frames.count - count)
        cpu_ms = (time.process_time() - cpu_start) / count * 1e3
        if attacker:
            opened.append(int(attacker.communicate()[0]))
        return Turn(count / elapsed, cpu_ms, answers)

    def take_turns() -> None:
        try:
            time.sleep(WARM_UP_SECONDS)
            for number in range(pairs):
                for is_attacked in (number % 2 == 1, number % 2 == 0):
                    turns[is_attacked].append(take_turn(is_attacked))
        finally:
            done.set()

    def stop_when_done() -> None:
        if done.is_set():
            raise StopIteration

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        run(pipeline, on_tick=stop_when_done)
    except StopIteration:
        thread.join()
    finally:
        pipeline.close()
    took = [second for turn in turns[True] for second in turn.answers.seconds]
    pairs_of_turns = list(zip(turns[False], turns[True], strict=True))
    falls = [100 * (1 - attacked.rate / peace.rate) for peace, attacked in pairs_of_turns]
    growths = [100 * (attacked.cpu_ms / peace.cpu_ms - 1) for peace, attacked in pairs_of_turns]
    return {
        "connections": connections,
        "opened_a_second": round(statistics.median(opened) / (seconds + SETTLE_SECONDS)),
        "frames_a_second_in_peace": _median(turn.rate for turn in turns[False]),
        "frames_a_second_attacked": _median(turn.rate for turn in turns[True]),
        "fall_percent": _median(falls),
        "fall_percent_quartiles": np.percentile(falls, (25, 75)).round(2).tolist(),
        "cpu_ms_a_frame_in_peace": _median(turn.cpu_ms for turn in turns[False]),
        "cpu_growth_percent": _median(growths),
        "cpu_growth_percent_quartiles": np.percentile(growths, (25, 75)).round(2).tolist(),
        "page_seconds_median": round(statistics.median(took), 3) if took else None,
        "page_seconds_max": round(max(took), 3) if took else None,
        "page_failures": sum(turn.answers.failures for turn in turns[True]),
    }


def _median(values: Iterable[float]) -> float:
    return round(statistics.median(values), 2)


def main() -> None:
    """Print the figures as JSON, or attack."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--connections", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each turn")
    parser.add_argument("--threads", type=int, default=1, help="of the network")
    parser.add_argument("--attack", type=int, metavar="PORT", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        attack(options.attack, options.connections)
        return
    figures = measure(options.connections, options.pairs, options.seconds, options.threads)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
