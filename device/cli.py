"""The command `picaption`: finds its subcommands among the installed entry points, and loads one only to use it."""

import functools
import sys
from importlib.metadata import entry_points

import click

from .errors import PicaptionError, TemporaryError

GROUP = "picaption.commands"
#: Packages that picaption does without, and the extra that brings each.
EXTRA = dict.fromkeys(("tensorflow", "keras", "pycocoevalcap", "tqdm", "matplotlib"), "convert") | {
    "starlette": "web",
    "uvicorn": "web",
    "paho": "mqtt",
    "yaml": "flash",
}


@functools.cache
def find_commands():
    """Return the entry points of the subcommands that are installed, by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


class Commands(click.Group):
    """A group of the commands that the installed packages offer under the entry-point group GROUP."""

    def list_commands(self, ctx):
        """Return the commands' names, sorted."""
        return sorted(find_commands())

    def get_command(self, ctx, name):
        """Return the click command `name`, or None; where its packages are missing, one that says so when run."""
        entry = find_commands().get(name)
        if entry is None:
            return None
        try:
            return entry.load()
        except ImportError as error:
            return _unavailable(name, error)


def _unavailable(name, error):
    """Return a command that takes anything and raises the `error` that its module's import raised."""

    @click.command(
        name,
        help=missing(error),
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def command():
        raise error

    return command


def missing(error):
    """Return the one line that says what the ImportError `error` lacks and how to get it."""
    package = (error.name or "").partition(".")[0]
    if package in EXTRA:
        return f"this command needs {package}; pip install 'picaption[{EXTRA[package]}]'"
    return f"this command cannot load ({error}); reinstall picaption"


@click.group(
    cls=Commands, name="picaption", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="picaption", message="%(prog)s %(version)s")
def picaption():
    """Says what a picture shows: a caption, tags and classes, offline, on a Raspberry Pi or any computer."""


def main(arguments=None, command=picaption, name="picaption"):
    """Run the command line of a click `command` and exit: 0, 2 after one line `picaption: ...` for an error, 75 after one
    for what another try may mend, a camera that fails, 130 after ctrl-C."""
    try:
        sys.exit(command.main(arguments, prog_name=name, standalone_mode=False) or 0)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        help_text = f" (see {error.ctx.command_path} --help)" if getattr(error, "ctx", None) else ""
        _fail(error.format_message() + help_text)
    except TemporaryError as error:
        _fail(error, 75)
    except PicaptionError as error:
        _fail(error)
    except ImportError as error:
        _fail(missing(error))
    except OSError as error:  # a full disk, a device taken away
        _fail(f"the system reports: {error}")


def _fail(message, code=2):
    """Print the one line of an error and exit with `code`."""
    print("picaption:", " ".join(str(message).split()), file=sys.stderr)
    sys.exit(code)
