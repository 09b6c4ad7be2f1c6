"""The log: problems during a run, a line each on standard error, never secret or repeated."""

import logging
import os
import re
import sys
import threading
import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO
from urllib.parse import quote

#: The loggers whose records are written: picaption's, and those of the page's server.
LOGGERS = ("picaption", "asyncio", "uvicorn")
#: What stands before a line, so that it can be told from those of other programs.
PREFIX = "picaption: "
#: How long a line is not repeated.
QUIET_SECONDS = 60.0
#: How many different lines are remembered for that.
MAX_REMEMBERED = 1000
#: syslog's priorities, which the journal reads at the beginning of a line (sd-daemon(3)).
PRIORITIES = {
    logging.DEBUG: 7,
    logging.INFO: 6,
    logging.WARNING: 4,
    logging.ERROR: 3,
    logging.CRITICAL: 2,
}

#: The priority of other levels: a notice.
_NOTICE = 5

# A password may contain an @ or a slash that it should not: what looks like user:password@ goes
# up to the last @.
_CREDENTIALS = re.compile(r"(\w+://)(?:[^/\s:]*:\S*|[^/\s]*)@")
_secrets: set[str] = set()
# Control characters, halves of surrogate pairs, and ends of lines and paragraphs.
_HOSTILE_CATEGORIES = frozenset(("Cc", "Cs", "Zl", "Zp"))
_DIRECTIONS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def hide(secret: str | None) -> None:
    """Replace `secret` by *** in every line, also as repr() and URLs write it.

    None and a blank text change nothing.
    """
    if secret and secret.strip():
        _secrets.update((secret, repr(secret)[1:-1], quote(secret, safe="", errors="replace")))


def printable(text: str) -> str:
    """Return a text with escapes in place of control characters, as repr() writes them.

    A terminal obeys them, and names in bundles, files and settings may be anyone's. So are
    characters that turn the direction of what follows, and those that begin a new line.
    """
    if text.isprintable():  # Next to all texts are.
        return text
    return "".join(map(_printable_letter, text))


def _printable_letter(letter: str) -> str:
    is_hostile = unicodedata.category(letter) in _HOSTILE_CATEGORIES
    if is_hostile or letter in _DIRECTIONS:
        return letter.encode("unicode_escape").decode("ascii")
    return letter


def say(*lines: str, err: bool = False) -> None:
    """Print lines on standard output, each as one printable line: whatever names stand in them.

    Args:
        lines: The lines.
        err: Print them on standard error.
    """
    print(*map(printable, lines), sep="\n", file=sys.stderr if err else sys.stdout, flush=True)


def one_line(text: str) -> str:
    """Return a text as one printable line without secrets.

    These are those of `hide`, and passwords in addresses.
    """
    # The longest first: one secret may be the beginning of another.
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return printable(_CREDENTIALS.sub(r"\1***@", " ".join(text.split())))


class OneLineFormatter(logging.Formatter):
    """Makes a record one printable line without secrets.

    Args:
        journal: Begin the line with its priority, for the systemd journal.
        prefix: What stands before the message.
    """

    def __init__(self, journal: bool = False, prefix: str = PREFIX) -> None:
        super().__init__(f"{prefix}%(message)s")
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        """Return the record's line."""
        text = one_line(super().format(record))
        if self._journal:
            return f"<{PRIORITIES.get(record.levelno, _NOTICE)}>{text}"
        return text

    def formatException(self, ei: Any) -> str:  # logging's own name
        """Return what stands for a traceback: the exception's type and text."""
        return f"{ei[0].__name__}: {ei[1]}"


@dataclass
class _Passed:
    """When a line passed the filter last, and how many like it were held back since."""

    at: float
    held_back: int = 0


class RateLimitFilter(logging.Filter):
    """Passes a line at most once in QUIET_SECONDS.

    The next one that passes says how many like it were held back.

    Args:
        clock: Returns the time in seconds.
        max_remembered: How many different lines are remembered.
    """

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, max_remembered: int = MAX_REMEMBERED
    ) -> None:
        super().__init__()
        self._clock = clock
        self._max_remembered = max_remembered
        self._passed: dict[tuple[int, str], _Passed] = {}
        self._lock = threading.Lock()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record passes."""
        try:
            message = record.getMessage()
        except Exception:  # Arguments that do not fit: a line must not end the run.
            message = str(record.msg)
            record.msg = message
            record.args = ()
        key = (record.levelno, message)
        now = self._clock()
        with self._lock:  # Handlers filter before they take their own lock.
            last = self._passed.pop(key, None)
            if last is not None and now - last.at < QUIET_SECONDS:
                last.held_back += 1
                self._passed[key] = last
                return False
            self._passed[key] = _Passed(now)
            while len(self._passed) > self._max_remembered:
                del self._passed[next(iter(self._passed))]
        if last is not None and last.held_back:
            record.msg = f"{message} ({last.held_back} like it not shown)"
            record.args = ()
        return True


def configure(
    level: str, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
) -> None:
    """Write the records of LOGGERS; a second call replaces the first one's handler.

    Args:
        level: The least that picaption writes: "debug", "info", "warning" or "error". The others
            write warnings and errors.
        stream: Where to; standard error by default.
        clock: Returns the time in seconds by which repetition is measured.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(OneLineFormatter(bool(os.environ.get("JOURNAL_STREAM"))))
    handler.addFilter(RateLimitFilter(clock))
    _write_to(handler, level)


def configure_progress() -> None:
    """Write on standard error what a long command says of its progress.

    Each record is one printable line, as it stands, however often it comes; a second call, or one
    of `configure`, replaces the first one's handler.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter(prefix=""))
    _write_to(handler, "info")


def _write_to(handler: logging.Handler, level: str) -> None:
    """Have the records of LOGGERS written by a handler, and no more by an earlier one of here."""
    for name in LOGGERS:
        logger = logging.getLogger(name)
        for earlier in logger.handlers[:]:
            if isinstance(earlier.formatter, OneLineFormatter):
                logger.removeHandler(earlier)
        logger.addHandler(handler)
        logger.setLevel(level.upper() if name == "picaption" else logging.WARNING)
