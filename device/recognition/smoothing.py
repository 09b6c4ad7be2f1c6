"""Scores that do not flicker: averaged over time, and switched on and off at two thresholds."""

import math

import numpy as np

#: A name that is on stays so down to this share of the score that switched it on.
STAYS = 0.7


class Smoother:
    """Averages scores, float32 [N], over about `seconds`, and says which of them are on.

    The average is exponential: what is dt seconds older counts exp(-dt / seconds) as much. A name is on once its average
    reaches `threshold`, until it falls below STAYS of that.
    """

    def __init__(self, threshold, seconds):
        self._on_from, self._off_below, self._seconds = threshold, STAYS * threshold, seconds
        self.scores = self.on = self._best = self._seen = None

    def add(self, scores, now, anew=False):
        """Take the scores of the moment `now`, in seconds; `anew`: forget those before, another scene has begun.

        `scores` are then the averages and `on` says which are on, bool [N].
        """
        if anew or self.scores is None:
            self.scores, self.on, self._best = scores.copy(), scores >= self._on_from, None
        else:
            new = (
                1 - math.exp(-max(0.0, now - self._seen) / self._seconds) if self._seconds else 1.0
            )
            self.scores += np.float32(new) * (scores - self.scores)
            self.on = self.scores >= np.where(self.on, self._off_below, self._on_from)
        self._seen = now

    def ranked(self, count):
        """Return the places of at most `count` names: those that are on before the others, by score, best first; the best
        one gives way only to one that is better by the distance of the two thresholds."""
        ranks = self.scores + self.on
        if self._best is not None:
            ranks[self._best] += self._on_from - self._off_below
        order = (-ranks).argsort(kind="stable")[:count].tolist()
        self._best = order[0] if order else None
        return order

    def ranked_on(self, count):
        """Return the places of at most `count` names that are on, by score, best first."""
        places = self.on.nonzero()[0]
        return places[(-self.scores[places]).argsort(kind="stable")[:count]].tolist()
