"""The device's tests need no TensorFlow: their bundle is the one that is checked in."""

import shutil

import pytest

from tests.tiny import TINY_BUNDLE


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """The path of a copy of the small bundle (tools/make_tiny_bundle.py)."""
    return shutil.copy(TINY_BUNDLE, tmp_path_factory.mktemp("bundle") / "tiny.tflite")
