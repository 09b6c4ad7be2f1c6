"""How far a run is, on standard error: a line that changes on a terminal, else one a minute."""

import sys
import time
from collections import deque
from collections.abc import Callable

from ..log import say

#: Seconds between two changes of the line on a terminal, and between lines elsewhere.
TERMINAL_SECONDS = 0.5
LOG_SECONDS = 60.0
#: Seconds over which the rate is measured.
RATE_SECONDS = 60.0
_CLEAR = "\r\x1b[K"


class ProgressLine:
    """Shows how many images are done, the rate and the time left.

    Args:
        is_terminal: Whether standard error is a terminal; None: look.
        clock: Returns the time in seconds.

    Attributes:
        total: How many images there are; None: not known yet.
    """

    def __init__(
        self, is_terminal: bool | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.total: int | None = None
        self._is_terminal = sys.stderr.isatty() if is_terminal is None else is_terminal
        self._clock = clock
        self._shown_at = clock()
        self._recent: deque[tuple[float, int]] = deque([(clock(), 0)])

    def update(self, images: int, skipped: int, errors: int) -> None:
        """Show the figures, if it is time to.

        Args:
            images: Done in this run.
            skipped: Done in earlier runs.
            errors: Images without a row.
        """
        now = self._clock()
        interval = TERMINAL_SECONDS if self._is_terminal else LOG_SECONDS
        if now - self._shown_at < interval:
            return
        self._shown_at = now
        self._recent.append((now, images))
        while len(self._recent) > 2 and now - self._recent[1][0] > RATE_SECONDS:
            self._recent.popleft()
        line = self.line(images, skipped, errors)
        if self._is_terminal:
            print(_CLEAR + line, end="", file=sys.stderr, flush=True)
        else:
            say(line, err=True)

    def clear(self) -> None:
        """Leave the terminal's line empty."""
        if self._is_terminal:
            print(_CLEAR, end="", file=sys.stderr, flush=True)

    def line(self, images: int, skipped: int, errors: int) -> str:
        """Return the line; the arguments are those of `update`."""
        done = images + skipped
        parts = [f"{done:,} pictures"]
        if self.total is not None:
            share = min(1.0, done / max(1, self.total))
            parts = [f"{done:,} of {self.total:,} pictures", f"{share:.0%}"]
        rate = self._rate()
        if rate > 0:
            parts.append(f"{rate:.1f}/s")
            if self.total is not None:
                parts.append(f"{format_seconds(max(0, self.total - done) / rate)} left")
        if errors:
            parts.append(f"{errors:,} cannot be read")
        return ", ".join(parts)

    def _rate(self) -> float:
        """Return the images a second of the last minute."""
        earlier, before = self._recent[0]
        now, images = self._recent[-1]
        return (images - before) / (now - earlier) if now > earlier else 0.0


def format_seconds(seconds: float) -> str:
    """Return a time as hours, minutes and seconds: "1:02:03"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
