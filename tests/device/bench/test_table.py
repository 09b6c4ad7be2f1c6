"""The figures as lines of text."""

from picaption.device.bench.table import table
from tests.device.fakes.bench_reports import KNOWN_REPORT


def test_the_table_holds_the_figures():
    assert table(KNOWN_REPORT) == [
        "every<day>.tflite, 5.20 MB, beam 3; picaption 0.1.0, 2026-01-02T03:04:05+00:00",
        "Raspberry Pi 5, 4 x Cortex-A76 (asimddp), Debian 12, kernel 6.6",
        "accuracy on 1000 pictures: CIDEr 54",
        "",
        "ai-edge-litert <2.3.0>, threads: 2: loaded in 31 ms, first caption 250 ms after the "
        "start, at most 96 MB, 4.50 W and 180 mJ a frame in the live loop",
        "governor performance; 1500 to 2400 MHz; 50 degrees Celsius, 62 in the end; held back by "
        "nothing; 0.02 cores busy with something else",
        "",
        "milliseconds    first     mean      p50      p90      p95      p99      max a second"
        "    calls varied %",
        "encode          9.500    5.000    5.000    5.700    5.850    5.970    6.000    200.0"
        "        4     16.0",
        "frame               -    9.000    9.000    9.800    9.900    9.980   10.000    111.1"
        "        2     17.8",
        "",
        "a frame takes 1.80 times the bare encoder; live: from capture to result, frames of demo",
        "doubtful: it was <hot>",
        "failed: tflite-runtime: broken",
    ]
