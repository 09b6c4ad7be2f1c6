"""A limit for what the frames of others may take, which a library that reads them does not have."""

import contextlib
import resource
import threading
from pathlib import Path

_PAGE_BYTES = resource.getpagesize()
_lock = threading.Lock()
#: The limits that hold now, and what held before the first of them.
_limits: list["MemoryLimit"] = []
_before = resource.RLIM_INFINITY


class MemoryLimit:
    """Keeps this process from taking more memory than it has and so many bytes, until it is closed.

    What asks for more gets an error from the system, as if the memory were used up. Of several
    limits the lowest holds; where the system has none, neither has this process.

    Args:
        more_bytes: How much more memory it may take.
    """

    def __init__(self, more_bytes: int) -> None:
        global _before
        self.bytes = resource.RLIM_INFINITY
        with contextlib.suppress(OSError):
            data_pages = int(Path("/proc/self/statm").read_text().split()[5])
            self.bytes = data_pages * _PAGE_BYTES + more_bytes
        with _lock:
            if not _limits:
                _before = resource.getrlimit(resource.RLIMIT_DATA)[0]
            _limits.append(self)
            _apply()

    def close(self) -> None:
        """Let this limit hold no more."""
        with _lock:
            if self in _limits:
                _limits.remove(self)
                _apply()


def release_process(pid: int) -> None:
    """Free a process that this one has started of the limits, which it has inherited."""
    with _lock, contextlib.suppress(OSError):  # It may have ended.
        if _limits:
            hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.prlimit(pid, resource.RLIMIT_DATA, (_before, hard))


def _apply() -> None:
    """Set what the limits allow."""
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    soft = [limit.bytes for limit in _limits] + [_before, hard]
    known = [value for value in soft if value != resource.RLIM_INFINITY]
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_DATA, (min(known, default=hard), hard))
