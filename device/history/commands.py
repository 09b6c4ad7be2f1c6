"""`picaption history`: a day's digest, files with scenes, and deletion."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from ..atomic import atomic_write
from ..cli import PathType
from ..config.options import some_options
from ..config.settings import expand_home
from ..config.toml import load_config
from ..errors import PicaptionError
from ..log import say


@click.group("history")
def history() -> None:
    """Read, export and delete what a camera saw.

    The history is that of the settings, or of --history.
    """


@history.command("digest")
@click.option("--day", metavar="DATE", default="today", help="Such as yesterday or 2026-11-28.")
@some_options("history")
def digest_command(day: str, config_path: Path | None, **overrides: Any) -> None:
    """Say in a sentence what a day was like."""
    from .reader import HistoryReader, SceneFilter
    from .reports.digest import day_span, make_digest

    wanted_day = datetime.fromtimestamp(_parse(day) / 1000).date()
    begin, end = day_span(wanted_day, None)
    wanted = SceneFilter(since=round(begin * 1000), until=round(end * 1000))
    with closing(HistoryReader(_history_path(overrides, config_path))) as reader:
        say(f"{wanted_day}: {make_digest(reader.walk(wanted), wanted_day).text}")


@history.command("export")
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "jsonl", "zip")),
    default="csv",
    show_default=True,
    help="zip has JSON lines and the thumbnails.",
)
@click.option("--since", metavar="WHEN", help="Only scenes since then, such as yesterday or 14:30.")
@click.option("--until", metavar="WHEN", help="Only scenes before then; a day counts whole.")
@click.option("--class", "class_name", metavar="NAME", help="Scenes with a class that was certain.")
@click.option("--word", metavar="TEXT", help="Scenes whose caption has these words.")
@click.option(
    "--output",
    type=PathType(path_type=Path),
    metavar="FILE",
    help="Where to write; - is standard output.  [default: -]",
)
@some_options("history")
def export_command(
    form: str,
    since: str | None,
    until: str | None,
    class_name: str | None,
    word: str | None,
    output: Path | None,
    config_path: Path | None,
    **overrides: Any,
) -> None:
    """Write scenes as CSV, JSON lines or a zip."""
    from .reader import HistoryReader, SceneFilter
    from .reports.export import export

    begin = None if since is None else _parse(since)
    end = None if until is None else _parse(until, is_end=True)
    wanted = SceneFilter(begin, end, None, class_name, word)
    with closing(HistoryReader(_history_path(overrides, config_path))) as reader:
        pieces = export(reader, wanted, form)
        if output is not None and str(output) != "-":
            _write(output, pieces)
            return
        if form == "zip" and sys.stdout.isatty():
            raise PicaptionError("a zip is nothing for a terminal: add --output FILE")
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


@history.command("delete")
@click.option("--since", metavar="WHEN", required=True, help="From then on, such as yesterday.")
@click.option("--until", metavar="WHEN", required=True, help="Up to then; a day counts whole.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@some_options("history")
def delete_command(
    since: str, until: str, yes: bool, config_path: Path | None, **overrides: Any
) -> None:
    """Delete what was seen in a span of time, for good.

    A scene that went on at --since is deleted too.
    """
    from .reader import HistoryReader, SceneFilter
    from .store import erase_span

    begin = _parse(since)
    end = _parse(until, is_end=True)
    if begin >= end:
        raise PicaptionError("--since has to be before --until")
    file = _history_path(overrides, config_path)
    with closing(HistoryReader(file)) as reader:
        count = reader.count(SceneFilter(begin, end))
    if count and not yes:
        click.confirm(f"Delete {_scenes(count)} from {_local(begin)} to {_local(end)}?", abort=True)
    say(f"{_scenes(erase_span(file, begin, end) if count else 0)} deleted")


def _history_path(overrides: Mapping[str, Any], config_path: Path | None) -> str:
    """Return the history's file; raise PicaptionError if no setting names one."""
    config = expand_home(load_config(overrides, config_path).config)
    if not config.history:
        raise PicaptionError("there is no history: set history in picaption.toml, or --history")
    return config.history


def _write(output: Path, pieces: Iterator[bytes]) -> None:
    """Write a file, completely or not at all."""
    with atomic_write(output) as partial, open(partial, "wb") as file:
        for piece in pieces:
            file.write(piece)


def _parse(text: str, is_end: bool = False) -> int:
    """Return a time in milliseconds since the epoch (see picaption.device.history.search.times)."""
    from .search.times import parse_time

    return parse_time(text, datetime.now(), is_end)


def _scenes(count: int) -> str:
    return "1 scene" if count == 1 else f"{count:,} scenes"


def _local(milliseconds: int) -> str:
    return f"{datetime.fromtimestamp(milliseconds / 1000):%Y-%m-%d %H:%M:%S}"
