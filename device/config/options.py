"""The settings of the live loop as command-line options."""

from pathlib import Path

import click

from .settings import FIELDS, NAME, option_name


def options(command):
    """Give a click command, or the function that will be one, an option for every setting, and --config."""
    for name, field in reversed(FIELDS.items()):
        given = field.metadata
        common = {"help": given["text"] + _default_text(field), "default": None}
        if field.type is bool:
            option = click.option(
                f"{option_name(name)}/{option_name('no_' + name)}", name, **common
            )
        else:
            kind = given["kind"] or (field.type if field.type in (int, float) else str)
            option = click.option(
                option_name(name),
                name,
                type=kind,
                metavar=given["metavar"],
                multiple=name == "event",
                **common,
            )
        command = option(command)
    text = f"The file of settings.  [default: {NAME} here, in the user's folder of settings or in /etc]"
    return click.option(
        "--config", "config_path", metavar="FILE", type=click.Path(path_type=Path), help=text
    )(command)


def _default_text(field):
    if field.type is bool or field.default in ("", (), 0):
        return ""
    return (
        f"  [default: {field.default:g}]"
        if field.type is float
        else f"  [default: {field.default}]"
    )
