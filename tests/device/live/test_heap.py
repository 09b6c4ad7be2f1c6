"""Memory that was freed goes back to the system."""

import platform
import subprocess
import sys

import pytest

#: Frees a large block, as an image, and then twenty of a megabyte with small ones between them.
PROGRAM = """
from pathlib import Path
from picaption.device.live.heap import bound_heap

def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

bound_heap()
large = bytearray(8 << 20)
del large
blocks = [(bytearray(1 << 20), bytearray(1 << 16)) for _ in range(20)]
before = resident_bytes()
small = [pair[1] for pair in blocks]
del blocks
print(before - resident_bytes())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it sets glibc")
def test_what_was_freed_between_small_blocks_goes_back():
    command = [sys.executable, "-c", PROGRAM]
    output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    assert int(output.stdout) > 18 << 20
