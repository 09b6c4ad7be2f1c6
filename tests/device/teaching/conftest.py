"""What the tests of teaching share."""

import shutil

import pytest


@pytest.fixture
def folder(data, tmp_path):
    """Class folders of eight pictures each, to be changed as one likes."""
    return shutil.copytree(data / "folders", tmp_path / "classes")
