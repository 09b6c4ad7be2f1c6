"""Child processes of tests: those that get signals, and Java, which takes long."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

import pytest


def default_sigint() -> None:
    """Take SIGINT as in a terminal: for Popen's preexec_fn.

    A shell starts programs in its background with SIGINT ignored, and children inherit that.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def no_java() -> Iterator[None]:
    """Let the metrics of captions find no Java, as on a computer without it."""
    with pytest.MonkeyPatch.context() as patch:
        no_programs = SimpleNamespace(which=lambda name: None)
        patch.setattr("picaption.models.evaluation.metrics.shutil", no_programs)
        yield
