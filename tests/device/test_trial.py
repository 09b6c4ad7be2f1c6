"""The child process that tries a bundle: what it says, and what it may not do."""

import os
import subprocess
import sys

import pytest

from picaption.device.bundle.trust.trust import UNUSABLE, USABLE
from picaption.device.errors import PicaptionError
from picaption.device.trial import CPU_SECONDS, MEMORY_BYTES, recognize_once
from tests.tiny import TINY_BUNDLE

COMMAND = [sys.executable, "-m", "picaption.device.trial"]


def run_limited(program):
    """Run a program in a process whose resources are limited as those of a trial."""
    text = f"from picaption.device.trial import limit_resources\nlimit_resources()\n{program}"
    return subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)


def test_a_good_bundle_ends_it_silently():
    child = subprocess.run(COMMAND, input=TINY_BUNDLE.read_bytes(), capture_output=True)
    assert (child.returncode, child.stdout) == (USABLE, b"")


@pytest.mark.parametrize("data", [b"", b"no bundle", TINY_BUNDLE.read_bytes()[:-9]])
def test_a_bad_one_is_told_in_a_line(data):
    child = subprocess.run(COMMAND, input=data, capture_output=True)
    assert child.returncode == UNUSABLE
    assert child.stdout.startswith(b"/dev/stdin: ") and child.stdout.count(b"\n") == 1


def test_it_does_all_that_a_frame_asks_for():
    recognize_once(TINY_BUNDLE)
    with pytest.raises(PicaptionError):
        recognize_once(TINY_BUNDLE.parent)


def test_it_may_not_write_files(tmp_path):
    path = tmp_path / "written"
    child = run_limited(f"import pathlib; pathlib.Path({str(path)!r}).write_text('x')")
    assert child.returncode == 1 and "File too large" in child.stderr
    assert not path.stat().st_size


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_its_memory_is_limited():
    program = "data = bytearray({})\nprint('had it')"
    assert run_limited(program.format(MEMORY_BYTES // 2)).stdout == "had it\n"
    assert "MemoryError" in run_limited(program.format(MEMORY_BYTES + (64 << 20))).stderr


def test_its_time_is_limited():
    program = "import resource\nprint(resource.getrlimit(resource.RLIMIT_CPU)[0])"
    assert CPU_SECONDS <= int(run_limited(program).stdout) <= CPU_SECONDS + 10
