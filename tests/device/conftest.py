"""The device's tests need no TensorFlow: their bundle is the one that is checked in."""

import os
import shutil

import pytest

from picaption.device import cli
from tests.tiny import TINY_BUNDLE


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """The path of a copy of the small bundle (tools/make_tiny_bundle.py)."""
    return shutil.copy(TINY_BUNDLE, tmp_path_factory.mktemp("bundle") / "tiny.tflite")


@pytest.fixture
def call(capfd):
    """Runs `picaption` in this process; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main([str(argument) for argument in arguments])
        return (exit.value.code, *capfd.readouterr())

    return call


@pytest.fixture
def vcgencmd(tmp_path, monkeypatch):
    """Puts a vcgencmd on the path that prints `text` for the argument `name`, and else fails."""

    def install(name, text):
        program = tmp_path / "bin" / "vcgencmd"
        program.parent.mkdir()
        program.write_text(f"#!/bin/sh\n[ \"$1\" = {name} ] || exit 1\ncat <<'END'\n{text}END\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    return install
