"""SIGTERM ends a conversion as ctrl-C does: what was half done is taken away."""

import signal
from contextlib import contextmanager


@contextmanager
def ended_by_signals():
    """Have SIGTERM raise SystemExit, with the exit code that a shell gives it, while the context lasts."""

    def stop(number, frame):
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
