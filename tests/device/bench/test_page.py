"""The page holds the figures as they are, in one file, with nothing left open."""

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from picaption.device.bench.page import BARS, bench_page, draw_course, draw_histogram, ticks
from tests.device.fakes.bench_reports import KNOWN_REPORT


def test_the_page_is_whole_and_needs_no_other_file():
    page = bench_page(KNOWN_REPORT)
    root = ElementTree.fromstring(re.sub(r"<!DOCTYPE html>|<meta [^>]*>", "", page))
    texts = [text.strip() for text in root.itertext()]
    assert set(texts) >= {
        "What every<day>.tflite takes",
        "doubtful: it was <hot>",
        "failed: tflite-runtime: broken",
        "5.970",
        "encode",
    }
    assert len(root.findall(".//svg")) == 4
    assert len(root.findall(".//tr")) == 3
    assert not re.search(r"(?:src|href)=|url\(|https?:|<script", page)


def test_a_histogram_has_a_bar_for_every_latency():
    drawing = draw_histogram(np.array([1.0, 1.0, 100.0]))
    bars = re.search(r'class="bars" d="([^"]*)"', drawing)[1].split("M")[1:]
    heights = [
        float(bar.split()[1].split("V")[0]) - float(bar.split("V")[1].split("H")[0]) for bar in bars
    ]
    # Two of 40 bars: the first, of two calls, as high as the drawing, the last half as high.
    assert BARS == 40
    assert len(bars) == 2
    assert heights[0] == pytest.approx(2 * heights[1]) == 136
    assert float(bars[0].split()[0]) == 46
    assert ">10<" in drawing


def test_a_course_has_a_dot_for_every_call():
    drawing = draw_course([[1.0, 2.0], [4.0]])
    assert drawing.count("h0") == 3
    first, second = re.search(r'points="([^"]*)"', drawing)[1].split()
    # The middles of two halves of 46 to 420.
    assert [float(point.split(",")[0]) for point in (first, second)] == [139.5, 326.5]
    assert float(first.split(",")[1]) > float(second.split(",")[1])


@pytest.mark.parametrize(
    "low, high, some",
    [
        (0.05, 150, [0.1, 1, 10, 100]),
        (0.9, 4, [1, 2, 3, 4]),
        (4.1, 12, [6, 8, 10]),
        (4.31, 4.35, [4.31, 4.35]),
    ],
)
def test_ticks_are_round(low, high, some):
    numbers = ticks(low, high)
    assert numbers[0] >= low
    assert numbers[-1] <= high
    assert set(some) <= set(numbers)
    assert len(numbers) <= 8


def test_equal_latencies_can_be_drawn():
    assert draw_course([[5.0]]) and draw_histogram(np.array([5.0, 5.0]))
