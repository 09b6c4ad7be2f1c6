"""Keras is imported without a word on stderr."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from picaption.models.backend import load_keras
load_keras()
assert "keras" in sys.modules
print(os.environ["TF_CPP_MIN_LOG_LEVEL"])
"""


@pytest.mark.parametrize("level", [None, "2"])
def test_the_backend_is_silent_and_its_level_can_be_set(level):
    environment = {k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
    if level:
        environment["TF_CPP_MIN_LOG_LEVEL"] = level
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, f"{level or 3}\n", "")
