"""The one way to a bundle that this machine does not know: it is verified, tried, remembered."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ...errors import PicaptionError, TemporaryError
from ..archive import Identity, read_identity
from .graph_check import check_graph
from .known import is_remembered, remember

#: What runs a bundle in the child process: picaption.device.trial, which stands above this package.
TRIAL = "picaption.device.trial"
#: How a child process ends that has opened a bundle and recognised something with it, and one that
#: says in one line why it could not.
USABLE = 0
UNUSABLE = 2
#: Where the child process reads the bundle: the bytes that were verified, whatever the file is now.
CHILD_INPUT = "/dev/stdin"
#: Seconds that a child process may take in all; most of them would be its start on a small board.
#: A service is ended by its watchdog after 30.
TRIAL_SECONDS = 20.0

_UNTRUSTWORTHY = "get a fresh copy from where it was made"


def need_trust(
    data: bytes,
    graph: bytes,
    path: str | Path,
    shipped: Path | None = None,
    try_out: Callable[[bytes, str | Path], None] | None = None,
) -> None:
    """Check a bundle unless it is known: the shipped one, made here, or checked before.

    Args:
        data: The bytes of the bundle, whose archive has been accepted.
        graph: The graph in it.
        path: What errors call it.
        shipped: The path of the bundle that came with picaption.
        try_out: Raises PicaptionError for a bundle that is unusable; None: try_in_child.

    Raises:
        PicaptionError: It would not work, or end the program.
    """
    identity = read_identity(io.BytesIO(data))
    if shipped is not None and identity == _shipped_identity(shipped, os.stat(shipped).st_mtime_ns):
        return
    if is_remembered(identity):
        return
    need_valid_graph(graph, path)
    (try_out or try_in_child)(data, path)
    remember(identity)


def remember_made_here(path: Path) -> None:
    """Note a bundle that this program has made, so that it opens at once."""
    remember(read_identity(path))


def need_valid_graph(graph: bytes, path: str | Path) -> None:
    """Raise PicaptionError unless a graph is one that a runtime can be given.

    Args:
        graph: The bytes of a TFLite flatbuffer.
        path: What the error calls it.
    """
    try:
        check_graph(graph)
    except ValueError as error:
        raise PicaptionError(
            f"{path}: its graph cannot be used here: {error}; {_UNTRUSTWORTHY}"
        ) from None


def try_in_child(data: bytes, path: str | Path) -> None:
    """Open a bundle and recognise something with it in a child process that may break.

    Args:
        data: The bytes of the bundle.
        path: What errors call it.

    Raises:
        PicaptionError: The bundle is unusable.
    """
    run_in_child(TRIAL, data, path, TRIAL_SECONDS)


def run_in_child(module: str, data: bytes, path: str | Path, seconds: float) -> str:
    """Run a module that uses a graph from elsewhere in a child process that may break.

    Args:
        module: The module, which ends with USABLE, or with UNUSABLE after one line that says why.
        data: What it reads from its standard input.
        path: What errors call the file that the graph is in.
        seconds: How long it may take in all.

    Returns:
        What it has printed.

    Raises:
        PicaptionError: The graph is unusable.
    """
    # The child finds what this process finds, and nothing in the folder that it happens to run in.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-B", "-m", module]
    try:
        child = subprocess.run(
            command, input=data, capture_output=True, env=environment, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        # What it may compute is limited in the child: this is a machine with too much to do.
        raise TemporaryError(
            f"{path}: it cannot be tried within {seconds:.0f} s; end what else runs"
        ) from None
    except OSError as error:  # No memory or no process is left.
        raise TemporaryError(f"{path}: it cannot be checked: {error.strerror}") from None
    need_usable(child.returncode, child.stdout, path)
    return child.stdout.decode(errors="replace")


def need_usable(code: int, output: bytes, path: str | Path) -> None:
    """Raise PicaptionError unless a child process has found its bundle usable.

    Args:
        code: How it ended: an exit code, or minus a signal.
        output: What it has printed.
        path: What the error calls the bundle.
    """
    if code == USABLE:
        return
    line = " ".join(output.decode(errors="replace").split())
    if code == UNUSABLE and line:
        raise PicaptionError(line.replace(CHILD_INPUT, str(path)))
    if code == -signal.SIGXCPU:
        raise PicaptionError(f"{path}: a recognition with it takes too long; {_UNTRUSTWORTHY}")
    cause = f"exit code {code}"
    if code < 0:
        cause = signal.Signals(-code).name
    raise PicaptionError(
        f"{path}: its graph ends the program that opens it ({cause}); {_UNTRUSTWORTHY}"
    )


@lru_cache(maxsize=4)
def _shipped_identity(path: Path, changed: int) -> Identity:
    """Return the Identity of the shipped bundle, whose file was changed at this time."""
    return read_identity(path)
