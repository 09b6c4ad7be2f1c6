"""The shell program that compares two architectures: bash takes it, and its paths are there."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tools/aarch64.sh"


@pytest.mark.skipif(not shutil.which("bash"), reason="bash is not installed")
def test_bash_takes_it():
    subprocess.run(["bash", "-n", PROGRAM], check=True)


def test_what_it_names_is_there():
    text = PROGRAM.read_text()
    assert (ROOT / re.search("^bundle=(.*)$", text, re.MULTILINE)[1]).is_file()
    assert list(ROOT.glob(re.search(r"images=\((device.*)\)", text)[1]))
    assert find_spec(re.search("^fingerprint=(.*)$", text, re.MULTILINE)[1])
