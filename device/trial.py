"""The first recognition with a bundle from elsewhere: in a process of its own, with little leave.

`python -m picaption.device.trial < BUNDLE` exits with 0 once the bundle has been opened and has
recognised something, and with 2 after one line that says why it cannot. What else ends it, the
bundle has done; picaption.device.bundle.trust.trust starts it and tells the user.
"""

import contextlib
import json
import os
import resource
from pathlib import Path
from typing import NoReturn

import numpy as np

from .bundle.bundle import Bundle
from .bundle.trust.trust import CHILD_INPUT, UNUSABLE, USABLE
from .errors import PicaptionError
from .recognition.recognizer import Recognizer
from .recognition.stopwatch import Stopwatch

#: Memory that a bundle may take beside what the program itself does.
MEMORY_BYTES = 768 << 20
#: Seconds that a bundle may compute for.
CPU_SECONDS = 8

_PAGE_BYTES = resource.getpagesize()


def limit_resources(memory_bytes: int = MEMORY_BYTES, cpu_seconds: int = CPU_SECONDS) -> None:
    """Take memory, time and the writing of files from this process, for good.

    Not before all modules are loaded, whose memory and time depend on the machine.

    Args:
        memory_bytes: How much more memory it may take.
        cpu_seconds: How many seconds more it may compute.
    """
    with contextlib.suppress(OSError):
        # Where memory runs out all the same, the system ends this process and no other.
        Path("/proc/self/oom_score_adj").write_text("1000")
    with contextlib.suppress(OSError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _limit(resource.RLIMIT_AS, pages * _PAGE_BYTES + memory_bytes)
    # What a program that reads a network camera has set for itself is not meant for this one.
    _limit(resource.RLIMIT_DATA, resource.getrlimit(resource.RLIMIT_DATA)[1])
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(usage.ru_utime + usage.ru_stime) + cpu_seconds)
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)


def _limit(number: int, value: int) -> None:
    """Lower one of the process' limits, if the system has it and allows that."""
    hard = resource.getrlimit(number)[1]
    if resource.RLIM_INFINITY not in (hard, value):
        value = min(value, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(number, (value, hard))


def recognize_once(path: str | Path) -> None:
    """Open a bundle and do all that a frame asks for, with noise for an image.

    Raises:
        PicaptionError: The bundle is unusable.
    """
    bundle = Bundle(path, threads=1, trusted=True)
    shape = bundle.metadata.input
    noise = np.random.default_rng(0).integers(0, 256, (shape.height, shape.width, 3), np.uint8)
    recognizer = Recognizer(bundle)
    recognition = recognizer.recognize(recognizer.encode(noise), Stopwatch())
    json.dumps(recognition.to_json())


def try_bundle(path: str | Path) -> str | None:
    """Limit this process and try out a bundle.

    Args:
        path: Where the bundle is.

    Returns:
        The line that says why it is unusable; None if it is usable.
    """
    limit_resources()
    try:
        recognize_once(path)
    except PicaptionError as error:
        return str(error)
    except Exception as error:  # Whatever a graph from elsewhere leads to is the graph's fault.
        reason = str(error).partition("\n")[0]
        return f"{path}: its graph cannot be used here: {type(error).__name__}: {reason}"
    return None


def end_trial(line: str | None) -> NoReturn:
    """Exit, after the line that says why a graph is unusable if there is one."""
    if line is not None:
        print(line, flush=True)
    # Without what else an exit does: the interpreter of a bad graph may fail on its way out.
    os._exit(USABLE if line is None else UNUSABLE)


def main() -> NoReturn:
    """Try out the bundle on standard input and exit."""
    end_trial(try_bundle(CHILD_INPUT))


if __name__ == "__main__":
    main()
