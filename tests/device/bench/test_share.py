"""The row that a board's owner contributes: of known figures, and of hostile names."""

from dataclasses import replace

from picaption.device.bench.share import HEADINGS, share_lines
from tests.device.fakes.bench_reports import KNOWN_REPORT, make_report, make_run


def cells(line):
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_row_has_the_medians_and_the_machine():
    header, rule, row = share_lines(KNOWN_REPORT)
    assert cells(header) == list(HEADINGS)
    assert rule == "|" + "---|" * len(HEADINGS)
    assert cells(row) == [
        *("Raspberry Pi 5", "4 x Cortex-A76", "Debian 12", "ai-edge-litert \\<2.3.0>", "2"),
        *("5.0", "9.0", "", "96", "0.1.0", "everyday aaaaaaaa", "2026-01-02", "it was \\<hot>"),
    ]


def test_the_live_loop_has_its_99th_percentile():
    steps = {"encode": [[4.0]], "frame": [[6.0]], "live": [[5.0] * 99 + [7.0]]}
    row = cells(share_lines(make_report(make_run(steps)))[2])
    assert row[HEADINGS.index("live, ms")] == "5.0 (5.0)"
    assert row[HEADINGS.index("doubts")] == "none"


def test_every_run_has_a_row_and_names_stay_in_their_cells():
    steps = {"encode": [[4.0]], "frame": [[6.0]]}
    runs = [make_run(steps, threads=1), make_run(steps, threads=2, runtime="a|b\nc")]
    lines = share_lines(make_report(*runs))
    assert len(lines) == 4
    assert "a\\|b c" in lines[3]


def test_a_camera_with_a_password_is_not_named():
    run = replace(KNOWN_REPORT.runs[0], source="rtsp://anna:secret@lan/stream")
    assert not any("secret" in line for line in share_lines(make_report(run)))
