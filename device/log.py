"""What goes wrong while a run goes on: a line each to standard error, no secret in it, and none again and again."""

import logging
import os
import re
import sys
import threading
import time
from urllib.parse import quote

#: Seconds in which a line is not repeated.
QUIET = 60.0
#: How many different lines are remembered for that.
REMEMBERED = 1000
#: syslog's priorities, which the journal takes from the beginning of a line (sd-daemon(3)).
PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}

# A password may hold an @ or a slash that it should not: what looks like user:password@ goes up to the last @.
_CREDENTIALS = re.compile(r"(\w+://)(?:[^/\s:]*:\S*|[^/\s]*)@")
_secrets = set()


def hide(secret):
    """Have every line say *** in place of `secret`, a text, also as repr() and URLs write it; a blank one changes nothing."""
    if secret and secret.strip():
        _secrets.update((secret, repr(secret)[1:-1], quote(secret, safe="", errors="replace")))


class OneLineFormatter(logging.Formatter):
    """One line a record, `picaption: message`, without secrets, with its priority where the journal reads it."""

    def __init__(self, journal=False):
        super().__init__("picaption: %(message)s")
        self._journal = journal

    def format(self, record):
        """Return the record's line."""
        text = super().format(record)
        for secret in sorted(
            _secrets, key=len, reverse=True
        ):  # one may be the beginning of another
            text = text.replace(secret, "***")
        text = _CREDENTIALS.sub(r"\1***@", " ".join(text.split()))
        return f"<{PRIORITIES.get(record.levelno, 5)}>{text}" if self._journal else text


class RateLimitFilter(logging.Filter):
    """Lets a line through at most once in QUIET seconds; when it comes again, it tells how many like it there were."""

    def __init__(self):
        super().__init__()
        self._seen, self._lock = {}, threading.Lock()

    def filter(self, record):
        """Return whether the record may pass."""
        try:
            message = record.getMessage()
        except Exception:  # arguments that do not fit: a line must not end the run
            message = record.msg = str(record.msg)
            record.args = ()
        key, now = (record.levelno, message), time.monotonic()
        with self._lock:  # handlers filter before they take their own
            last, kept = self._seen.pop(key, (None, 0))
            if last is not None and now - last < QUIET:
                self._seen[key] = last, kept + 1
                return False
            self._seen[key] = now, 0
            while len(self._seen) > REMEMBERED:
                del self._seen[next(iter(self._seen))]
        if kept:
            record.msg, record.args = f"{message} ({kept} like it not shown)", ()
        return True


def configure(level, stream=None):
    """Have the logger "picaption" write what is of that level ("debug", "info", "warning", "error") or above to `stream`,
    standard error by default. Called again, it changes that."""
    logger = logging.getLogger("picaption")
    for handler in logger.handlers[:]:
        if isinstance(handler.formatter, OneLineFormatter):
            logger.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLineFormatter(bool(os.environ.get("JOURNAL_STREAM"))))
    handler.addFilter(RateLimitFilter())
    logger.addHandler(handler)
    logger.setLevel(level.upper())
