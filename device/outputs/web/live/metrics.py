"""What a run has done, for Prometheus: counted in the live loop, written out when it is asked for.

The loop only adds to plain numbers; `prometheus-client` (extra `metrics`) is loaded at the first
request and gives them their form.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from .... import board
from ....recognition.result import Recognition
from ....sources.source import SourceStatus

if TYPE_CHECKING:
    from prometheus_client.core import Metric

#: Upper bounds of the histograms' buckets, in milliseconds: a desktop's to a busy Pi Zero's.
BOUNDS_MS = (0.5, 1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024, 4096)
#: Classes that are counted by name at most.
MAX_CLASSES = 2000


class Histogram:
    """Counts milliseconds in buckets.

    Attributes:
        counts: How many were in each bucket of BOUNDS_MS, and beyond the last.
        total_ms: Their sum.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_MS) + 1)
        self.total_ms = 0.0

    def add(self, milliseconds: float) -> None:
        """Count a value."""
        self.counts[bisect_left(BOUNDS_MS, milliseconds)] += 1
        self.total_ms += milliseconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return the upper bounds in seconds as Prometheus writes them, and the counts up to it."""
        bounds = [*(repr(bound / 1e3) for bound in BOUNDS_MS), "+Inf"]
        total = 0
        cumulative: list[tuple[str, float]] = []
        for bound, count in zip(bounds, self.counts):
            total += count
            cumulative.append((bound, total))
        return cumulative


@dataclass
class RunCounters:
    """What the live loop has done so far.

    Attributes:
        frames: Frames that were recognised.
        dropped: Frames that the camera gave and nobody took, while another was recognised.
        silent: Frames in which there was nothing to see.
        scenes: Scenes that began.
        captions: Captions that were another than the one before.
        stages: Milliseconds of each stage, "queue" and "total" among them.
        latency: Milliseconds from a frame's capture to its result.
        certain: In how many frames each class was certain.
        captured_at: When the newest frame was captured, in seconds since the epoch.
        now_certain: The classes that are certain in the newest frame.
    """

    frames: int = 0
    dropped: int = 0
    silent: int = 0
    scenes: int = 0
    captions: int = 0
    stages: dict[str, Histogram] = field(default_factory=dict)
    latency: Histogram = field(default_factory=Histogram)
    certain: Counter[str] = field(default_factory=Counter)
    captured_at: float | None = None
    now_certain: tuple[str, ...] = ()
    _last_frame: int = -1
    _last_scene: int = 0
    _last_text: str | None = None

    def add(self, recognition: Recognition) -> None:
        """Count a frame."""
        self.frames += 1
        if recognition.frame > self._last_frame + 1 and self._last_frame >= 0:
            self.dropped += recognition.frame - self._last_frame - 1
        self._last_frame = recognition.frame
        if recognition.scene != self._last_scene:
            self.scenes += 1
            self._last_scene = recognition.scene
        if recognition.silence is not None:
            self.silent += 1
        text = recognition.caption.text if recognition.caption else None
        if text != self._last_text:
            self.captions += text is not None
            self._last_text = text
        for stage, milliseconds in recognition.timings.items():
            if stage not in self.stages:
                self.stages[stage] = Histogram()
            self.stages[stage].add(milliseconds)
        timings = recognition.timings
        self.latency.add(timings.get("queue", 0.0) + timings["total"])
        self.captured_at = recognition.captured_at
        self.now_certain = recognition.certain_names
        for name in self.now_certain:
            if name in self.certain or len(self.certain) < MAX_CLASSES:
                self.certain[name] += 1


class CameraRun(NamedTuple):
    """What one of several cameras has done, and what is known of it; None: nothing."""

    counters: RunCounters
    source: SourceStatus | None


@dataclass(frozen=True, eq=False)
class MetricsSource:
    """Where the figures come from that are written out.

    Attributes:
        version: Of picaption.
        bundle: What the bundle is called.
        counters: Of the live loop; None: there is none.
        answers: How many requests of the API were answered, by path and status.
        source: What is known of the camera; None: nothing.
        cameras: In place of both, those of several cameras, by name: their figures have a label
            "camera".
    """

    version: str
    bundle: str
    counters: RunCounters | None
    answers: Counter[tuple[str, int]]
    source: SourceStatus | None
    cameras: Mapping[str, CameraRun] = field(default_factory=dict)

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, as prometheus-client's collectors do."""
        from prometheus_client.core import (
            CounterMetricFamily,
            InfoMetricFamily,
        )

        info = {"version": self.version, "bundle": self.bundle}
        yield InfoMetricFamily("picaption", "What runs here.", value=info)
        if self.cameras:
            counters: dict[tuple[str, ...], RunCounters] = {}
            sources: dict[tuple[str, ...], SourceStatus | None] = {}
            for name, run in self.cameras.items():
                counters[name,] = run.counters
                sources[name,] = run.source
            yield from _run_metrics(counters, ("camera",))
            yield from _source_metrics(sources, ("camera",))
        else:
            yield from _run_metrics({(): self.counters} if self.counters else {}, ())
            yield from _source_metrics({(): self.source}, ())
        yield from _board_metrics()
        answers = CounterMetricFamily(
            "picaption_api_answers",
            "Requests of the API that were answered.",
            None,
            ("path", "status"),
        )
        for (path, status), count in self.answers.items():
            answers.add_metric((path, str(status)), count)
        yield answers


def exposition(source: MetricsSource) -> tuple[bytes, str]:
    """Return the figures in Prometheus' text format, and its media type.

    Raises:
        ImportError: prometheus-client is not installed.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(source)
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST


def _source_metrics(
    sources: Mapping[tuple[str, ...], SourceStatus | None], labels: tuple[str, ...]
) -> Iterator[Metric]:
    """Yield what is known of cameras, by the values of the labels."""
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    failures = CounterMetricFamily(
        "picaption_source_failures",
        "How often the camera failed and was opened again.",
        labels=labels,
    )
    up = GaugeMetricFamily(
        "picaption_source_up", "1 if nothing is known to be wrong with the camera.", labels=labels
    )
    known = {values: source for values, source in sources.items() if source is not None}
    for values, source in known.items():
        failures.add_metric(values, source.failures)
        up.add_metric(values, float(source.problem is None))
    if known:
        yield failures
        yield up


#: The plain counters: their names, their texts, and the attributes of RunCounters.
_COUNTS = (
    ("frames", "Frames that were recognised.", "frames"),
    ("frames_dropped", "Frames of the camera that nobody took.", "dropped"),
    ("frames_silent", "Frames in which there was nothing to see.", "silent"),
    ("scenes", "Scenes that began.", "scenes"),
    ("captions", "Captions that were another than the one before.", "captions"),
)


def _run_metrics(
    runs: Mapping[tuple[str, ...], RunCounters], labels: tuple[str, ...]
) -> Iterator[Metric]:
    """Yield what was done, by the values of the labels."""
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    if not runs:
        return
    for name, text, attribute in _COUNTS:
        count_metric = CounterMetricFamily(f"picaption_{name}", text, labels=labels)
        for values, counters in runs.items():
            count_metric.add_metric(values, getattr(counters, attribute))
        yield count_metric
    stages = HistogramMetricFamily(
        "picaption_stage_seconds",
        "Seconds that a stage of a frame took.",
        labels=(*labels, "stage"),
    )
    latency = HistogramMetricFamily(
        "picaption_latency_seconds", "Seconds from a frame's capture to its result.", labels=labels
    )
    age = GaugeMetricFamily(
        "picaption_result_age_seconds",
        "Seconds since the newest frame with a result was captured.",
        labels=labels,
    )
    frames = CounterMetricFamily(
        "picaption_class_frames",
        "Frames in which a class was certain.",
        labels=(*labels, "class"),
    )
    certain = GaugeMetricFamily(
        "picaption_class_certain",
        "1 if a class is certain in the newest frame.",
        labels=(*labels, "class"),
    )
    for values, counters in runs.items():
        for stage, histogram in tuple(counters.stages.items()):
            stages.add_metric((*values, stage), histogram.buckets(), histogram.total_ms / 1e3)
        latency.add_metric(values, counters.latency.buckets(), counters.latency.total_ms / 1e3)
        if counters.captured_at is not None:
            age.add_metric(values, max(0.0, time.time() - counters.captured_at))
        now_certain = counters.now_certain
        for name, count in tuple(counters.certain.items()):
            frames.add_metric((*values, name), count)
            certain.add_metric((*values, name), float(name in now_certain))
    yield stages
    yield latency
    if age.samples:
        yield age
    yield frames
    yield certain


def _board_metrics() -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    temperature = board.temperature()
    if temperature is not None:
        yield GaugeMetricFamily(
            "picaption_temperature_celsius", "The processor's temperature.", value=temperature
        )
    throttled = board.throttled()
    if throttled is None:
        return
    for name, text, reasons in (
        ("throttled", "1 if that holds the board back now.", throttled.now),
        (
            "throttled_since_start",
            "1 if that has held the board back since it started.",
            throttled.since_start,
        ),
    ):
        metric = GaugeMetricFamily(f"picaption_{name}", text, labels=("reason",))
        for reason in board.THROTTLED.values():
            metric.add_metric((reason,), float(reason in reasons))
        yield metric
