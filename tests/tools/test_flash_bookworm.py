"""Bookworm's proof: its updates still fit the code that they change."""

import subprocess
import sys
from pathlib import Path

import pytest

from picaption.device.flash.payload import ROOT
from tools.flash_bookworm import UPDATES


@pytest.mark.parametrize("update", [update for update in UPDATES if update.file])
def test_an_update_changes_a_line_that_is_there(update):
    text = (ROOT / update.file).read_text()
    assert text.count(update.before) == 1
    compile(text.replace(update.before, update.after), update.file, "exec")


def test_its_help():
    result = subprocess.run(
        [sys.executable, "-m", "tools.flash_bookworm", "--help"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        check=True,
    )
    assert "WORK" in result.stdout
