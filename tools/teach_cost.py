"""What teaching in the browser costs the live loop, and how long a fit takes.

    python -m tools.teach_cost

The demo runs at 20 frames a second. Parts of its ten photographs are uploaded as ten classes; then
the loop runs in turns alone and beside fits, and a frame's time is compared.
"""

import argparse
import contextlib
import http.client
import json
import os
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import numpy as np

from picaption.device.config.settings import Config
from picaption.device.images import encode_image, list_images, read_image
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.live.requests import RequestHandler
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.outputs.web.server import WebServer
from picaption.device.outputs.web.teach.routes import PROGRAM
from picaption.device.sources.demo_frames import DEMO_IMAGES

#: Frames a second.
RATE = 20.0
#: Seconds that the loop runs alone in a turn, and fits that it runs beside.
ALONE_SECONDS = 4.0
FITS = 3


class FrameTimes:
    """A sink that notes when it got a frame, and the frame's milliseconds."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []

    def write(self, recognized: RecognizedFrame) -> None:
        """Note a frame."""
        total = recognized.recognition.timings["total"]
        self.times.append((time.monotonic(), total))

    def close(self) -> None:
        """Do nothing."""

    def between(self, start: float, end: float) -> str:
        """Return what the frames between two times took, and how many came a second."""
        totals = [total for moment, total in self.times if start < moment < end]
        median = statistics.median(totals)
        tail = float(np.percentile(totals, 90))
        return f"{len(totals) / (end - start):.1f} fps, {median:.1f} ms (90 %: {tail:.1f} ms)"


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", type=int, default=30, help="pictures of each class")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    done = threading.Event()

    def stop_when_done() -> None:
        if done.is_set():
            raise StopIteration

    with tempfile.TemporaryDirectory() as folder:
        config = Config(source="demo", web=True, port=0, quiet=True, teach=folder, max_fps=RATE)
        pipeline = Pipeline(config)
        frames = FrameTimes()
        pipeline.sinks["times"] = frames
        address = urlsplit(cast(WebServer, pipeline.sinks["web"]).address).netloc

        def measure() -> None:
            try:
                upload_parts(address, options.images)
                for _ in range(options.turns):
                    print(*measure_turn(address, frames), sep="\n", flush=True)
            finally:
                done.set()

        threading.Thread(target=measure).start()
        with closing(pipeline), contextlib.suppress(StopIteration):
            run(pipeline, on_tick=stop_when_done, requests=RequestHandler(pipeline))


def measure_turn(address: str, frames: FrameTimes) -> Sequence[str]:
    """Return lines about the loop alone, and beside fits."""
    start = time.monotonic()
    time.sleep(ALONE_SECONDS)
    middle = time.monotonic()
    seconds = []
    computed = processor_seconds()
    for _ in range(FITS):
        ask(address, "/teach/fit", b"{}")
        while (state := ask(address, "/teach/state.json"))["fitting"]:
            time.sleep(0.05)
        seconds.append(state["fitted"]["seconds"])
    end = time.monotonic()
    computed = (processor_seconds() - computed) / FITS
    return (
        f"alone: {frames.between(start, middle)}",
        f"beside fits: {frames.between(middle, end)}; a fit {statistics.median(seconds):.2f} s",
        f"of a processor's time a fit takes {computed:.2f} s",
    )


def processor_seconds() -> float:
    """Return the processor time of the process that fits."""
    for path in Path("/proc/self/task").glob("*/children"):
        for child in path.read_text().split():
            if PROGRAM.encode() in Path(f"/proc/{child}/cmdline").read_bytes():
                fields = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()
                # utime and stime, fields 14 and 15 of proc(5).
                return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    raise RuntimeError("there is no process that fits")


def upload_parts(address: str, count: int) -> None:
    """Upload so many parts of each photograph of the demo, and wait until they were looked at."""
    random = np.random.default_rng(0)
    started = time.monotonic()
    for path in list_images(DEMO_IMAGES):
        image = read_image(path)
        rows = image.shape[0] * 2 // 3
        columns = image.shape[1] * 2 // 3
        for _ in range(count):
            top = random.integers(image.shape[0] - rows)
            left = random.integers(image.shape[1] - columns)
            part = np.ascontiguousarray(image[top : top + rows, left : left + columns])
            ask(address, f"/teach/upload?class={path.stem}", encode_image(part, ".jpg"))
    while ask(address, "/teach/state.json")["waiting"]:
        time.sleep(0.05)
    print(f"pictures were sent and looked at in {time.monotonic() - started:.1f} s", flush=True)


def ask(address: str, path: str, body: bytes | None = None) -> dict[str, Any]:
    """Return the state that a request is answered with; one with a body is a POST."""
    with closing(http.client.HTTPConnection(address)) as connection:
        connection.request("GET" if body is None else "POST", path, body)
        state: dict[str, Any] = json.loads(connection.getresponse().read())
    return state


if __name__ == "__main__":
    main()
