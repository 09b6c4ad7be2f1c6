"""The command `picaption`: its subcommands are entry points, and only the one called is loaded."""

import functools
import io
import os
import sys
from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, NoReturn

import click

from .errors import PicaptionError, TemporaryError
from .log import configure, one_line

GROUP = "picaption.commands"
#: The commands in the order in which they are used; those of other packages follow.
ORDER = (
    *(
        "image",
        "annotate",
        "live",
        "search",
        "serve",
        "config",
        "doctor",
        "teach",
        "inspect",
        "bench",
        "service",
    ),
    *("flash", "update", "fleet", "train", "convert", "evaluate"),
)
#: Packages that picaption itself does without, and the extra that brings each of them.
EXTRA = {
    "tensorflow": "convert",
    "keras": "convert",
    "pycocoevalcap": "convert",
    "tqdm": "convert",
    "matplotlib": "convert",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "torch": "torch",
    "onnxscript": "torch",
    "starlette": "web",
    "uvicorn": "web",
    "h11": "web",
    "python_multipart": "web",
    "prometheus_client": "metrics",
    "paho": "mqtt",
    "yaml": "flash",
    "distributed": "annotate",
    "fsspec": "annotate",
    "pyarrow": "annotate",
    "cryptography": "fleet",
}
#: Exit codes: of a usage or input error, of one that a retry may mend (sysexits.h), of ctrl-C.
EXIT_ERROR = 2
EXIT_TEMPORARY = 75
EXIT_INTERRUPTED = 130


class PathType(click.Path):
    """A path on a command line; an empty one, as of a variable that is not set, is an error.

    It would be the current folder.
    """

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or fail."""
        if value == "":
            self.fail("the path is empty; '.' is this folder", param, ctx)
        return super().convert(value, param, ctx)


#: Options that several commands have.
bundle_option = click.option(
    "--bundle",
    type=PathType(path_type=Path),
    metavar="PATH",
    help="The bundle to use.  [default: the shipped one]",
)
beam_option = click.option(
    "--beam",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Width of the caption's beam search.  [default: the bundle's]",
)


@functools.cache
def find_commands() -> dict[str, EntryPoint]:
    """Return the entry points of the installed subcommands by name."""
    return {entry.name: entry for entry in entry_points(group=GROUP)}


class Commands(click.Group):
    """A group of the commands that installed packages offer under the entry-point group GROUP."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands' names in the order of use."""
        names = find_commands()
        return [name for name in ORDER if name in names] + sorted(set(names) - set(ORDER))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, or None; one whose packages are missing says so when it runs."""
        entry = find_commands().get(cmd_name)
        if entry is None:
            return None
        try:
            return entry.load()
        except ImportError as error:
            return _unavailable(cmd_name, error)


def _unavailable(name: str, error: ImportError) -> click.Command:
    """Return a command that takes any arguments and raises what its module's import raised."""

    @click.command(
        name,
        help=missing(error),
        add_help_option=False,
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def command() -> None:
        raise error

    return command


def missing(error: ImportError) -> str:
    """Return the line that says what an ImportError lacks and how to get it."""
    package = (error.name or "").partition(".")[0]
    if package in EXTRA:
        return f"this command needs {package}; pip install 'picaption[{EXTRA[package]}]'"
    return f"this command cannot load ({error}); reinstall picaption"


@click.group(
    cls=Commands, name="picaption", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(package_name="picaption", message="%(prog)s %(version)s")
def picaption() -> None:
    """Caption images, and say what they show with tags and classes.

    Offline, on a Raspberry Pi or any computer.
    """


def main(
    arguments: Sequence[str] | None = None,
    command: click.Command = picaption,
    name: str = "picaption",
) -> NoReturn:
    """Run a command line and exit.

    The exit code is 0, or after one line `picaption: ...` for an error 2, or 75 if a retry may mend
    it, such as a camera that fails; after ctrl-C it is 130. Warnings are written as picaption's log
    is, until a command configures it otherwise.

    Args:
        arguments: What follows the program's name; sys.argv by default.
        command: The click command to run.
        name: What help calls the program.
    """
    _secure_standard_streams()
    configure("warning")
    try:
        sys.exit(command.main(arguments, prog_name=name, standalone_mode=False) or 0)
    except click.Abort:
        sys.exit(EXIT_INTERRUPTED)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" (see {context.command_path} --help)" if context else ""
        _fail(error.format_message() + hint)
    except TemporaryError as error:
        _fail(error, EXIT_TEMPORARY)
    except PicaptionError as error:
        _fail(error)
    except ImportError as error:
        _fail(missing(error))
    except MemoryError:
        _fail("there is not enough memory for that; end what else runs, or give less at once")
    except PermissionError as error:
        what = "the system reports" if error.filename is None else error.filename
        _fail(f"{what}: {error.strerror}; check its permissions, and those of its folder")
    except OSError as error:  # A full disk, a device that was unplugged.
        _fail(f"the system reports: {error}")


def _secure_standard_streams() -> None:
    """Give every standard stream a place to write to, and a way to write any text.

    A stream that is closed becomes /dev/null: Python's print would write to standard output in
    place of an error stream that is None, and the next file that is opened would get the number of
    the closed one, and with it what FFmpeg prints. What a terminal's encoding lacks, such as the
    bytes of a file name that is not UTF-8, is written as an escape.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # It gets the lowest free number: this one.
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _fail(message: Any, code: int = EXIT_ERROR) -> NoReturn:
    """Print an error on one line and exit."""
    try:
        print("picaption:", one_line(str(message)), file=sys.stderr)
    except OSError:  # A full disk: the exit code says it all the same.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    sys.exit(code)
