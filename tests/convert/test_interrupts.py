"""A conversion that is ended leaves nothing half done."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from picaption.convert.interrupts import ended_by_signals
from tests.processes import default_sigint

#: A file that a bundle may be written over begins as TFLite files do.
BEFORE = b"\x1c\0\0\0TFL3 what was there"
ROOT = Path(__file__).parents[2]
PROGRAM = "from picaption.device.cli import main; main()"


def test_sigterm_raises_the_exit_code_of_a_shell():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as stop, ended_by_signals():
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_conversion_that_is_ended_leaves_nothing(run, data, tmp_path, signal_number, code):
    folder = tmp_path / "out"
    temporary = tmp_path / "temporary"
    folder.mkdir()
    temporary.mkdir()
    output = folder / "mine.tflite"
    output.write_bytes(BEFORE)
    arguments = [run, "--representative", data / "images", "--output", output]
    arguments += ["--report", folder / "report.html"]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "convert", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=default_sigint,
    )
    unchecked = Path(f"{output}.unchecked")
    start = time.monotonic()
    while not unchecked.exists() and process.poll() is None and time.monotonic() - start < 120:
        time.sleep(0.01)
    process.send_signal(signal_number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert [path.name for path in folder.iterdir()] == ["mine.tflite"]
    assert output.read_bytes() == BEFORE
    assert list(temporary.iterdir()) == []
