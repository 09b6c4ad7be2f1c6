"""How well the history's search finds a picture by a caption that a person wrote of it.

    python -m picaption.models.evaluation.retrieval BUNDLE CAPTIONS IMAGES --split LIST

Every picture of a caption file becomes a scene of a history, as `picaption live` would remember it.
Then each caption is a query, and R@k the share of those whose own picture is among the first k
(Hodosh, Young and Hockenmaier, "Framing Image Description as a Ranking Task", JAIR 47, 2013). By
words is FTS5 over captions, other captions, tags and classes; by meaning is the captioner's
likelihood ratio; both is what `picaption search` does.
"""

import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import click
import numpy as np

from picaption.device import cli
from picaption.device.atomic import read_text
from picaption.device.cli import PathType
from picaption.device.errors import PicaptionError
from picaption.device.history.captioner.sketch import open_sketcher
from picaption.device.history.reader import HistoryReader
from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.search.search import MEANING, WORDS, HistorySearch, fuse
from picaption.device.history.search.words import split_words
from picaption.device.history.store import HistoryStore
from picaption.device.images import read_image
from picaption.device.log import say
from picaption.device.recognition.recognizer import Recognizer
from picaption.device.recognition.result import Recognition, Score

from ..data.readers import read_caption_texts

#: The k of the recalls.
RECALL_AT = (1, 5, 10)
#: The ways to search that are compared: the names of the rankings that each uses.
WAYS = {"words": (WORDS,), "meaning": (MEANING,), "both": (WORDS, MEANING)}


@dataclass(frozen=True)
class RetrievalFigures:
    """How well one way to search finds pictures.

    Attributes:
        way: "words", "meaning" or "both".
        images: How many there are.
        queries: How many captions were looked for.
        recall: Percent of the queries whose picture is among the first k, by k.
        median_rank: Of the picture that is looked for; infinite where more than half are not found.
        mean_results: How many pictures a query finds, in the mean.
        query_ms: Median milliseconds of a query by all ways together.
    """

    way: str
    images: int
    queries: int
    recall: dict[int, float]
    median_rank: float
    mean_results: float
    query_ms: float


def write_history(
    path: Path, recognizer: Recognizer, bundle: Path, images: Iterable[Path]
) -> dict[str, int]:
    """Write a history with a scene for each image.

    Args:
        path: The new history.
        recognizer: Recognises the images.
        bundle: Its bundle.
        images: The files.

    Returns:
        The scenes' ids by the files' names.
    """
    sketcher = open_sketcher(bundle)
    ids = {}
    with closing(HistoryStore(path)) as store, store.transaction():
        for number, file in enumerate(images, 1):
            recognition = recognizer(read_image(file))
            image = SceneImage()
            if recognition.encoded is not None:
                features = recognition.encoded.features[0]
                image = SceneImage(quantize(features), sketch=sketcher.sketch(features))
            scene = to_scene(number * 1000, recognition, sketcher.encoder)
            ids[file.name] = store.add(scene, image)
        store.index(ids.values())
    return ids


def to_scene(scene_id: int, recognition: Recognition, encoder: str) -> Scene:
    """Return the scene of a single image."""
    caption = recognition.caption
    scores = {score.name: score.score for score in recognition.classes}
    threshold = recognition.threshold or 0.0
    classes = [Score(name, scores.get(name, threshold)) for name in recognition.certain_names]
    return Scene(
        scene_id,
        scene_id,
        caption=None if caption is None else caption.text,
        alternatives=() if caption is None else caption.alternatives,
        tags=recognition.tags,
        classes=tuple(classes),
        silence=recognition.silence,
        encoder=encoder,
    )


def measure_retrieval(
    history: Path, search: HistorySearch, queries: Sequence[tuple[int, str]]
) -> list[RetrievalFigures]:
    """Search for scenes by captions, in every way.

    Args:
        history: The history.
        search: Searches it.
        queries: The scene that is looked for, and the caption, of each.
    """
    ranks: dict[str, list[float]] = {way: [] for way in WAYS}
    result_counts: dict[str, list[int]] = {way: [] for way in WAYS}
    times = []
    with closing(HistoryReader(history)) as reader:
        image_count = reader.summary().scenes
        for scene_id, text in queries:
            start = time.perf_counter()
            rankings = search.rankings(reader, split_words(text))
            times.append(time.perf_counter() - start)
            for way, names in WAYS.items():
                used = [(name, ids) for name, ids in rankings if name in names]
                order = [number for number, _, _ in fuse(used, search.WEIGHTS)]
                result_counts[way].append(len(order))
                ranks[way].append(order.index(scene_id) + 1 if scene_id in order else np.inf)
    query_ms = float(np.median(times)) * 1e3
    return [
        RetrievalFigures(
            way,
            image_count,
            len(queries),
            {k: round(100 * float(np.mean(np.array(ranks_of_way) <= k)), 1) for k in RECALL_AT},
            float(np.median(ranks_of_way)),
            round(float(np.mean(result_counts[way])), 1),
            round(query_ms, 1),
        )
        for way, ranks_of_way in ranks.items()
    ]


def evaluate_retrieval(
    bundle: Path,
    captions: Path,
    images: Path,
    split: Path | None = None,
    per_image: int | None = None,
    threads: int | None = None,
) -> list[RetrievalFigures]:
    """Return how well captions find their pictures.

    Args:
        bundle: The bundle.
        captions: A caption file, as `picaption evaluate` takes it.
        images: The folder of its images.
        split: The names of those that count, a line each; None: all.
        per_image: How many captions of each are queries; None: all.
        threads: To compute with.

    Raises:
        PicaptionError: A file cannot be read, or none of the captions is of an image.
    """
    texts = read_caption_texts(captions)
    names = list(texts)
    if split is not None:
        names = [name.strip() for name in read_text(split).splitlines() if name.strip()]
    names = [name for name in names if name in texts]
    if not names:
        raise PicaptionError(f"{captions} has no caption of these images; check --split")
    with tempfile.TemporaryDirectory() as folder:
        history = Path(folder, "history.db")
        recognizer = Recognizer(str(bundle), threads)
        ids = write_history(history, recognizer, bundle, (images / name for name in names))
        queries = [
            (ids[Path(name).name], text) for name in names for text in texts[name][:per_image]
        ]
        return measure_retrieval(history, HistorySearch(bundle), queries)


@click.command()
@click.argument("bundle", type=PathType(path_type=Path))
@click.argument("captions", type=PathType(path_type=Path))
@click.argument("images", type=PathType(path_type=Path))
@click.option("--split", type=PathType(path_type=Path), metavar="LIST", help="Only these images.")
@click.option(
    "--captions-per-image", type=click.IntRange(1), metavar="N", help="Queries of each image."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def main(
    bundle: Path,
    captions: Path,
    images: Path,
    split: Path | None,
    captions_per_image: int | None,
    as_json: bool,
) -> None:
    """Measure how well captions find their pictures in a history."""
    figures = evaluate_retrieval(bundle, captions, images, split, captions_per_image, threads=1)
    if as_json:
        say(*(json.dumps(asdict(row)) for row in figures))
        return
    first = figures[0]
    say(f"{first.images} pictures, {first.queries} captions, {first.query_ms} ms a query")
    say("by         " + "".join(f"   R@{k:<3}" for k in RECALL_AT) + "   median rank   results")
    for row in figures:
        recalls = "".join(f"{row.recall[k]:8.1f}" for k in RECALL_AT)
        say(f"{row.way:11}{recalls}   {row.median_rank:<11g}   {row.mean_results:g}")


if __name__ == "__main__":
    cli.main(command=main, name="python -m picaption.models.evaluation.retrieval")
