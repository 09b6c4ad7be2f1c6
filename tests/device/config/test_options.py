"""The settings as options of a command."""

import click

from picaption.device.config.options import GroupedCommand, options
from picaption.device.config.settings import FIELDS, GROUPS, option_name


@click.command()
@options
def command(**_):
    """Take anything."""


def test_every_setting_is_an_option_and_every_option_a_setting():
    names = {option for parameter in command.params for option in parameter.opts}
    assert names == {option_name(name) for name in FIELDS} | {"--config"}


def test_the_help_ends_with_the_default_where_it_says_something():
    helps = {parameter.name: parameter.help for parameter in command.params}
    assert helps["port"].endswith("  [default: 8080]")
    assert helps["stall"].endswith("  [default: 5]")
    assert "[default" not in helps["quiet"] + helps["max_fps"] + helps["bundle"] + helps["event"]


def test_options_that_are_not_given_are_none():
    values = command.make_context("command", []).params
    assert values.pop("event") == values.pop("camera") == ()
    assert set(values.values()) == {None}


def test_every_setting_is_in_one_group_of_the_help():
    names = [name for group in GROUPS.values() for name in group]
    assert sorted(names) == sorted(FIELDS)
    command = click.command("live", cls=GroupedCommand)(options(lambda **_: None))
    text = command.get_help(click.Context(command))
    assert text.index("Source and bundle:") < text.index("--source") < text.index("Camera:")
    assert text.index("Other options:") < text.index("--config")
