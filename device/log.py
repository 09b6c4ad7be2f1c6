"""What goes wrong while a run goes on: a line each to standard error, no secret in it, and none again and again."""

import logging
import os
import re
import sys
import time

#: Seconds in which a line is not repeated.
QUIET = 60.0
#: How many different lines are remembered for that.
REMEMBERED = 1000
#: syslog's priorities, which the journal takes from the beginning of a line (sd-daemon(3)).
PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_CREDENTIALS = re.compile(r"(\w+://)[^/\s@]*@")
_secrets = set()


def hide(secret):
    """Have every line say *** in place of `secret`, a text; an empty one changes nothing."""
    if secret:
        _secrets.add(secret)


class Lines(logging.Formatter):
    """One line a record, `picaption: message`, without secrets, with its priority where the journal reads it."""

    def __init__(self, journal=False):
        super().__init__("picaption: %(message)s")
        self._journal = journal

    def format(self, record):
        """Return the record's line."""
        text = " ".join(super().format(record).split())
        for secret in _secrets:
            text = text.replace(secret, "***")
        text = _CREDENTIALS.sub(r"\1***@", text)
        return f"<{PRIORITIES.get(record.levelno, 5)}>{text}" if self._journal else text


class Seldom(logging.Filter):
    """Lets a line through at most once in QUIET seconds; when it comes again, it tells how many like it there were."""

    def __init__(self):
        super().__init__()
        self._seen = {}

    def filter(self, record):
        """Return whether the record may pass."""
        key, now = (record.levelno, record.getMessage()), time.monotonic()
        last, kept = self._seen.pop(key, (None, 0))
        if last is not None and now - last < QUIET:
            self._seen[key] = last, kept + 1
            return False
        self._seen[key] = now, 0
        while len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if kept:
            record.msg, record.args = f"{record.getMessage()} ({kept} like it not shown)", ()
        return True


def configure(level, stream=None):
    """Have the logger "picaption" write what is of that level ("debug", "info", "warning", "error") or above to `stream`,
    standard error by default. Called again, it changes that."""
    logger = logging.getLogger("picaption")
    for handler in logger.handlers[:]:
        if isinstance(handler.formatter, Lines):
            logger.removeHandler(handler)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Lines(bool(os.environ.get("JOURNAL_STREAM"))))
    handler.addFilter(Seldom())
    logger.addHandler(handler)
    logger.setLevel(level.upper())
