"""The time that a frame takes, stage by stage."""

import time


class Stopwatch:
    """Times the stages of one frame, one after the other, from its creation on.

    Args:
        queue: milliseconds that the frame waited before, if known.
        output: milliseconds that the outputs took for the frame before this one, if known.
    """

    def __init__(self, queue: float | None = None, output: float | None = None) -> None:
        self._queue = queue
        self._output = output
        self._stages: dict[str, float] = {}
        self._start = self._stage_start = time.perf_counter()

    def lap(self, stage: str) -> None:
        """End a stage, which began when the one before ended."""
        now = time.perf_counter()
        self._stages[stage] = (now - self._stage_start) * 1e3
        self._stage_start = now

    def timings(self) -> dict[str, float]:
        """Return the milliseconds of queue, stages, the stages' total, and output."""
        timings = {} if self._queue is None else {"queue": self._queue}
        timings |= self._stages
        timings["total"] = (self._stage_start - self._start) * 1e3
        if self._output is not None:
            timings["output"] = self._output
        return timings
