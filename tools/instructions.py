"""Count the instructions that a frame takes, with valgrind: a figure that no other program changes.

    python tools/instructions.py [--write] [STEP...]

Each step of a frame runs in a process of its own under valgrind's cachegrind, once few times and
once more often; the difference is what the step takes. It is compared with the figures in
tools/instructions.json, which hold for one processor architecture and one version of the runtime,
and a difference above 1 % is reported, with exit code 1; `.ci/run` does so for "frame", which has
the other steps in it. --write writes the figures of this machine. Debian has valgrind: apt-get
install valgrind.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
FIGURES = Path(__file__).with_suffix(".json")
BUNDLE = ROOT / "tests/data/tiny.tflite"
#: How often a step runs in the second process; a cheap one more often, since what differs between
#: two starts counts too.
STEPS = {"encode": 12, "caption": 12, "classify": 1002, "frame": 12}
#: How often it runs in the first.
FEW = 2
TOLERANCE = 0.01
#: What would make two runs differ. Libraries choose their code by the processor, but valgrind
#: shows all of one architecture the same, with AVX2 and without AVX-512.
_ENVIRONMENT = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENCV_FOR_THREADS_NUM": "1",
}


def run_step(name: str, repetitions: int) -> None:
    """Run a step of a frame so often."""
    import cv2

    from picaption.device.bundle.bundle import Bundle
    from picaption.device.images import read_image
    from picaption.device.recognition.recognizer import Recognizer
    from picaption.device.sources.demo_frames import DEMO_IMAGES

    cv2.setNumThreads(1)
    image = read_image(DEMO_IMAGES / "cat.jpg")
    recognizer = Recognizer(Bundle(BUNDLE, threads=1, trusted=True))
    encoded = recognizer.encode(image)
    word_evidence = recognizer.class_evidence(encoded)
    scores = recognizer.classify(encoded, word_evidence)
    steps: dict[str, Callable[[], object]] = {
        "encode": lambda: recognizer.encode(image),
        "caption": lambda: recognizer.caption(encoded, scores),
        "classify": lambda: recognizer.classify(encoded, word_evidence),
        "frame": lambda: recognizer(image),
    }
    for _ in range(repetitions):
        steps[name]()


def count(name: str, repetitions: int) -> int:
    """Return the instructions of a process that runs a step so often."""
    command = ["valgrind", "--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"]
    command += [sys.executable, __file__, "--step", name, "--repetitions", str(repetitions)]
    result = subprocess.run(
        command, capture_output=True, text=True, env=os.environ | _ENVIRONMENT, check=False
    )
    match = re.search(r"I\s+refs:\s+([\d,]+)", result.stderr)
    if result.returncode or not match:
        sys.exit(f"valgrind failed: {result.stderr.strip().splitlines()[-1:]}")
    return int(match[1].replace(",", ""))


def measure(name: str) -> int:
    """Return the instructions that a step takes once."""
    many = STEPS[name]
    with ThreadPoolExecutor() as pool:
        total_of_many, total_of_few = pool.map(partial(count, name), (many, FEW))
    return (total_of_many - total_of_few) // (many - FEW)


def versions() -> dict[str, str]:
    """Return what the figures depend on."""
    packages = ("ai-edge-litert", "numpy", "opencv-python-headless")
    return {
        "machine": platform.machine(),
        "python": platform.python_version(),
        **{package: metadata.version(package) for package in packages},
    }


def compare(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Return a line for every step whose figure differs by more than the tolerance."""
    return [
        f"{name}: {before[name]} instructions before, {figure} now "
        f"({figure / before[name] - 1:+.1%})"
        for name, figure in after.items()
        if name in before and abs(figure - before[name]) > TOLERANCE * before[name]
    ]


def main() -> None:
    """Measure the steps, and compare them with the figures that are checked in, or write these."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help=f"of {', '.join(STEPS)}; or all")
    parser.add_argument("--write", action="store_true", help="write the figures of this machine")
    parser.add_argument("--step", choices=STEPS, help=argparse.SUPPRESS)
    parser.add_argument("--repetitions", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        run_step(options.step, options.repetitions)
        return
    unknown = set(options.steps) - set(STEPS)
    if unknown:
        parser.error(f"there is no step {', '.join(sorted(unknown))}")
    if options.write and options.steps:
        parser.error("--write is about all steps: name none")
    if not shutil.which("valgrind"):
        sys.exit("this needs valgrind: apt-get install valgrind")
    names = options.steps or list(STEPS)
    for name in names:  # Python compiles what it imports for the first time, which counts.
        run_step(name, 1)
    figures = {name: measure(name) for name in names}
    print(json.dumps(figures, indent=1))
    if options.write:
        FIGURES.write_text(
            json.dumps({"versions": versions(), "figures": figures}, indent=1) + "\n"
        )
        return
    saved = json.loads(FIGURES.read_text())
    if saved["versions"] != versions():
        print(f"the figures are of {saved['versions']}, this is {versions()}: not compared")
        return
    differences = compare(saved["figures"], figures)
    print("\n".join(differences) or "as they are checked in")
    sys.exit(bool(differences))


if __name__ == "__main__":
    main()
