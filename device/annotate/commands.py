"""The command `picaption annotate`."""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ..addresses import scheme_of, without_secrets
from ..cli import PathType, beam_option, bundle_option
from ..errors import PicaptionError
from ..log import say
from .annotate import Engine, Summary, annotate_collection, count_in_background
from .annotator import Annotator
from .collection.items import Batch
from .collection.sources import open_collection
from .processes import Progress, run_in_processes, run_inline
from .progress import ProgressLine, format_seconds
from .run import DEFAULT_BATCH, ERRORS, Run, create_run
from .storage.formats import SUFFIXES
from .task import current_cores


@click.command("annotate")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...", type=PathType())
@click.option(
    "--output",
    required=True,
    type=PathType(),
    metavar="DIR",
    help="The folder or address for the rows; a run that was stopped goes on there.",
)
@click.option(
    "--format",
    "output_format",
    type=click.Choice(list(SUFFIXES)),
    default="parquet",
    show_default=True,
    help="Parquet files, JSON lines, Hugging Face's metadata.jsonl, or an XMP sidecar a picture.",
)
@bundle_option
@click.option("--features", is_flag=True, help="Write the encoder's features, too.")
@click.option(
    "--decode",
    type=click.Choice(["scaled", "full"]),
    default="scaled",
    show_default=True,
    help="Decode large JPEGs at 1/2, 1/4 or 1/8, or every picture in full.",
)
@beam_option
@click.option(
    "--batch",
    "batch_size",
    type=click.IntRange(1, 100_000),
    default=DEFAULT_BATCH,
    show_default=True,
    metavar="N",
    help="Pictures that are written at once, about; what a kill may cost each worker.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="Processes on this machine.  [default: one a core]",
)
@click.option(
    "--scheduler",
    metavar="ADDRESS",
    help="Work on the Dask cluster of this scheduler instead, as tcp://HOST:8786.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON.")
def annotate_command(
    sources: Sequence[str],
    output: str,
    output_format: str,
    bundle: Path | None,
    features: bool,
    decode: str,
    beam: int | None,
    batch_size: int,
    workers: int | None,
    scheduler: str | None,
    as_json: bool,
) -> None:
    """Caption all pictures of a collection.

    SOURCE is a folder with all that is below it, a picture, a pattern such as 'photos/**/*.jpg', a
    tar shard as WebDataset has them, or an address such as s3://bucket/photos. A run that was
    stopped or killed goes on where it was when the same command is given.
    """
    started = time.monotonic()
    engine = choose_engine(sources, output, scheduler, workers)
    listing = open_collection(sources)
    annotator = Annotator(bundle, features, decode == "scaled", beam)
    run = create_run(sources, output, output_format, annotator, batch_size)
    progress = ProgressLine()
    count_in_background(lambda: open_collection(sources), progress)
    try:
        summary = annotate_collection(listing, run, batch_size, engine, progress)
    except KeyboardInterrupt:
        say("stopped; the same command goes on", err=True)
        raise
    seconds = time.monotonic() - started
    if as_json:
        say(json.dumps(summary_json(summary, output, seconds)))
    else:
        say(*summary_lines(summary, output, seconds))
    if not summary.rows:
        raise PicaptionError(
            f"none of the pictures can be read; {ERRORS} in {without_secrets(output)} says why"
        )


def choose_engine(
    sources: Sequence[str], output: str, scheduler: str | None, workers: int | None
) -> Engine:
    """Return what does the batches.

    Args:
        sources: The collection's parts.
        output: Where the rows go.
        scheduler: The address of a Dask scheduler; None: this machine does.
        workers: How many processes of this machine; None: one a core.

    Raises:
        PicaptionError: The options contradict each other.
    """
    is_memory = any(scheme_of(text) == "memory" for text in (*sources, output))
    if scheduler is not None:
        if workers is not None:
            raise PicaptionError(
                "--workers are processes of this machine, and --scheduler has its own: give one "
                "of the two"
            )
        if is_memory:
            raise PicaptionError(
                "memory:// is this process's own, which no worker of --scheduler can read; give "
                "an address that all of them reach"
            )
        return _cluster_engine(scheduler)
    if is_memory:
        return run_inline
    count = workers or current_cores()

    def run_locally(run: Run, batches: Iterator[Batch]) -> Iterator[Progress]:
        return run_in_processes(run, batches, count)

    return run_locally


def _cluster_engine(scheduler: str) -> Engine:
    from .cluster import run_on_cluster

    def run_remotely(run: Run, batches: Iterator[Batch]) -> Iterator[Progress]:
        return run_on_cluster(run, batches, scheduler)

    return run_remotely


def summary_json(summary: Summary, output: str, seconds: float) -> dict:
    """Return what a program reads of a run."""
    return {
        "output": without_secrets(output),
        "rows": summary.rows,
        "images": summary.images,
        "skipped": summary.skipped,
        "errors": summary.errors,
        "unreadable": summary.unreadable,
        "seconds": round(seconds, 3),
    }


def summary_lines(summary: Summary, output: str, seconds: float) -> list[str]:
    """Return what people read of a run."""
    shown = without_secrets(output)
    earlier = f", {summary.skipped:,} of them from before" if summary.skipped else ""
    rate = f"{summary.images / seconds:.1f}/s" if seconds > 0 else ""
    lines = [f"{summary.rows:,} rows in {shown}{earlier}; {format_seconds(seconds)}, {rate}"]
    if summary.errors:
        errors = _count(summary.errors)
        lines.append(f"{errors} cannot be read: {shown.rstrip('/')}/{ERRORS} says why")
    if summary.unreadable:
        count = sum(summary.unreadable.values())
        suffixes = " ".join(sorted(summary.unreadable))
        lines.append(f"{_count(count)} left out ({suffixes}); convert them to JPEG")
    return lines


def _count(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"
