"""Programs: a few at once, none for too long, and none is left behind."""

import os
import sys
import time

import pytest

from picaption.device.outputs.events.programs import ProgramRunner
from tests.device.fakes.servers import wait_for

SLEEPER = "import subprocess, sys, time; subprocess.Popen(['sleep', '100']); time.sleep(100)"


def test_a_program_that_cannot_be_run_is_logged_once(caplog):
    programs = ProgramRunner()
    for _ in range(3):
        programs.run(["/nosuchprogram"])
    programs.close()
    assert [record.message for record in caplog.records] == [
        "event: /nosuchprogram cannot be run: [Errno 2] No such file or directory: '/nosuchprogram'"
    ]


def test_at_most_four_programs_run_at_once_and_none_for_too_long(caplog):
    programs = ProgramRunner(timeout=0.6)
    for _ in range(6):
        programs.run([sys.executable, "-c", SLEEPER])
    running = programs.running
    assert len(running) == 4 and caplog.text.count("4 programs are running still") == 2
    time.sleep(0.7)

    def ended():
        programs.reap()
        return not programs.running

    assert wait_for(ended)
    assert [process.returncode for process in running] == [-9] * 4
    assert caplog.text.count("has run for 0.6 seconds") == 4
    programs.close()
    for process in running:  # neither they, as zombies, nor what they started is left
        with pytest.raises(ProcessLookupError):
            os.kill(process.pid, 0)


def test_close_waits_for_programs_a_moment_only():
    programs = ProgramRunner()
    programs.run(["sleep", "100"])
    programs.run(["true"])
    processes = programs.running
    began = time.monotonic()
    programs.close()
    assert time.monotonic() - began < 60 and [process.returncode for process in processes] == [
        -9,
        0,
    ]
    assert programs.running == ()
