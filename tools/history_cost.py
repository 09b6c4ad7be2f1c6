"""What the history costs: megabytes that a day writes to the disk, and how long a search takes.

    python -m tools.history_cost BUNDLE --scenes 100000

First a scene a minute is written, each synced as it would be by itself: for a day into a new file,
and for three days into one whose scenes are forgotten after two, so that as many go as come. Then
many more are written at once, with captions and features that are drawn. The searches run on one
core: set OMP_NUM_THREADS=1. The folder for the file (--folder) has to be on a disk: in memory
nothing is written.
"""

import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import click
import numpy as np

from picaption.device import cli
from picaption.device.cli import PathType
from picaption.device.history.captioner.sketch import Sketcher, open_sketcher
from picaption.device.history.reader import HistoryReader, SceneFilter
from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.search.search import HistorySearch
from picaption.device.history.store import HistoryStore
from picaption.device.log import say
from picaption.device.outputs.history.writer import INDEX_SCENES, PRUNE_SECONDS, bytes_written
from picaption.device.recognition.result import Score

MINUTES_A_DAY = 1440
#: Where as many scenes go as come, they are forgotten after so many days, and what is written is
#: measured for so many.
STEADY_DAYS = 2
MEASURED_DAYS = 3
#: Scenes of the day that is written first have these thousandths of a second between them.
MINUTE = 60_000
#: The time of the first scene, in milliseconds since the epoch.
BEGIN = 1_700_000_000_000
QUERIES = ("dog on the grass", "a red car", "two people sitting at a table in a restaurant")
SUBJECTS = ("man", "woman", "dog", "cat", "child", "car", "bus", "bird", "horse", "cup", "table")
PLACES = ("grass", "street", "water", "snow", "beach", "sofa", "road", "field", "kitchen")
#: Features of pictures: two fifths are zeros.
FEATURE_SIZE = 1280


def draw_scene(number: int, sketcher: Sketcher, random: np.random.Generator) -> Scene:
    """Return the scene of a minute, with captions of drawn words."""
    subject, other = random.choice(SUBJECTS, 2)
    captions = [f"a {subject} and a {other} on the {random.choice(PLACES)}" for _ in range(3)]
    begin = BEGIN + MINUTE * number
    return Scene(
        begin,
        begin + MINUTE - 1000,
        "camera",
        captions[0],
        0.8,
        alternatives=tuple(captions[1:]),
        tags=tuple(Score(str(name), 0.8) for name in random.choice(SUBJECTS, 5)),
        classes=(Score(str(subject), 0.9),),
        encoder=sketcher.encoder,
    )


def draw_images(sketcher: Sketcher, random: np.random.Generator) -> list[SceneImage]:
    """Return what is remembered of a thousand images: to sketch each one anew takes long."""
    images = []
    for _ in range(1000):
        features = np.maximum(random.normal(0.3, 1, FEATURE_SIZE), 0).astype(np.float32)
        images.append(SceneImage(quantize(features), sketch=sketcher.sketch(features)))
    return images


def write_day(path: Path, sketcher: Sketcher, images: list[SceneImage]) -> float:
    """Write a day of scenes, a minute each, and return the megabytes that this took."""
    random = np.random.default_rng(0)
    before = bytes_written() or 0
    with closing(HistoryStore(path)) as store:
        store.sync_commits()  # A minute later, the system would have written each by itself.
        for number in range(MINUTES_A_DAY):
            with store.transaction():
                store.add(draw_scene(number, sketcher, random), images[number % len(images)])
            if number % INDEX_SCENES == INDEX_SCENES - 1:
                with store.transaction():
                    store.index(store.unindexed())
        store.copy_log()
    return ((bytes_written() or 0) - before) / 1e6


def write_steadily(path: Path, sketcher: Sketcher, images: list[SceneImage]) -> float:
    """Write for days while older scenes are forgotten, and return the megabytes of a day."""
    random = np.random.default_rng(3)
    prune_minutes = round(PRUNE_SECONDS / 60)
    first = STEADY_DAYS * MINUTES_A_DAY
    last = (STEADY_DAYS + MEASURED_DAYS) * MINUTES_A_DAY
    with closing(HistoryStore(path)) as store:
        for start in range(0, first, INDEX_SCENES):
            with store.transaction():
                numbers = range(start, min(start + INDEX_SCENES, first))
                store.index(
                    [
                        store.add(
                            draw_scene(number, sketcher, random), images[number % len(images)]
                        )
                        for number in numbers
                    ]
                )
        store.copy_log()
        store.sync_commits()
        before = bytes_written() or 0
        for number in range(first, last):
            with store.transaction():
                store.add(draw_scene(number, sketcher, random), images[number % len(images)])
            if number % INDEX_SCENES == 0:
                with store.transaction():
                    store.index(store.unindexed())
            if number % prune_minutes == 0:
                store.prune(STEADY_DAYS, 0, (BEGIN + MINUTE * number) / 1000)
        store.copy_log()
    return ((bytes_written() or 0) - before) / 1e6 / MEASURED_DAYS


def write_more(path: Path, count: int, sketcher: Sketcher, images: list[SceneImage]) -> None:
    """Write scenes until there are `count`, a thousand at once."""
    random = np.random.default_rng(1)
    with closing(HistoryStore(path)) as store:
        for start in range(MINUTES_A_DAY, count, 1000):
            with store.transaction():
                ids = [
                    store.add(draw_scene(number, sketcher, random), images[number % len(images)])
                    for number in range(start, min(start + 1000, count))
                ]
                store.index(ids)


def time_searches(path: Path, bundle: Path) -> Iterator[tuple[str, float]]:
    """Yield what was searched, and the milliseconds that it took."""
    with closing(HistoryReader(path)) as reader:
        search = HistorySearch(bundle)
        for text in ("the first search", *QUERIES, *QUERIES):
            start = time.perf_counter()
            search.by_text(reader, text)
            yield text, (time.perf_counter() - start) * 1e3
        newest = reader.scenes(SceneFilter(), 1)[0]
        start = time.perf_counter()
        search.like(reader, newest.id)
        yield "more like one", (time.perf_counter() - start) * 1e3


@click.command()
@click.argument("bundle", type=PathType(path_type=Path))
@click.option("--scenes", type=click.IntRange(MINUTES_A_DAY), default=100_000, show_default=True)
@click.option("--folder", type=PathType(path_type=Path), help="Where the file is written.")
def main(bundle: Path, scenes: int, folder: Path | None) -> None:
    """Measure what the history writes, and how long a search takes."""
    sketcher = open_sketcher(bundle)
    images = draw_images(sketcher, np.random.default_rng(2))
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = Path(temporary, "history.db")
        say(f"{write_day(path, sketcher, images):.1f} MB a day, by a scene a minute")
        megabytes = write_steadily(Path(temporary, "steady.db"), sketcher, images)
        say(f"{megabytes:.1f} MB a day, while as many scenes are forgotten")
        write_more(path, scenes, sketcher, images)
        say(f"{scenes:,} scenes: {path.stat().st_size / 1e6:.0f} MB")
        for text, milliseconds in time_searches(path, bundle):
            say(f"{milliseconds:6.0f} ms  {text}")


if __name__ == "__main__":
    cli.main(command=main, name="python -m tools.history_cost")
