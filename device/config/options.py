"""The settings of the live loop as command-line options."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..cli import PathType
from .settings import FIELDS, GROUPS, NAME, option_name


class GroupedCommand(click.Command):
    """A command whose help lists the options of the settings in GROUPS."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options into the help."""
        records = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                records[parameter.name] = record
        for title, names in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([records.pop(name) for name in names])
        with formatter.section("Other options"):
            formatter.write_dl(list(records.values()))


def options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add an option for every setting, and --config, to a click command or its function."""
    return some_options(*FIELDS)(command)


def some_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what adds an option for each of these settings, and --config, to a command."""

    def add(command: Callable[..., Any]) -> Callable[..., Any]:
        for name in reversed(names):
            command = _option(FIELDS[name])(command)
        return _config_option(command)

    return add


def _config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    text = f"File of settings.  [default: {NAME} here, in ~/.config/picaption or in /etc]"
    return click.option(
        "--config", "config_path", metavar="FILE", type=PathType(path_type=Path), help=text
    )(command)


def _option(field: dataclasses.Field) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the option of a setting, None if it is not on the command line."""
    text = field.metadata["text"] + _default_text(field)
    if field.type is bool:
        names = f"{option_name(field.name)}/{option_name('no_' + field.name)}"
        return click.option(names, field.name, help=text, default=None)
    click_type = field.metadata["click_type"]
    if click_type is None:
        click_type = field.type if field.type in (int, float) else str
    return click.option(
        option_name(field.name),
        field.name,
        type=click_type,
        metavar=field.metadata["metavar"],
        multiple=field.name in ("event", "camera"),
        help=text,
        default=None,
    )


def _default_text(field: dataclasses.Field) -> str:
    """Return how the help ends: with the default, if it says something."""
    if field.type is bool or field.default in ("", (), 0):
        return ""
    if field.type is float:
        return f"  [default: {field.default:g}]"
    return f"  [default: {field.default}]"
