"""Scores that do not flicker: averaged over time, and switched on and off at two thresholds."""

import math

import numpy as np

#: A name that is on stays on down to this share of the score that switched it on.
OFF_SHARE = 0.7


class Average:
    """Averages scores over time: one that is dt seconds older counts exp(-dt / seconds) as much.

    Args:
        seconds: over which scores are averaged; 0: the last scores alone count.

    Attributes:
        scores: the averages, float32 [N], once scores were added.
    """

    scores: np.ndarray

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._added_at: float | None = None

    def add(self, scores: np.ndarray, now: float, restart: bool = False) -> bool:
        """Take the scores of a moment into the averages.

        Args:
            scores: float32 [N].
            now: the moment, in seconds.
            restart: forget the scores before: another scene has begun.

        Returns:
            Whether there are no scores before these.
        """
        before = None if restart else self._added_at
        self._added_at = now
        if before is None:
            self.scores = scores.copy()
            return True
        self.scores += np.float32(self._weight(now - before)) * (scores - self.scores)
        return False

    def _weight(self, elapsed: float) -> float:
        """Return the weight of new scores, so many seconds after the last ones."""
        if not self._seconds:
            return 1.0
        return 1 - math.exp(-max(0.0, elapsed) / self._seconds)


class Smoother(Average):
    """Averages scores over time and decides which of them are on.

    A name is on once its average reaches `threshold`, until it falls below OFF_SHARE of that.

    Args:
        threshold: the score that switches a name on.
        seconds: as for Average.

    Attributes:
        on: which of the averages are on, bool [N].
    """

    on: np.ndarray

    def __init__(self, threshold: float, seconds: float) -> None:
        super().__init__(seconds)
        self._on_from = threshold
        self._off_below = OFF_SHARE * threshold
        self._best: int | None = None

    def add(self, scores: np.ndarray, now: float, restart: bool = False) -> bool:
        """Take the scores of a moment into the averages, as Average does."""
        is_first = super().add(scores, now, restart)
        if is_first:
            self.on = self.scores >= self._on_from
            self._best = None
        else:
            self.on = self.scores >= np.where(self.on, self._off_below, self._on_from)
        return is_first

    def ranked(self, count: int) -> list[int]:
        """Return the indices of at most `count` names: those that are on first, then by score.

        The best one changes only where another is better by the distance of the two thresholds.
        """
        ranks = self.scores + self.on
        if self._best is not None:
            ranks[self._best] += self._on_from - self._off_below
        order = (-ranks).argsort(kind="stable")[:count].tolist()
        self._best = order[0] if order else None
        return order

    def ranked_on(self, count: int) -> list[int]:
        """Return the indices of at most `count` names that are on, by score, best first."""
        indices = self.on.nonzero()[0]
        return indices[(-self.scores[indices]).argsort(kind="stable")[:count]].tolist()
