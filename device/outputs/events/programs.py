"""Programs that nothing waits for: a few at once, none for too long."""

import contextlib
import logging
import os
import signal
import subprocess
import time
from collections.abc import Sequence

from ...sources.memory import release_process

logger = logging.getLogger(__name__)

#: Programs that run at once.
MAX_PROGRAMS = 4
#: How long a program may run.
TIMEOUT_SECONDS = 60.0
#: How long `close` waits for programs.
CLOSE_SECONDS = 1.0
#: How often `close` looks whether they have ended.
POLL_SECONDS = 0.02


class ProgramRunner:
    """Runs programs; those that run for too long are ended, and so is what they started.

    Args:
        timeout: Seconds that a program may run.
    """

    def __init__(self, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self._deadlines: dict[subprocess.Popen[bytes], float] = {}
        self._files: dict[subprocess.Popen[bytes], str] = {}
        self._broken: set[str] = set()

    @property
    def running(self) -> tuple[subprocess.Popen[bytes], ...]:
        """The programs that have not ended, as far as `reap` knows."""
        return tuple(self._deadlines)

    def has_room(self, program: str) -> bool:
        """Return whether one more may run; if not, that is logged."""
        if len(self._deadlines) < MAX_PROGRAMS:
            return True
        logger.warning("event: %s is not run: %d programs are running still", program, MAX_PROGRAMS)
        return False

    def run(self, arguments: Sequence[str], file: str = "") -> None:
        """Start a program with its arguments; without a shell, input or output.

        Trouble is logged: that too many are running, or, once, that it cannot be run.

        Args:
            arguments: The program and its arguments.
            file: A file that is removed once the program has ended, or if it cannot be run.
        """
        program = arguments[0]
        if not self.has_room(program):
            _remove(file)
            return
        try:
            # A session of its own: ctrl-C is not for it, and what it starts can be ended with it.
            process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:  # ValueError: an argument that cannot be one
            if program not in self._broken:
                logger.warning("event: %s cannot be run: %s", program, error)
            self._broken.add(program)
            _remove(file)
            return
        release_process(process.pid)
        self._files[process] = file
        self._deadlines[process] = time.monotonic() + self._timeout

    def reap(self) -> None:
        """Forget the programs that have ended, and end those that have run for too long."""
        for process, deadline in list(self._deadlines.items()):
            if process.poll() is not None:
                del self._deadlines[process]
                _remove(self._files.pop(process))
            elif time.monotonic() > deadline:
                logger.warning(
                    "event: %s is ended: it has run for %g seconds",
                    process.args[0],  # type: ignore[index]
                    self._timeout,
                )
                _kill(process)
                self._deadlines[process] = float("inf")

    def close(self) -> None:
        """Give programs a moment, then end them."""
        end = time.monotonic() + CLOSE_SECONDS
        while self._deadlines and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
            self.reap()
        for process in self._deadlines:
            _kill(process)
            process.wait()
            _remove(self._files.pop(process))
        self._deadlines = {}


def _remove(file: str) -> None:
    """Remove a file, if there is one."""
    if file:
        with contextlib.suppress(OSError):
            os.unlink(file)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
