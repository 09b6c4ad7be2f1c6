"""A small real data set, a run trained on it and its bundle, for every test that needs one."""

import logging
import os
import sqlite3  # noqa: F401  # Before TensorFlow, see picaption.models.backend.

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest

from picaption.device.log import LOGGERS
from tests import tiny


@pytest.fixture(scope="session", autouse=True)
def cache_folder(tmp_path_factory):
    """A cache folder of the tests' own: what they check is not remembered for the user."""
    from picaption.device.bundle.trust import trust

    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trust, "TRIAL_SECONDS", 200.0)  # A machine of tests may be busy.
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.delenv("CACHE_DIRECTORY", raising=False)
        yield folder


@pytest.fixture(autouse=True)
def untouched_log():
    """The log's loggers are as they were after each test: every command configures them."""
    loggers = [logging.getLogger(name) for name in LOGGERS]
    states = [(logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, (level, handlers) in zip(loggers, states):
        logger.handlers[:] = handlers
        logger.setLevel(level)


@pytest.fixture(scope="session")
def photos():
    """The demo photographs that have captions here, uint8 RGB, by name."""
    return tiny.read_photos()


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """A folder with Flickr8k's layout, a multi-label list and class folders."""
    folder = tmp_path_factory.mktemp("data")
    tiny.write_data(folder)
    return folder


@pytest.fixture(scope="session")
def settings():
    """Settings of a run small enough to train in seconds, through every stage."""
    return tiny.tiny_settings()


@pytest.fixture(scope="session")
def run(tmp_path_factory, data):
    """The folder of a finished training run."""
    folder = tmp_path_factory.mktemp("run")
    tiny.make_run(data, folder)
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, run, data):
    """The path of the int8 bundle made of `run`."""
    path = tmp_path_factory.mktemp("bundle") / "tiny.tflite"
    tiny.make_bundle(run, data, path)
    return path


@pytest.fixture(scope="session")
def class_run(tmp_path_factory, data):
    """The folder of a finished training run on class folders, without captions."""
    from picaption.models.settings import Settings
    from picaption.models.training.train import train

    settings = Settings(
        name="folders",
        folders="folders",
        network="classic",
        size=32,
        finetune_epochs=4,
        finetune_batch=8,
        finetune_learning_rate=1e-3,
    )
    folder = tmp_path_factory.mktemp("class_run")
    train(settings, data, folder)
    return folder
