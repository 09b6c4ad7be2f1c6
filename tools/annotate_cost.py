"""Measure what `picaption annotate` costs beyond recognition, and write it down.

    python -m tools.annotate_cost throughput FOLDER [--images 1000] [--pairs 3]
    python -m tools.annotate_cost decoding FOLDER [--images 300]
    python -m tools.annotate_cost listing [--files 1000000]

throughput compares it with bare loops, a process a core, over the same images, decoded before the
clock starts. A busy computer shares its cores between more than these, so it prints seconds of the
processor beside seconds of the clock. decoding tells how long JPEGs take at a reduced size,
and how many captions change. listing makes a folder of that many names and lists it.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import click
import numpy as np

from picaption.device import Recognizer, default_bundle
from picaption.device.annotate.annotator import Annotator
from picaption.device.annotate.collection.items import cut_batches
from picaption.device.annotate.collection.sources import open_collection
from picaption.device.annotate.decoding import choose_reduction, decode_for, jpeg_size
from picaption.device.annotate.task import current_cores

PROGRAM = "from picaption.device.cli import main; main()"


@click.group()
def main() -> None:
    """Measure what picaption annotate costs."""


def processor_seconds() -> float:
    """Return the seconds that child processes which have ended have computed."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def copy_images(folder: Path, count: int, target: Path) -> None:
    """Link the first images below a folder into another one, on two levels."""
    paths = sorted(folder.rglob("*.jp*g"))[:count]
    for index, path in enumerate(paths):
        part = target / f"{index // 100:03}"
        part.mkdir(parents=True, exist_ok=True)
        os.symlink(path.resolve(), part / f"{index:06}{path.suffix}")


def run_annotate(images: Path) -> tuple[float, float]:
    """Annotate a folder; return the seconds by the clock and by the processor."""
    with tempfile.TemporaryDirectory() as output:
        before = processor_seconds()
        started = time.perf_counter()
        command = [sys.executable, "-c", PROGRAM, "annotate", str(images), "--output", output]
        subprocess.run([*command, "--batch", "32"], check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - started, processor_seconds() - before


def run_bare(images: Path) -> tuple[float, float]:
    """Recognise a folder in bare loops, one a core; return the seconds, likewise."""
    cores = current_cores()
    command = [sys.executable, "-m", "tools.annotate_cost", "bare", str(images), "--of", str(cores)]
    loops = [
        subprocess.Popen([*command, "--part", str(part)], stdout=subprocess.PIPE)
        for part in range(cores)
    ]
    outputs = [json.loads(loop.communicate()[0]) for loop in loops]
    return max(end["wall"] for end in outputs), sum(end["processor"] for end in outputs)


@main.command("bare")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--part", type=int, required=True)
@click.option("--of", "parts", type=int, required=True)
def bare_command(folder: Path, part: int, parts: int) -> None:
    """Recognise every PARTS-th image, decoded before, and print the seconds."""
    from picaption.device.bundle.bundle import Bundle
    from picaption.device.images import read_image

    recognizer = Recognizer(Bundle(default_bundle(), threads=1))
    images = [read_image(path) for path in sorted(folder.rglob("*.jp*g"))[part::parts]]
    recognizer(images[0])
    started = time.perf_counter()
    computed = time.process_time()
    for image in images:
        recognizer(image)
    print(
        json.dumps(
            {"wall": time.perf_counter() - started, "processor": time.process_time() - computed}
        )
    )


@main.command("throughput")
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--images", "count", default=1000, show_default=True)
@click.option("--pairs", default=3, show_default=True)
def throughput_command(folder: Path, count: int, pairs: int) -> None:
    """Compare annotate with bare loops.

    By the clock, annotate's start counts: two seconds, of ten images and of a million alike. By the
    processor it does not: of two runs, one over a quarter of the images, the difference counts.
    """
    with tempfile.TemporaryDirectory() as parent:
        few, many = Path(parent, "few"), Path(parent, "many")
        copy_images(folder, count // 4, few)
        copy_images(folder, count, many)
        images = count - count // 4
        ratios = []
        for pair in range(pairs):
            short, bare, long = run_annotate(few), run_bare(many), run_annotate(many)
            processor = (long[1] - short[1]) / images
            bare_processor = bare[1] / count
            ratios.append((bare[0] / long[0], bare_processor / processor))
            print(
                f"pair {pair + 1}: annotate {count / long[0]:.1f}/s with its start, "
                f"{processor * 1e3:.2f} ms of a core an image and "
                f"{long[1] - processor * count:.1f} s to start; "
                f"bare loops {count / bare[0]:.1f}/s, {bare_processor * 1e3:.2f} ms; throughput "
                f"{ratios[-1][0]:.1%} by the clock, {ratios[-1][1]:.1%} by the processor",
                flush=True,
            )
        clock, computed = (median(ratio[index] for ratio in ratios) for index in (0, 1))
        print(f"median: {clock:.1%} by the clock, {computed:.1%} by the processor")


@main.command("decoding")
@click.argument("folder", type=click.Path(exists=True, path_type=Path))
@click.option("--images", "count", default=300, show_default=True)
@click.option("--least", default=0, help="Leave out images that are not reduced by so much.")
def decoding_command(folder: Path, count: int, least: int) -> None:
    """Compare decoding at a reduced size with decoding in full."""
    annotator = Annotator()
    shape = annotator.recognizer.model.metadata.input
    seconds = {True: 0.0, False: 0.0}
    reductions: dict[int, int] = {}
    captions = noisy = classes = certain = total = 0
    random = np.random.default_rng(1)
    for path in sorted(folder.rglob("*.jp*g")):
        data = path.read_bytes()
        size = jpeg_size(data)
        reduction = 1 if size is None else choose_reduction(size, max(shape.height, shape.width))
        if reduction < max(2, least):
            continue
        reductions[reduction] = reductions.get(reduction, 0) + 1
        recognitions = []
        for is_scaled in (False, True):
            started = time.process_time()
            image = decode_for(data, str(path), shape.height, shape.width, is_scaled)
            seconds[is_scaled] += time.process_time() - started
            recognitions.append(annotator.recognizer(image))
            if not is_scaled:
                pixels = annotator.recognizer.prepare(image).astype(int)
        full, scaled = recognitions
        noise = random.integers(-1, 2, pixels.shape)
        recognition = annotator.recognizer((pixels + noise).clip(0, 255).astype(np.uint8))
        total += 1
        noisy += full.text != recognition.text
        captions += full.text != scaled.text
        classes += bool(full.classes and full.classes[0].name != scaled.classes[0].name)
        certain += set(full.certain_names) != set(scaled.certain_names)
        if total == count:
            break
    print(
        f"{total} JPEGs at a reduced size ({reductions}): {seconds[False] / total * 1e3:.1f} ms "
        f"each in full, {seconds[True] / total * 1e3:.1f} ms reduced; other captions "
        f"{captions / total:.1%}, other best classes {classes / total:.1%}, other certain classes "
        f"{certain / total:.1%}. For comparison: one level up or down at random in the pixels of "
        f"the network changes {noisy / total:.1%} of the captions"
    )


@main.command("listing")
@click.option("--files", default=1_000_000, show_default=True)
@click.option("--folders", default=1, show_default=True)
def listing_command(files: int, folders: int) -> None:
    """List synthetic files, and tell the memory."""
    with tempfile.TemporaryDirectory() as parent:
        for folder in range(folders):
            (Path(parent) / f"{folder:04}").mkdir()
        for index in range(files):
            # A link to nothing is a name like any other's, and takes no block of the disk.
            os.symlink("x", f"{parent}/{index % folders:04}/photo-{index:09}.jpg")
        program = (
            "import resource, sys, time\n"
            "from tools.annotate_cost import list_folder\n"
            "list_folder(sys.argv[1])\n"
        )
        subprocess.run([sys.executable, "-c", program, parent], check=True)


def list_folder(folder: str) -> None:
    """List a folder in batches, and print how much memory that takes."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    count = batches = 0
    names = set()
    for batch in cut_batches(open_collection([folder]), 128):
        count += len(batch.items)
        batches += 1
        names.add(bytes.fromhex(batch.name))  # As annotate does.
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{count:,} files in {batches:,} batches: {(after - before) / 1024:.1f} MB more than the "
        f"{before / 1024:.0f} MB of the program; {time.process_time() - started:.1f} s of a core"
    )


if __name__ == "__main__":
    main()
