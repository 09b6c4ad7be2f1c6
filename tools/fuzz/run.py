"""Feed picaption mutated inputs and count what it makes of them.

    python tools/fuzz/run.py [--runs N] [--seed S] [--jobs J] [--keep FOLDER] [KIND...]

Each kind of input is made of seeds that the tests' own makers make, and depends on --seed and its
number alone. It is used in a process of its own: wanted is a result, or a PicaptionError, which the
commands print as one line. All else is a fault: another exception, a signal that ends the process,
HANG_SECONDS without an end, also when tried again, MAX_MEGABYTES of memory. Faults of one place
count together; of each, the smallest input is minimized and, with --keep, written to a file. Exit
code 1 says that there were some.
"""

import argparse
import json
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from picaption.device.errors import PicaptionError
from tools.fuzz import api, bundle_kind, history, media, network, payloads, teaching, texts
from tools.fuzz.kind import Kind

KINDS = {
    kind.name: kind
    for module in (texts, media, network, payloads, api, history, teaching, bundle_kind)
    for kind in module.KINDS
}
#: What no input may take.
HANG_SECONDS = 10.0
MAX_MEGABYTES = 1000
#: How often a fault's input is cut, to find a smaller one.
MINIMIZATIONS = 60

_FORK = multiprocessing.get_context("fork")


@dataclass
class Fault:
    """What went wrong in one place.

    Attributes:
        name: The exception and where it was raised, or the signal, "hang" or "memory".
        number: Of the smallest input that does it.
        content: That input.
        count: How many inputs did it.
    """

    name: str
    number: int
    content: bytes
    count: int = 1


@dataclass
class Report:
    """What became of the inputs of a kind.

    Attributes:
        runs: How many there were.
        accepted: How many were used.
        refused: How many were refused with a PicaptionError.
        seconds: How long all took.
        slowest: How long the slowest took.
        megabytes: The most memory that a process took.
        faults: By name.
    """

    runs: int = 0
    accepted: int = 0
    refused: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    megabytes: int = 0
    faults: dict[str, Fault] = field(default_factory=dict)

    def add_fault(self, name: str, number: int, content: bytes) -> None:
        """Count a fault, and keep its input if it is the smallest."""
        known = self.faults.get(name)
        if known is None:
            self.faults[name] = Fault(name, number, content)
            return
        known.count += 1
        if len(content) < len(known.content):
            known.number = number
            known.content = content

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain values."""
        return {
            "runs": self.runs,
            "accepted": self.accepted,
            "refused": self.refused,
            "faults": {name: fault.count for name, fault in self.faults.items()},
            "seconds": round(self.seconds, 1),
            "slowest_seconds": round(self.slowest, 2),
            "megabytes": self.megabytes,
        }


def make_input(kind: Kind, seeds: Sequence[bytes], seed: int, number: int) -> bytes:
    """Return an input of a kind; the first ones are the seeds themselves."""
    if number < len(seeds):
        return seeds[number]
    generator = random.Random(f"{kind.name} {seed} {number}")
    return kind.mutate(generator.choice(seeds), generator)


def outcome(kind: Kind, content: bytes, folder: Path) -> str:
    """Use an input; return "accepted", "refused", or the name of a fault."""
    try:
        kind.use(content, folder)
    except PicaptionError:
        return "refused"
    except Exception as error:
        return f"{type(error).__name__} in {_place(error)}"
    return "accepted"


def _place(error: BaseException) -> str:
    """Return the innermost function of picaption that an exception came through, if any did."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if _is_own(frame.filename)] or frames
    if not own:
        return "nowhere"
    return f"{Path(own[-1].filename).name}:{own[-1].name}"


def _is_own(path: str) -> bool:
    root = Path(__file__).parents[2]
    return any(Path(path).is_relative_to(root / room) for room in ("device", "models", "convert"))


def _megabytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _work(kind: Kind, seed: int, numbers: range, folder: Path, parent: Connection) -> None:
    """Use inputs; send (number, outcome, seconds, megabytes) of each."""
    # A process begins with what its parent has in memory.
    inherited = _megabytes()
    seeds = kind.seeds(folder)
    for number in numbers:
        content = make_input(kind, seeds, seed, number)
        parent.send((number, None, 0.0, 0))
        start = time.monotonic()
        result = outcome(kind, content, folder)
        seconds = time.monotonic() - start
        parent.send((number, result, seconds, _megabytes() - inherited))
    parent.close()
    os._exit(0)  # Servers and threads of the kinds end with it.


def run_kind(kind: Kind, runs: int, seed: int = 0, first: int = 0) -> Report:
    """Use `runs` inputs of a kind, beginning with the number `first`, and return the Report."""
    report = Report()
    start = time.monotonic()
    number = first
    while number < first + runs:
        number = _run_process(kind, seed, range(number, first + runs), report)
    report.seconds = time.monotonic() - start
    return report


def _run_process(
    kind: Kind, seed: int, numbers: range, report: Report, is_retry: bool = False
) -> int:
    """Use inputs in one process until it ends; return the number of the next input.

    An input without an end is tried again alone: a busy machine may have stopped its process.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz_") as text:
        folder = Path(text)
        receiver, sender = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_work, args=(kind, seed, numbers, folder, sender))
        process.start()
        sender.close()
        current: int | None = None
        number = numbers.start - 1
        fault = ""
        try:
            while True:
                if not receiver.poll(HANG_SECONDS):
                    fault = "hang"
                    process.kill()
                    break
                number, result, seconds, megabytes = receiver.recv()
                current = number
                if result is None:
                    continue
                report.runs += 1
                report.slowest = max(report.slowest, seconds)
                report.megabytes = max(report.megabytes, megabytes)
                if megabytes > MAX_MEGABYTES:
                    result = "memory"
                    process.kill()
                if result in ("accepted", "refused"):
                    setattr(report, result, getattr(report, result) + 1)
                else:
                    report.add_fault(result, number, _input(kind, seed, number))
                current = None
                if result == "memory":
                    process.join()
                    return number + 1
        except EOFError:
            pass
        process.join()
        if fault and current is not None and not is_retry:
            return _run_process(kind, seed, range(current, current + 1), report, is_retry=True)
        if current is None:
            if number < numbers.start:
                raise RuntimeError(f"{kind.name}: its seeds cannot be made")
            return number + 1
        report.runs += 1
        fault = fault or _ending(process.exitcode)
        report.add_fault(fault, current, _input(kind, seed, current))
        return current + 1


def _ending(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return signal.Signals(-exit_code).name
    return f"exit code {exit_code}"


def _input(kind: Kind, seed: int, number: int) -> bytes:
    with tempfile.TemporaryDirectory(prefix="fuzz_") as folder:
        return make_input(kind, kind.seeds(Path(folder)), seed, number)


def minimize(kind: Kind, fault: Fault, tries: int = MINIMIZATIONS) -> bytes:
    """Return the smallest input found by cutting pieces out that makes the same fault."""
    content = fault.content
    piece = max(1, len(content) // 2)
    while piece and tries > 0:
        start = 0
        while start < len(content) and tries > 0:
            shorter = content[:start] + content[start + piece :]
            tries -= 1
            if _fault_of(kind, shorter) == fault.name:
                content = shorter
            else:
                start += piece
        piece //= 2
    return content


def _fault_of(kind: Kind, content: bytes) -> str:
    """Return what becomes of one input in a process of its own."""

    def seeds(folder: Path) -> list[bytes]:
        kind.seeds(folder)
        return [content]

    report = run_kind(replace(kind, seeds=seeds), 1)
    return next(iter(report.faults), "")


def main() -> None:
    """Run the kinds that the command line names, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--runs", type=int, default=1000, help="inputs of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first input")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="for the faults' inputs")
    options = parser.parse_args()
    unknown = set(options.kinds) - set(KINDS)
    if unknown:
        parser.error(f"there is no kind {', '.join(unknown)}; there are {', '.join(KINDS)}")
    faults = 0
    for name in options.kinds or KINDS:
        kind = KINDS[name]
        report = run_kind(kind, options.runs, options.seed, options.first)
        print(json.dumps({"kind": name, **report.to_json()}), flush=True)
        for fault in report.faults.values():
            faults += fault.count
            smallest = minimize(kind, fault)
            print(
                f"  {fault.name}: {fault.count}, such as number {fault.number}: {smallest[:200]!r}"
            )
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                file_stem = "".join(
                    character if character.isalnum() else "_" for character in fault.name
                )
                (options.keep / f"{name}_{file_stem}_{fault.number}").write_bytes(smallest)
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
