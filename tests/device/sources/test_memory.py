"""The limit for what frames may take: several at once, and what this process has started."""

import resource
import subprocess
import sys

import numpy as np
import pytest

from picaption.device.sources.memory import MemoryLimit, release_process

MEGABYTE = 1 << 20


def soft_limit():
    return resource.getrlimit(resource.RLIMIT_DATA)[0]


def test_the_lowest_limit_holds_until_it_is_closed():
    before = soft_limit()
    high = MemoryLimit(512 * MEGABYTE)
    allowed = soft_limit()
    low = MemoryLimit(64 * MEGABYTE)
    assert soft_limit() == low.bytes < allowed == high.bytes
    with pytest.raises(MemoryError):
        np.ones(100 * MEGABYTE, np.uint8)
    low.close()
    low.close()
    assert soft_limit() == allowed
    assert np.ones(100 * MEGABYTE, np.uint8).all()
    high.close()
    assert soft_limit() == before


def test_a_program_that_was_started_is_freed_of_it():
    before = soft_limit()
    limit = MemoryLimit(64 * MEGABYTE)
    program = (
        "import resource, sys; sys.stdin.read(1); "
        "print(resource.getrlimit(resource.RLIMIT_DATA)[0])"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    release_process(child.pid)
    assert child.communicate("x")[0] == f"{before}\n"
    release_process(child.pid)  # It has ended.
    limit.close()
