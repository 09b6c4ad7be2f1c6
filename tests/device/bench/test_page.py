"""The table and the page: the figures as they are, in one file, with nothing left open."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from picaption.device.bench.page import BARS, course, histogram, page_of, ticks
from picaption.device.bench.steps import Step
from picaption.device.bench.table import table

RUN = {
    "runtime": "ai-edge-litert <2.3.0>",
    "threads": 2,
    "source": "demo",
    "load_ms": 31.4,
    "first_caption_ms": 250.0,
    "peak_megabytes": 96.4,
    "watts": 4.5,
    "millijoules_a_frame": 180.0,
    "doubts": ["it was <hot>"],
    "machine": {
        "governor": "performance",
        "megahertz": {"lowest": 1500, "highest": 2400},
        "others": 0.02,
        "throttled": [],
        "celsius": {"start": 50.2, "end": 61.7, "highest": 62.0},
    },
    "steps": {
        "encode": Step(([4.0, 5.0], [6.0, 5.0]), 9.5, 3).figures(),
        "frame": Step(([8.0], [10.0]), None, 3).figures(),
    },
}
FIGURES = {
    "picaption": "0.1.0",
    "measured_at": "2026-01-02T03:04:05+00:00",
    "failed": ["tflite-runtime: broken"],
    "bundle": {"file": "every<day>.tflite", "bytes": 5_196_000, "beam": 3},
    "machine": {
        "board": "Raspberry Pi 5",
        "cores": 4,
        "cpu": "Cortex-A76",
        "instructions": ["asimddp"],
        "system": "Debian 12",
        "kernel": "6.6",
    },
    "accuracy": [{"model": "m", "pictures": 1000, "beam": 3, "CIDEr": 54.0, "style": {"new": 3}}],
    "runs": [RUN],
}


def test_the_table_holds_the_figures():
    assert table(FIGURES) == [
        "every<day>.tflite, 5.20 MB, beam 3; picaption 0.1.0, 2026-01-02T03:04:05+00:00",
        "Raspberry Pi 5, 4 x Cortex-A76 (asimddp), Debian 12, kernel 6.6",
        "accuracy on 1000 pictures: CIDEr 54",
        "",
        "ai-edge-litert <2.3.0>, threads: 2: loaded in 31 ms, first caption 250 ms after the start, at most 96 MB, "
        "4.50 W and 180 mJ a frame in the live loop",
        "governor performance; 1500 to 2400 MHz; 50 degrees Celsius, 62 in the end; held back by nothing; "
        "0.02 cores busy with something else",
        "",
        "milliseconds    first     mean      p50      p90      p95      p99      max a second    calls varied %",
        "encode          9.500    5.000    5.000    5.700    5.850    5.970    6.000    200.0        4     16.0",
        "frame               -    9.000    9.000    9.800    9.900    9.980   10.000    111.1        2     17.8",
        "",
        "a frame takes 1.80 times the bare encoder; live: from capture to result, frames of demo",
        "doubtful: it was <hot>",
        "failed: tflite-runtime: broken",
    ]


def test_the_page_is_whole_and_needs_no_other_file():
    page = page_of(FIGURES)
    root = ElementTree.fromstring(re.sub(r"<!DOCTYPE html>|<meta [^>]*>", "", page))
    texts = [text.strip() for text in root.itertext()]
    assert set(texts) >= {
        "What every<day>.tflite takes",
        "doubtful: it was <hot>",
        "failed: tflite-runtime: broken",
        "5.970",
        "encode",
    }
    assert len(root.findall(".//svg")) == 4 and len(root.findall(".//tr")) == 3
    assert not re.search(r"(?:src|href)=|url\(|https?:|<script", page)


def test_a_histogram_has_a_bar_for_every_latency():
    drawing = histogram(np.array([1.0, 1.0, 100.0]))
    bars = re.search(r'class="bars" d="([^"]*)"', drawing)[1].split("M")[1:]
    heights = [
        float(bar.split()[1].split("V")[0]) - float(bar.split("V")[1].split("H")[0]) for bar in bars
    ]
    # Two of 40 bars: the first, of two calls, as high as the drawing, the last half as high.
    assert len(bars) == 2 and heights[0] == pytest.approx(2 * heights[1]) == 136
    assert float(bars[0].split()[0]) == 46 and BARS == 40 and ">10<" in drawing


def test_a_course_has_a_dot_for_every_call():
    drawing = course([[1.0, 2.0], [4.0]])
    assert drawing.count("h0") == 3
    first, second = re.search(r'points="([^"]*)"', drawing)[1].split()
    assert [float(each.split(",")[0]) for each in (first, second)] == [
        139.5,
        326.5,
    ]  # The middles of two halves of 46 to 420.
    assert float(first.split(",")[1]) > float(second.split(",")[1])


@pytest.mark.parametrize(
    "low, high, found",
    [
        (0.05, 150, [0.1, 1, 10, 100]),
        (0.9, 4, [1, 2, 3, 4]),
        (4.1, 12, [6, 8, 10]),
        (4.31, 4.35, [4.31, 4.35]),
    ],
)
def test_ticks_are_round(low, high, found):
    assert ticks(low, high)[0] >= low and ticks(low, high)[-1] <= high
    assert set(found) <= set(ticks(low, high)) and len(ticks(low, high)) <= 8


def test_equal_latencies_can_be_drawn():
    assert course([[5.0]]) and histogram(np.array([5.0, 5.0]))
