"""The child's leave: what it gives up, and what it does without."""

import os
import subprocess
import sys

from picaption.device.outputs.web.api.child.program import give_way, limit_resources


def test_a_child_that_may_not_step_back_answers_all_the_same(monkeypatch):
    def refuse(increment):
        raise PermissionError(1, "Operation not permitted")  # As a service's system calls may be.

    monkeypatch.setattr(os, "nice", refuse)
    give_way()


def test_a_child_writes_no_file_or_one_of_bounded_size(tmp_path):
    program = (
        "import sys\n"
        f"from {limit_resources.__module__} import limit_resources\n"
        "limit_resources(int(sys.argv[1]))\n"
        "try:\n"
        "    with open(sys.argv[2], 'wb', buffering=0) as file:\n"
        "        file.write(bytes(10))\n"
        "        file.write(bytes(10))\n"
        "except OSError as error:\n"
        "    sys.exit(error.errno)\n"
    )
    path = tmp_path / "file"
    for most, size in ((0, 0), (10, 10), (20, 20)):
        subprocess.run([sys.executable, "-c", program, str(most), path], check=False)
        assert path.stat().st_size == size
