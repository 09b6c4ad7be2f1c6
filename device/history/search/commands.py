"""`picaption search`: what the camera saw, by words and by what they mean."""

import json
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ...config.options import some_options
from ...config.settings import expand_home
from ...config.toml import load_config
from ...errors import PicaptionError
from ...log import say
from ...signing.policy import require_signatures
from ..reader import HistoryReader, HistorySummary, SceneFilter
from ..reports.forms import scene_json
from .search import HistorySearch, Hit
from .times import parse_time

#: Days whose mean is told as what the history writes a day.
WRITTEN_DAYS = 7


@click.command("search")
@click.argument("query", nargs=-1, metavar="QUERY...")
@click.option("--since", metavar="WHEN", help="Only scenes since then, such as yesterday or 14:30.")
@click.option("--until", metavar="WHEN", help="Only scenes before then; a day counts whole.")
@click.option("--camera", metavar="NAME", help="Only scenes of this camera.")
@click.option(
    "--like",
    type=int,
    metavar="ID",
    help="Scenes whose picture is like that of one; QUERY too, if any.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    metavar="N",
    help="How many scenes at most.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
@some_options("history", "bundle")
def search_command(
    query: tuple[str, ...],
    since: str | None,
    until: str | None,
    camera: str | None,
    like: int | None,
    limit: int,
    as_json: bool,
    config_path: Path | None,
    **overrides: Any,
) -> None:
    """Search what the camera saw.

    QUERY is a sentence or some words, such as "dog on the grass". Scenes are found by the words of
    their captions and classes, and by how likely the captioner finds the sentence for their
    picture, whatever the caption said. The history is that of the settings, or of --history.
    """
    text = " ".join(query)
    if not text.strip() and like is None:
        raise PicaptionError("say what to search for, or give --like with the id of a scene")
    config = expand_home(load_config(overrides, config_path).config)
    require_signatures(config.public_keys)
    if not config.history:
        raise PicaptionError("there is no history: set history in picaption.toml, or --history")
    now = datetime.now()
    wanted = SceneFilter(
        since=None if since is None else parse_time(since, now),
        until=None if until is None else parse_time(until, now, is_end=True),
        camera=camera,
    )
    with closing(HistoryReader(config.history)) as reader:
        search = HistorySearch(config.bundle or None)
        if like is not None and reader.scene(like) is None:
            raise PicaptionError(f"there is no scene {like}; --json shows the scenes' ids")
        if like is not None and not text.strip():
            hits = search.like(reader, like, wanted, limit)
        else:
            hits = search.by_text(reader, text, wanted, limit, like)
        summary = reader.summary()
    for hit in hits:
        say(json.dumps(hit_to_json(hit)) if as_json else describe_hit(hit, now))
    if not hits:
        say("nothing was found", err=True)
    if not as_json:
        say(describe_summary(summary, config.history), err=True)


def hit_to_json(hit: Hit) -> dict[str, Any]:
    """Return the JSON form of a hit: that of its scene, its score and how it was found."""
    return {
        **scene_json(hit.scene),
        "score": round(hit.score, 5),
        "found_by": list(hit.found_by),
    }


def describe_hit(hit: Hit, now: datetime) -> str:
    """Return a hit as a line for people."""
    scene = hit.scene
    begin = datetime.fromtimestamp(scene.begin_seconds)
    end = datetime.fromtimestamp(scene.end_seconds)
    day = "today     " if begin.date() == now.date() else begin.date().isoformat()
    span = f"{begin:%H:%M:%S}-{end:%H:%M:%S}"
    classes = ", ".join(f"{score.name} {score.score:.2f}" for score in scene.classes)
    text = scene.text or "no caption"
    if scene.unsure:
        text = f"perhaps {text}"
    return f"{day} {span}  {text}" + (f"  [{classes}]" if classes else "")


def describe_summary(summary: HistorySummary, path: str) -> str:
    """Return a line that tells how much a history holds, and what it writes to the disk."""
    if summary.begin is None:
        return f"{path}: no scenes yet"
    begin = datetime.fromtimestamp(summary.begin / 1000).date()
    text = f"{path}: {summary.scenes:,} scenes since {begin}, {summary.file_bytes / 1e6:.1f} MB"
    written = list(summary.written.values())[:WRITTEN_DAYS]
    if written:
        text += f"; {sum(written) / len(written) / 1e6:.1f} MB a day written to the disk"
    return text
