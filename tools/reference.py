"""Write the reference pages: commands, settings, recipes and the Python interface.

    python -m tools.reference

The pages come from click's commands, the dataclasses of settings, and docstrings, so that each text
stands in one place: the program. A test compares the pages in docs/reference with what this writes.
"""

import ast
import dataclasses
import importlib
import inspect
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from picaption.device.bundle import metadata
from picaption.device.cli import picaption
from picaption.device.config.camera import CAMERA_SETTINGS
from picaption.device.config.settings import FIELDS, GROUPS, SECRETS, Event, environment_name
from picaption.models import settings as recipe_settings

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTICE = "<!-- Written by `python -m tools.reference`; edit the program's texts instead. -->"

#: The tables of a bundle's metadata, the outermost first.
METADATA_TYPES = (
    *(metadata.Metadata, metadata.Input, metadata.Beam, metadata.Confidence),
    *(metadata.Silence, metadata.Guidance, metadata.Naming),
)
#: The parts of the Python interface, by the modules that users import them from.
PYTHON_NAMES = {
    "picaption.device": (
        *("Recognizer", "Recognition", "Caption", "Score", "Bundle", "default_bundle"),
        "PicaptionError",
    ),
    "picaption.device.images": ("read_image", "list_images"),
    "picaption.device.recognition.scene": ("SceneTracker",),
    "picaption.device.sources.sources": ("open_source",),
    "picaption.device.teaching.teach": ("teach",),
    "picaption.device.annotate": ("Annotator",),
    "picaption.convert.import_tflite": ("wrap",),
    "picaption.convert.options": ("ImportOptions",),
}


def main() -> None:
    """Write all pages."""
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")
        print(FOLDER / name)


def command_page() -> str:
    """Return the page of all commands, in the order of `picaption --help`."""
    lines = [
        *("# Commands", "", NOTICE, ""),
        "Every command takes `--help`. An error is one line on stderr. The exit code is 0 after "
        "success, 2 after a usage or input error, 75 when a camera failed and a retry may help, "
        "and 130 after Ctrl-C.",
        "",
    ]
    for path, command in walk_commands(picaption, "picaption"):
        lines += command_section(path, command)
    return end_with_newline(lines)


def walk_commands(group: click.Group, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands below a group, each with what the user types."""
    context = click.Context(group, info_name=path)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        yield f"{path} {name}", command
        if isinstance(command, click.Group):
            yield from walk_commands(command, f"{path} {name}")


def command_section(path: str, command: click.Command) -> list[str]:
    """Return the lines about one command: its usage, help and options."""
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    lines = [f"## {path}", "", *help_paragraphs(command.help or ""), f"    {usage}", ""]
    records = [
        record
        for parameter in command.params
        if (record := parameter.get_help_record(context)) and record[1]
    ]
    if records:
        lines += table(("option", ""), [(f"`{record[0]}`", record[1]) for record in records])
    return lines


def help_paragraphs(text: str) -> list[str]:
    """Return a command's help as paragraphs, each on one line with an empty one behind it."""
    lines = []
    for paragraph in inspect.cleandoc(text).replace("\b\n", "").split("\n\n"):
        lines += [markdown(" ".join(paragraph.split())), ""]
    return lines


def configuration_page() -> str:
    """Return the page of the settings of `picaption live`."""
    lines = [
        *("# Configuration", "", NOTICE, ""),
        "`picaption live` takes each setting as an option (`--max-fps 2`), or from a file called "
        "`picaption.toml` (`max_fps = 2`). It looks for that file in the current folder, in "
        "`~/.config/picaption` and in `/etc`; `--config FILE` names another. An option overrides "
        "the environment, and the environment overrides the file. `picaption config` shows every "
        "value and where it comes from.",
        "",
    ]
    for title, names in GROUPS.items():
        lines += [f"## {title}", ""]
        lines += table(("setting", "default", ""), [setting_row(name) for name in names])
    lines += ["## Secrets", "", "The environment can hold a secret, so that no file has to:", ""]
    lines += table(
        ("setting", "variable"), [(f"`{name}`", f"`{environment_name(name)}`") for name in SECRETS]
    )
    lines += [
        "## Events",
        "",
        "A table `[[event]]` has these entries ([how to](../how-to/events.md)):",
        "",
    ]
    lines += table(("entry", "default", ""), list(event_rows()))
    lines += [
        "## Cameras",
        "",
        "A table `[[camera]]` has a `name`, and any of these settings for that camera alone "
        "([how to](../how-to/several-cameras.md)): "
        + ", ".join(f"`{name}`" for name in CAMERA_SETTINGS)
        + ".",
    ]
    return end_with_newline(lines)


def setting_row(name: str) -> tuple[str, str, str]:
    """Return the row of a setting: its name, its default and its help."""
    field = FIELDS[name]
    return f"`{name}`", toml_text(field.default), field.metadata["text"]


def event_rows() -> Iterator[tuple[str, str, str]]:
    """Yield the row of each entry of an event, with what its docstring says of it."""
    texts = attribute_texts(Event)
    for field in dataclasses.fields(Event):
        yield f"`{field.name.rstrip('_')}`", toml_text(field.default), texts[field.name]


def attribute_texts(described: type) -> dict[str, str]:
    """Return what the section Attributes of a class's docstring says of each."""
    section = inspect.getdoc(described).partition("Attributes:\n")[2]  # type: ignore[union-attr]
    entries = re.findall(r"^    (\w+): (.+(?:\n {8,}.+)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in entries}


def recipe_page() -> str:
    """Return the page of the settings of a recipe, under the comments that explain them."""
    lines = [
        *("# Recipes", "", NOTICE, ""),
        "A recipe is a TOML file for [`picaption train`](../how-to/train-your-own.md). It sets "
        'what differs from these defaults. `base = "other.toml"` starts from another recipe, and '
        "`--set NAME=VALUE` overrides one setting.",
        "",
    ]
    for comment, fields in recipe_groups():
        if comment:
            lines += [markdown(comment), ""]
        lines += table(("setting", "type", "default"), fields)
    return end_with_newline(lines)


def recipe_groups() -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Yield the settings of a recipe in groups, each with the comment above it."""
    source = inspect.getsource(recipe_settings)
    tree = ast.parse(source)
    settings = next(
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings"
    )
    fields = [node for node in settings.body if isinstance(node, ast.AnnAssign)]
    lines = source.splitlines()
    comment = ""
    rows: list[tuple[str, str, str]] = []
    for field in fields:
        above = comment_above(lines, field.lineno)
        if above and rows:
            yield comment, rows
            rows = []
        comment = above or comment
        name = ast.unparse(field.target)
        default = getattr(recipe_settings.Settings, name)
        rows.append((f"`{name}`", ast.unparse(field.annotation), toml_text(default)))
    yield comment, rows


def comment_above(lines: list[str], number: int) -> str:
    """Return the comment right above a line, whose number starts at 1."""
    comment: list[str] = []
    for line in reversed(lines[: number - 1]):
        text = line.strip()
        if not text.startswith("#"):
            break
        comment.insert(0, text.lstrip("# "))
    return " ".join(comment)


def bundle_page() -> str:
    """Return the page of a bundle's format: its signatures, its archive and its metadata."""
    lines = [
        *("# Bundle format", "", NOTICE, ""),
        "A bundle is one `.tflite` file. Any TFLite interpreter opens it as a graph, and "
        "`unzip -l` lists the archive behind the graph. `picaption inspect` "
        "shows what a bundle holds.",
        "",
        "## Signatures",
        "",
        "The graph has up to four signatures. Without a captioner there is no `next_word`, and "
        "`encode` returns features alone; without labels there is no `classify`; without names "
        "there is no `name`.",
        "",
    ]
    signatures = [
        ("`encode`", "`image` uint8 [1, H, W, 3]", "`features` [1, F], `context` [1, C], `tags`"),
        ("`next_word`", "`history` int32 [N, order-1], `context`", "`logits` [N, V]"),
        ("`classify`", "`features` [1, F], `caption` [1, V], the word evidence", "`scores`"),
        ("`name`", "`features` [1, F]", "`scores` [1, names]"),
    ]
    lines += table(("signature", "inputs", "outputs"), signatures)
    lines += ["## Archive", ""]
    versions = (
        f"Version {metadata.FORMAT_VERSION} is the current one; picaption reads versions from "
        f"{metadata.OLDEST_VERSION} on."
    )
    members = [
        ("`metadata.json`", "the tables below"),
        ("`labels.txt`", "class names, one per line"),
        ("`vocabulary.txt`", "the captioner's words, one per line"),
        ("`names.tsv`", "the second set of classes, if the bundle has names"),
        ("`examples.bin`", "features of taught pictures, if the bundle keeps them"),
        ("`sha256.txt`", "the hash of all other members and of the graph"),
    ]
    lines += table(("member", "content"), members)
    lines += ["## Metadata", "", versions, ""]
    for described in METADATA_TYPES:
        lines += [f"### {described.__name__}", "", markdown(first_sentence(described)), ""]
        texts = attribute_texts(described)
        fields = [(f"`{name}`", text) for name, text in texts.items()]
        lines += table(("entry", "meaning"), fields)
    return end_with_newline(lines)


def python_page() -> str:
    """Return the page of the Python interface, which mkdocstrings fills in on the site."""
    lines = [
        *("# Python", "", NOTICE, ""),
        "What programs import. On the documentation's site each name has its signature and its "
        "whole docstring.",
        "",
    ]
    for module_name, names in PYTHON_NAMES.items():
        module = importlib.import_module(module_name)
        for name in names:
            lines += [
                f"## {name}",
                "",
                f"`from {module_name} import {name}`",
                "",
                markdown(first_sentence(getattr(module, name))),
                "",
                f"::: {getattr(module, name).__module__}.{name}",
                "",
            ]
    return end_with_newline(lines)


def first_sentence(described: Any) -> str:
    """Return the first paragraph of a docstring."""
    return " ".join((inspect.getdoc(described) or "").partition("\n\n")[0].split())


def table(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """Return the lines of a Markdown table, and an empty one."""
    lines = [row_text(header), "|" + "---|" * len(header)]
    lines += [row_text(tuple(markdown(cell) for cell in row)) for row in rows]
    return [*lines, ""]


def row_text(cells: tuple[str, ...]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(cells) + " |"


def markdown(text: str) -> str:
    """Return text as Markdown shows it: no cell ends early, and no <tag> disappears."""
    parts = re.split(r"(`[^`]*`)", " ".join(text.split()))
    shown = (part if part.startswith("`") else escape(part) for part in parts)
    return "".join(shown).replace("|", "\\|")


def escape(text: str) -> str:
    """Return prose with the characters escaped that Markdown would take as markup."""
    escaped = re.sub(r"([*\[\]])", r"\\\1", text)
    return escaped.replace("<", "&lt;").replace(">", "&gt;")


def toml_text(value: Any) -> str:
    """Return a default as a file of settings has it."""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, str):
        return f'`"{value}"`'
    if isinstance(value, tuple):
        return "`[]`"
    if isinstance(value, float):
        return f"`{value:g}`"
    return f"`{value}`"


def end_with_newline(lines: list[str]) -> str:
    """Return lines as the text of a file."""
    return "\n".join(lines).rstrip("\n") + "\n"


#: The pages that this writes, by their names in docs/reference.
PAGES: dict[str, Callable[[], str]] = {
    "cli.md": command_page,
    "configuration.md": configuration_page,
    "recipe.md": recipe_page,
    "bundle-format.md": bundle_page,
    "python-api.md": python_page,
}


if __name__ == "__main__":
    main()
