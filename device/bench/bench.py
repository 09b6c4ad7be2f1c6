"""What a user gets on this machine: `picaption bench`. Each runtime and number of threads is measured in a process of its own.

The figures are a dict of plain values, which docs/bench.schema.json describes.
"""

import hashlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from ..atomic import atomic_write
from ..bundle.bundle import default_bundle, read_bundle
from ..bundle.runtime import RUNTIMES
from ..errors import CameraError, PicaptionError
from .accuracy import accuracy_of
from .machine import doubts, machine
from .steps import Plan, arguments_of

#: Version of the JSON form; it changes when a field changes its meaning or goes away.
JSON_VERSION = 1
#: How far, in per cent, the rounds' medians of a step may vary before it is told of.
VARIED = 5


def threads_of(text):
    """Return the numbers of threads in a text, "1,2" or "1..4", each once and in order; raises PicaptionError where it is no
    such list."""
    found = set()
    for part in text.split(","):
        first, *rest = part.split("..", 1)
        last = rest[0] if rest else first
        if not all(end.strip().isdecimal() and 1 <= int(end) <= 64 for end in (first, last)):
            raise PicaptionError(
                f"--threads {text!r} is no list of threads: give numbers from 1 to 64, such as 2 or 1,2 or 1..4"
            )
        if int(first) > int(last):
            raise PicaptionError(
                f"--threads {text!r} counts downwards: give the lower number first, such as 1..4"
            )
        found |= set(range(int(first), int(last) + 1))
    return tuple(sorted(found))


def bench(
    bundle=None,
    threads=None,
    beam=None,
    seconds=5.0,
    count=0,
    source="demo",
    accuracy=(),
    told=lambda text: None,
):
    """Return the figures of the bundle at that path (None: the shipped one).

    threads: a sequence of numbers (None: as many as the runtime takes by itself); seconds, count: see picaption.device.bench.steps.Plan;
    accuracy: folders of class folders, and files that `picaption evaluate --json` wrote; `told(text)` hears what is being measured.
    Raises PicaptionError where bundle, source or accuracy are unusable, or no runtime is.
    """
    if not math.isfinite(seconds):
        raise PicaptionError(f"--seconds {seconds} is no time; give a number, such as 5")
    path = Path(bundle or default_bundle())
    metadata, data = read_bundle(path).metadata, path.read_bytes()
    about = {
        "file": path.name,
        "name": metadata.name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "beam": beam or metadata.beam.width,
    }
    figures = {
        "version": JSON_VERSION,
        "picaption": version("picaption"),
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "bundle": about,
        "machine": machine(),
        "seconds": None if count else seconds,
        "calls": count or None,
        "accuracy": [accuracy_of(each, path, about["sha256"], about["beam"]) for each in accuracy],
        "runs": [],
        "failed": [],
    }
    for place, name in installed():
        for number in threads or (min(4, os.cpu_count() or 1),):
            told(f"measuring with {name}, threads: {number}")
            plan = Plan(
                str(path), place, number, beam, seconds, count, str(source), time.monotonic()
            )
            try:
                figures["runs"].append(run_plan(plan))
            except CameraError:
                raise
            except PicaptionError as error:
                figures["failed"].append(f"{name}: {error}")
                break
    if not figures["runs"]:
        raise PicaptionError("; ".join(text.partition(": ")[2] for text in figures["failed"]))
    return figures


def installed():
    """Return (place in picaption.device.bundle.runtime.RUNTIMES, name) of each runtime that is installed; where none is, of the first, so that
    it is missed."""
    found = [
        (place, name)
        for place, (module, name) in enumerate(RUNTIMES)
        if importlib.util.find_spec(module.partition(".")[0])
    ]
    return found or [(0, RUNTIMES[0][1])]


def run_plan(plan):
    """Return what a process of its own measures of a Plan, and why to doubt it; raises PicaptionError with what it says."""
    done = subprocess.run([sys.executable, *arguments_of(plan)], capture_output=True, text=True)
    if done.returncode < 0:
        raise PicaptionError(
            f"the measurement was ended by signal {-done.returncode}: see whether memory is short, with "
            "picaption doctor"
        )
    if done.returncode:
        said = done.stderr.strip().rpartition("\n")[2].removeprefix("picaption: ")
        raise {75: CameraError}.get(done.returncode, PicaptionError)(said)
    run = json.loads(done.stdout)
    return run | {"doubts": doubts(run["machine"]) + step_doubts(run["steps"])}


def step_doubts(steps):
    """Return, a line each, why the steps of a run are not to be trusted."""
    restless = [name for name, step in steps.items() if not step["steady"]]
    varied = [
        f"{name} by {step['varied_percent']:.0f} %"
        for name, step in steps.items()
        if step["varied_percent"] > VARIED
    ]
    return [f"{', '.join(restless)} did not become steady before being measured"] * bool(
        restless
    ) + [f"from round to round varied {', '.join(varied)}"] * bool(varied)


def need_folders(*paths):
    """Raise PicaptionError where the folder of one of the paths, which may be None, is not there: before anything is measured."""
    for path in filter(None, paths):
        if Path(path).is_dir() or not Path(path).parent.is_dir():
            raise PicaptionError(
                f"{path} cannot be written: give a file's path, and make its folder first"
            )


def write_whole(path, text):
    """Write `text` to `path`, whole or not at all; raises PicaptionError where it cannot be."""
    try:
        with atomic_write(path) as partial:
            partial.write_text(text, encoding="utf-8")
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be written ({error.strerror}); check the folder and its disk"
        ) from None
