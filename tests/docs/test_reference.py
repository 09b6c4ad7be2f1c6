"""The reference pages are those that the program's own texts make."""

import dataclasses

import click
import pytest

from picaption.device.bundle import archive
from picaption.device.bundle.metadata import Metadata
from tools.reference import (
    FOLDER,
    PAGES,
    command_section,
    comment_above,
    markdown,
    recipe_groups,
    toml_text,
    walk_commands,
)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name):
    page = (FOLDER / name).read_text(encoding="utf-8")
    assert page == PAGES[name](), "write it again: python -m tools.reference"


@click.command(help="Read FILE.\n\nOne\nline.")
@click.argument("file")
@click.option("--count", metavar="N", help="How many | of <them>.")
@click.option("--secret", hidden=True)
def read(file, count, secret):
    """Stand for a command."""


def test_a_command_has_its_usage_its_help_and_its_options():
    assert command_section("program read", read) == [
        "## program read",
        "",
        "Read FILE.",
        "",
        "One line.",
        "",
        "    program read [OPTIONS] FILE",
        "",
        "| option |  |",
        "|---|---|",
        "| `--count N` | How many \\| of &lt;them&gt;. |",
        "",
    ]


def test_commands_of_groups_are_walked_and_hidden_ones_are_not():
    hidden = click.Command("gone", hidden=True)
    inner = click.Group("inner", commands={"read": read, "gone": hidden})
    outer = click.Group("outer", commands={"inner": inner})
    assert [path for path, _ in walk_commands(outer, "outer")] == [
        "outer inner",
        "outer inner read",
    ]


def test_the_comment_above_a_setting_is_one_paragraph():
    lines = ["a: int = 1", "# Two lines,", "    # as one.", "b: int = 2"]
    assert comment_above(lines, 4) == "Two lines, as one."
    assert comment_above(lines, 1) == ""


def test_the_bundle_page_names_every_member_and_signature():
    page = PAGES["bundle-format.md"]()
    members = {*archive.MEMBERS, archive.NAMES, archive.EXAMPLES, archive.HASH}
    assert {name for name in members if f"| `{name}` |" not in page} == set()
    signatures = {line.split("`")[1] for line in page.splitlines() if line.startswith("| `")}
    assert {"encode", "next_word", "classify", "name"} <= signatures
    assert {f.name for f in dataclasses.fields(Metadata)} <= signatures


def test_every_setting_of_a_recipe_is_in_one_group():
    names = [row[0] for _, rows in recipe_groups() for row in rows]
    assert len(set(names)) == len(names)
    assert {"`name`", "`order`", "`silent_sharpness`"} <= set(names)


def test_code_stays_as_it_is():
    assert markdown("see `<a>|b` and <c>|d") == "see `<a>\\|b` and &lt;c&gt;\\|d"


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "`true`"), (0.5, "`0.5`"), (100.0, "`100`"), ("", '`""`'), ((), "`[]`"), (3, "`3`")],
)
def test_a_default_is_written_as_a_file_has_it(value, text):
    assert toml_text(value) == text
