"""What a user gets on this machine: `picaption bench`.

Each runtime and number of threads is measured in a process of its own.
"""

import hashlib
import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from ..atomic import require_no_device, write_text
from ..bundle.archive import read_bundle
from ..bundle.bundle import default_bundle
from ..bundle.runtime import RUNTIMES
from ..errors import CameraError, PicaptionError
from ..log import say
from .accuracy import accuracy_of
from .figures import MeasuredBundle, Report, Run
from .machine import describe_machine
from .page import bench_page
from .steps import ROUND_ENDED, Plan, measure_arguments, round_count
from .table import table

#: The most threads that --threads takes.
MAX_THREADS = 64
#: The exit code of a process whose camera failed.
CAMERA_FAILED = 75


def parse_threads(text: str) -> tuple[int, ...]:
    """Return the numbers of threads in a list such as "1,2" or "1..4", sorted, none twice.

    Raises:
        PicaptionError: It is no such list.
    """
    numbers: set[int] = set()
    for part in text.split(","):
        first, dots, last = part.partition("..")
        if not dots:
            last = first
        if not (_is_thread_count(first) and _is_thread_count(last)):
            raise PicaptionError(
                f"--threads {text!r} is not a list of threads: give numbers from 1 to "
                f"{MAX_THREADS}, such as 2 or 1,2 or 1..4"
            )
        if int(first) > int(last):
            raise PicaptionError(
                f"--threads {text!r} counts downwards: give the lower number first, such as 1..4"
            )
        numbers |= set(range(int(first), int(last) + 1))
    return tuple(sorted(numbers))


def _is_thread_count(text: str) -> bool:
    return text.strip().isdecimal() and 1 <= int(text) <= MAX_THREADS


def run_plan(
    plan: Plan,
    command: Sequence[str] | None = None,
    on_round: Callable[[], object] = lambda: None,
) -> Run:
    """Return what a process of its own measures.

    Args:
        plan: What to measure.
        command: The process, which prints a Run as JSON; by default this Python, measuring.
        on_round: Is called whenever the process has ended a round.

    Raises:
        CameraError: The plan's camera failed.
        PicaptionError: Something else did; it has what the process printed last.
    """
    if command is None:
        command = [sys.executable, *measure_arguments(plan)]
    errors = []
    with (
        tempfile.TemporaryFile("w+") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            for line in process.stderr or ():
                if line.strip() == ROUND_ENDED:
                    on_round()
                else:
                    errors.append(line)
        except BaseException:
            process.kill()
            raise
        process.wait()
        output.seek(0)
        figures = output.read()
    if process.returncode < 0:
        raise PicaptionError(
            f"the measurement was ended by signal {-process.returncode}: see whether memory is "
            "short, with picaption doctor"
        )
    if process.returncode:
        message = "".join(errors).strip().rpartition("\n")[2].removeprefix("picaption: ")
        if process.returncode == CAMERA_FAILED:
            raise CameraError(message)
        raise PicaptionError(message)
    return Run.from_json(json.loads(figures))


def run_plan_with_bar(plan: Plan) -> Run:
    """Return what run_plan does, and show on a terminal how far it is."""
    label = f"measuring with {plan.runtime}, threads: {plan.threads}"
    with click.progressbar(length=round_count(plan), label=label, file=sys.stderr) as bar:
        return run_plan(plan, on_round=lambda: bar.update(1))


def installed_runtimes(runtimes: Sequence[tuple[str, str]] = RUNTIMES) -> list[str]:
    """Return the distributions of the runtimes that are installed, without loading them.

    If none is, that is the first one's, so that whoever uses it reports it missing.

    Args:
        runtimes: Interpreter modules and the distributions they come in.
    """
    installed = [
        distribution
        for module, distribution in runtimes
        if importlib.util.find_spec(module.partition(".")[0])
    ]
    return installed or [runtimes[0][1]]


def bench(
    bundle: str | os.PathLike[str] | None = None,
    threads: Sequence[int] | None = None,
    beam: int | None = None,
    seconds: float = 5.0,
    count: int | None = None,
    source: str = "demo",
    accuracy: Sequence[str | Path] = (),
    runtimes: Sequence[str] | None = None,
    measure: Callable[[Plan], Run] = run_plan,
) -> Report:
    """Measure what a bundle costs on this machine.

    Args:
        bundle: Its path; by default the shipped one.
        threads: Numbers of threads to measure; by default as many as the runtime takes by itself.
        beam: Width of the beam search; by default the bundle's.
        seconds: How long each step is measured.
        count: How many calls of each step are measured instead.
        source: Where the live loop's frames come from.
        accuracy: Folders of class folders to measure, and files that `picaption evaluate --json`
            wrote.
        runtimes: Distributions of the runtimes to measure; by default those that are installed.
        measure: Measures a plan.

    Raises:
        PicaptionError: Bundle, source or accuracy are unusable, or no runtime is usable.
    """
    if not math.isfinite(seconds):
        raise PicaptionError(f"--seconds {seconds} is not a time; give a number, such as 5")
    path = Path(bundle or default_bundle())
    measured_bundle = _describe_bundle(path, beam)
    measured_at = datetime.now(UTC).isoformat(timespec="seconds")
    machine = describe_machine()
    accuracies = tuple(
        accuracy_of(entry, path, measured_bundle.sha256, measured_bundle.beam) for entry in accuracy
    )
    runs = []
    failed = []
    for runtime in runtimes or installed_runtimes():
        for thread_count in threads or (min(4, os.cpu_count() or 1),):
            plan = Plan(
                bundle=str(path),
                runtime=runtime,
                threads=thread_count,
                beam=beam,
                seconds=seconds,
                count=count or 0,
                source=str(source),
                spawned_at=time.monotonic(),
            )
            try:
                runs.append(measure(plan))
            except CameraError:
                raise
            except PicaptionError as error:
                failed.append(f"{runtime}: {error}")
                break
    if not runs:
        raise PicaptionError("; ".join(text.partition(": ")[2] for text in failed))
    return Report(
        picaption=version("picaption"),
        measured_at=measured_at,
        bundle=measured_bundle,
        machine=machine,
        seconds=None if count else seconds,
        calls=count or None,
        accuracy=accuracies,
        runs=tuple(runs),
        failed=tuple(failed),
    )


def _describe_bundle(path: Path, beam: int | None) -> MeasuredBundle:
    metadata = read_bundle(path).metadata
    data = path.read_bytes()
    return MeasuredBundle(
        file=path.name,
        name=metadata.name,
        bytes=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        beam=beam or metadata.beam.width,
    )


def check_output_files(*paths: str | None) -> None:
    """Raise PicaptionError if one of the paths cannot be a new file's, before anything is measured.

    A path may be None.
    """
    require_no_device(*paths)
    for path in filter(None, paths):
        if Path(path).is_dir() or not Path(path).parent.is_dir():
            raise PicaptionError(
                f"{path} cannot be written: give a file's path, and make its folder first"
            )
        if not os.access(Path(path).parent, os.W_OK | os.X_OK):
            raise PicaptionError(f"{path} cannot be written; check its folder's permissions")


def write_report(report: Report, json_file: str | None, html_file: str | None) -> None:
    """Print a report and write it to files.

    Args:
        report: What to write.
        json_file: Gets the JSON form; "-" prints that in place of the table.
        html_file: Gets the page.

    Raises:
        PicaptionError: A file cannot be written.
    """
    figures = json.dumps(report.to_json())
    if json_file == "-":
        say(*figures.split("\n"))
    else:
        say(*table(report))
        if json_file:
            write_output(json_file, figures + "\n")
    if html_file:
        write_output(html_file, bench_page(report))


def write_output(path: str | os.PathLike[str], text: str) -> None:
    """Write `text` to `path`, completely or not at all; raises PicaptionError if that fails."""
    try:
        write_text(path, text)
    except OSError as error:
        raise PicaptionError(
            f"{path} cannot be written ({error.strerror}); check the folder and its disk"
        ) from None
