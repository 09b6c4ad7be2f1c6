"""The device's tests need no TensorFlow: their bundle is the one that is checked in."""

import logging
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

    logger = logging.getLogger("picaption")
    level, handlers = logger.level, logger.handlers[:]
    yield call
    logger.handlers[:] = handlers
    logger.setLevel(level)
