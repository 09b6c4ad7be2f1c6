"""What Prometheus reads, by its own parser."""

import json
import re
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("prometheus_client")

from prometheus_client.parser import text_string_to_metric_families

from picaption.device import board
from picaption.device.outputs.web.live.metrics import (
    BOUNDS_MS,
    Histogram,
    MetricsSource,
    RunCounters,
    exposition,
)
from picaption.device.sources.source import SourceStatus
from tests.device.fakes.standins import recognition, recognized, silent
from tests.device.fakes.web_client import TOKEN, ask

DASHBOARD = Path(__file__).parents[5] / "docs/how-to/grafana-dashboard.json"


def samples(source):
    """Return {(name, labels as a sorted tuple): value} of what is written out."""
    body, _ = exposition(source)
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def source_of(counters, **changes):
    values = {"version": "1.2", "bundle": "kitchen", "counters": counters, "answers": Counter()}
    return MetricsSource(**(values | {"source": None} | changes))


def test_values_fall_into_the_bucket_of_their_upper_bound():
    histogram = Histogram()
    for milliseconds in (0.5, 0.6, 1.0, 5000.0):
        histogram.add(milliseconds)
    assert histogram.counts == [1, 2, *[0] * (len(BOUNDS_MS) - 2), 1]
    assert histogram.buckets()[:2] == [("0.0005", 1), ("0.001", 3)]
    assert histogram.buckets()[-2:] == [("4.096", 3), ("+Inf", 4)]
    assert histogram.total_ms == 5002.1


def test_a_run_is_counted():
    counters = RunCounters()
    cat = (("cat", 0.97), ("dog", 0.04))
    certain = {
        "certain_names": ("cat", "cup"),
        "timings": {"queue": 1.0, "encode": 3.0, "total": 5.0},
    }
    counters.add(recognition("a cat", cat, frame=0, scene=1, **certain))
    counters.add(recognition("a cat", cat, frame=1, scene=1, **certain))
    # Two frames of the camera were left out.
    counters.add(recognition("a dog", cat, frame=4, scene=2, **certain))
    counters.add(silent(frame=5, scene=3, timings={"queue": 0.0, "encode": 0.0, "total": 0.25}))
    values = samples(source_of(counters))
    assert values["picaption_frames_total", ()] == 4
    assert values["picaption_frames_dropped_total", ()] == 2
    assert values["picaption_frames_silent_total", ()] == 1
    assert values["picaption_scenes_total", ()] == 3
    assert values["picaption_captions_total", ()] == 2
    encode = (("le", "0.004"), ("stage", "encode"))
    assert values["picaption_stage_seconds_bucket", encode] == 4
    assert values["picaption_stage_seconds_bucket", (("le", "0.002"), ("stage", "encode"))] == 1
    assert values["picaption_stage_seconds_sum", (("stage", "encode"),)] == pytest.approx(0.009)
    # From capture to result: 6 ms three times, and a quarter.
    assert values["picaption_latency_seconds_sum", ()] == pytest.approx(0.01825)
    assert values["picaption_latency_seconds_bucket", (("le", "0.006"),)] == 4
    assert values["picaption_latency_seconds_bucket", (("le", "0.004"),)] == 1
    assert values["picaption_class_frames_total", (("class", "cat"),)] == 3
    # Also one that is not among the best.
    assert values["picaption_class_frames_total", (("class", "cup"),)] == 3
    assert values["picaption_class_certain", (("class", "cat"),)] == 0
    assert ("picaption_class_frames_total", (("class", "dog"),)) not in values
    assert values["picaption_info", (("bundle", "kitchen"), ("version", "1.2"))] == 1


def test_age_camera_board_and_answers_are_told(monkeypatch):
    monkeypatch.setattr(board, "temperature", lambda: 54.3)
    throttling = board.Throttling(("throttled",), ("throttled", "under-voltage"))
    monkeypatch.setattr(board, "throttled", lambda: throttling)
    counters = RunCounters()
    counters.add(recognition(captured_at=time.time() - 5))
    status = SourceStatus("usb:0", problem="it is gone", failures=3)
    answers = Counter({("/recognize", 200): 7})
    values = samples(source_of(counters, source=status, answers=answers))
    assert 5 <= values["picaption_result_age_seconds", ()] < 10
    assert values["picaption_source_failures_total", ()] == 3
    assert values["picaption_source_up", ()] == 0
    assert values["picaption_temperature_celsius", ()] == 54.3
    assert values["picaption_throttled", (("reason", "throttled"),)] == 1
    assert values["picaption_throttled", (("reason", "under-voltage"),)] == 0
    assert values["picaption_throttled_since_start", (("reason", "under-voltage"),)] == 1
    labels = (("path", "/recognize"), ("status", "200"))
    assert values["picaption_api_answers_total", labels] == 7


def test_hostile_names_of_classes_break_no_line():
    counters = RunCounters()
    counters.add(recognition(certain_names=('a"b\\c',)))
    assert samples(source_of(counters))["picaption_class_frames_total", (("class", 'a"b\\c'),)] == 1


def test_the_server_has_them_with_the_token_only(serve):
    page = serve(token=TOKEN, name="kitchen")
    page.write(recognized())
    status, headers, body = ask(page, f"/metrics?token={TOKEN}")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=")
    assert b"\npicaption_frames_total 1.0\n" in body and b'bundle="kitchen"' in body
    assert ask(page, "/metrics")[0] == 401


def test_the_dashboard_asks_for_metrics_that_there_are():
    counters = RunCounters()
    counters.add(recognition(certain_names=("cat",), scene=1))
    written = exposition(
        source_of(counters, source=SourceStatus("usb:0"), answers=Counter({("/recognize", 200): 1}))
    )[0].decode()
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    expressions = [
        target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())
    ]
    names = {name for text in expressions for name in re.findall(r"picaption_\w+", text)}
    absent_here = {
        "picaption_temperature_celsius",
        "picaption_throttled",
        "picaption_throttled_since_start",
    }
    assert len(expressions) >= 8
    assert {name for name in names - absent_here if name not in written} == set()
