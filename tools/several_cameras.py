"""How old results are with several cameras: real MJPEG streams over HTTP on loopback, one thread.

    python -m tools.several_cameras --cameras 4 --rate 15 --seconds 60 --stalled 1

A process of its own serves the streams, frames of the demo, each in a phase of its own (--in-phase:
all at the same moment). With --stalled some of them give no more frames after a third of the time
and hold their connection; with --dead some hang up, and are not there again.
"""

import json
import random
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import click
import numpy as np

from picaption.device.config.camera import Camera
from picaption.device.config.settings import Config
from picaption.device.images import encode_image
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.sources.demo_frames import Demo

#: Every so many frames of the demo one is drawn, and shown as often.
REPEATS = 4
JPEG_QUALITY = 80
#: Results count after so many of each camera.
WARM_UP = 10


@dataclass(frozen=True)
class Streams:
    """What is served.

    Attributes:
        cameras: How many streams.
        rate: Frames a second of each.
        size: Pixels across and down.
        stalled: How many of the last streams stall.
        dead: How many of those before them die.
        fault_after: Seconds from a stream's first frame to that.
        in_phase: Whether all give their frames at the same moment.
    """

    cameras: int = 4
    rate: float = 15.0
    size: tuple[int, int] = (640, 480)
    stalled: int = 0
    dead: int = 0
    fault_after: float = 20.0
    in_phase: bool = False

    def fault(self, number: int) -> str:
        """Return what becomes of a stream: "stalled", "dead" or nothing."""
        if number >= self.cameras - self.stalled:
            return "stalled"
        if number >= self.cameras - self.stalled - self.dead:
            return "dead"
        return ""


class StreamServer(ThreadingHTTPServer):
    """Serves /0, /1, ... as MJPEG."""

    daemon_threads = True

    def __init__(self, streams: Streams) -> None:
        super().__init__(("127.0.0.1", 0), _StreamHandler)
        self.streams = streams
        demo = Demo(streams.size)
        count = demo.count * demo.SECONDS * round(streams.rate) // REPEATS
        step = demo.count * demo.SECONDS * demo.rate / count
        self.jpegs = [
            encode_image(demo.frame(round(index * step)), ".jpg", JPEG_QUALITY)
            for index in range(count)
        ]
        self.ended: set[int] = set()
        chance = random.Random(1)
        self.phases = [
            0.0 if streams.in_phase else chance.random() / streams.rate
            for _ in range(streams.cameras)
        ]


class _StreamHandler(BaseHTTPRequestHandler):
    server: StreamServer

    def do_GET(self) -> None:
        number = int(self.path.strip("/"))
        if number in self.server.ended:
            self.send_error(503)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            self._send_frames(number)
        except OSError:  # The client has gone.
            return

    def _send_frames(self, number: int) -> None:
        streams = self.server.streams
        jpegs = self.server.jpegs
        start = time.monotonic()
        fault = streams.fault(number)
        interval = 1 / streams.rate
        # By the clock of all streams, so that phases last.
        turn = int(start / interval) + 1
        while True:
            if fault and time.monotonic() - start > streams.fault_after:
                break
            due = turn * interval + self.server.phases[number]
            time.sleep(max(0.0, due - time.monotonic()))
            index = turn // REPEATS + number * len(jpegs) // streams.cameras
            jpeg = jpegs[index % len(jpegs)]
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
            turn += 1
        self.server.ended.add(number)
        if fault == "stalled":
            threading.Event().wait()

    def log_message(self, *_: Any) -> None:
        """Print nothing."""


class AgeSink:
    """Notes how old every result is, and how long its recognition took, by camera."""

    def __init__(self) -> None:
        self.rows: dict[str, list[tuple[float, float, float]]] = defaultdict(list)

    def write(self, recognized: RecognizedFrame) -> None:
        """Note a result."""
        recognition = recognized.recognition
        total = recognition.timings["total"]
        age = recognition.timings["queue"] + total
        rows = self.rows[recognition.camera_name or ""]
        rows.append((age, total, time.monotonic()))

    def close(self) -> None:
        """Do nothing: there is nothing to finish."""


@contextmanager
def serving(streams: Streams) -> Iterator[int]:
    """Serve streams from a process of its own; yield its port."""
    command = [sys.executable, "-m", "tools.several_cameras", "--serve", json.dumps(vars(streams))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            yield int(process.stdout.readline())
        finally:
            process.kill()


def measure(streams: Streams, seconds: float, config: Config) -> dict[str, Any]:
    """Recognise the streams, and return how old the results were.

    Args:
        streams: What is served.
        seconds: How long.
        config: The settings of the loop, but for the cameras.

    Returns:
        A dict of plain values. `recognition_ms`: a recognition's; `age_ms`: from a frame's capture
        to its result; `age_by_recognition`: the 99th percentile of the age by the median and by the
        mean of a recognition; `cameras`: each one's; `after_fault`: the same of all results that
        came after a camera stalled or died.
    """
    sink = AgeSink()
    with serving(streams) as port:
        cameras = tuple(
            Camera(f"camera {number}", {"source": f"http://127.0.0.1:{port}/{number}"})
            for number in range(streams.cameras)
        )
        with closing(Pipeline(replace(config, camera=cameras))) as pipeline:
            pipeline.sinks["ages"] = sink
            summary = run(pipeline, seconds=seconds)
            failures = {
                camera.name: pipeline.camera_status(camera.name).failures for camera in cameras
            }
    rows = {name: values[WARM_UP:] for name, values in sink.rows.items()}
    everything = [row for values in rows.values() for row in values]
    result = {
        "frames_per_second": round(summary.frames / summary.seconds, 2),
        **_figures(everything),
        "cameras": {
            name: {"frames": len(values), "failures": failures[name], **_figures(values)}
            for name, values in sorted(rows.items())
        },
    }
    if streams.stalled or streams.dead:
        # A stream's time runs from its first frame, which was there before the first result.
        fault_at = min(values[0][2] for values in sink.rows.values()) + streams.fault_after
        result["after_fault"] = _figures([row for row in everything if row[2] > fault_at])
    return result


def _figures(rows: list[tuple[float, float, float]]) -> dict[str, Any]:
    if not rows:
        return {}
    ages, totals, _ = np.array(rows).T
    tail = float(np.percentile(ages, 99))
    return {
        "recognition_ms": _percentiles(totals),
        "age_ms": _percentiles(ages),
        "age_by_recognition": {
            "median": round(tail / float(np.median(totals)), 2),
            "mean": round(tail / float(totals.mean()), 2),
        },
    }


def _percentiles(values: np.ndarray) -> dict[str, float]:
    p50, p99 = np.percentile(values, (50, 99)).astype(float).round(2).tolist()
    return {"p50": p50, "p99": p99}


def serve(streams: Streams) -> None:
    """Serve streams until this process is ended, and print the port."""
    server = StreamServer(streams)
    print(server.server_address[1], flush=True)
    server.serve_forever()


@click.command()
@click.option("--cameras", default=4, type=click.IntRange(1, 64), show_default=True)
@click.option("--rate", default=15.0, type=click.FloatRange(1, 60), show_default=True)
@click.option("--seconds", default=60.0, type=click.FloatRange(1), show_default=True)
@click.option("--stalled", default=0, type=click.IntRange(0, 64), help="Streams that stall.")
@click.option("--dead", default=0, type=click.IntRange(0, 64), help="Streams that die.")
@click.option("--in-phase", is_flag=True, help="All frames come at the same moments.")
@click.option("--bundle", default="", help="The bundle; the shipped one by default.")
@click.option("--serve", "served", default="", hidden=True)
def main(
    cameras: int,
    rate: float,
    seconds: float,
    stalled: int,
    dead: int,
    in_phase: bool,
    bundle: str,
    served: str,
) -> None:
    """Print how old results are with several cameras, as JSON."""
    if served:
        values = json.loads(served)
        serve(Streams(**values | {"size": tuple(values["size"])}))
        return
    streams = Streams(
        cameras, rate, stalled=stalled, dead=dead, fault_after=seconds / 3, in_phase=in_phase
    )
    config = Config(bundle=bundle, threads=1, quiet=True, stall=2.0)
    print(json.dumps(measure(streams, seconds, config), indent=1))


if __name__ == "__main__":
    main()
