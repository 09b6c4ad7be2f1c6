"""The report as JSON, and read again."""

import json
from pathlib import Path

import pytest

from picaption.device.bench.figures import Report
from tests.device.fakes.bench_reports import HOT, make_report, make_run

ROOT = Path(__file__).parents[3]


def test_a_report_is_read_as_it_was():
    run = make_run({"encode": [[1.0, 2.0], [3.0]]}, conditions=HOT, doubts=("hot",))
    report = make_report(run, accuracy=({"model": "m", "pictures": 9},), failed=("broken",))
    assert Report.from_json(json.loads(json.dumps(report.to_json()))) == report


def test_the_names_are_those_of_the_schema():
    figures = make_report(make_run({"encode": [[1.0]]}, conditions=HOT)).to_json()
    assert list(figures)[:3] == ["version", "picaption", "measured_at"]
    assert figures["runs"][0]["machine"] == {
        "governor": "performance",
        "megahertz": {"lowest": 1500, "highest": 2400},
        "celsius": {"start": 50.2, "end": 61.7, "highest": 62.0},
        "throttled": [],
        "others": 0.02,
    }
    assert figures["runs"][0]["steps"]["encode"]["rounds"] == [[1.0]]


def test_what_a_later_version_adds_is_passed_over():
    report = make_report(make_run({"encode": [[1.0]]}))
    figures = report.to_json() | {"added": 1}
    figures["machine"]["added"] = 1
    figures["runs"][0]["steps"]["encode"]["added"] = 1
    assert Report.from_json(figures) == report


@pytest.mark.parametrize("path", sorted((ROOT / "docs/reports/bench").glob("*.json")), ids=str)
def test_old_files_are_written_as_they_were(path):
    text = path.read_text()
    assert json.dumps(Report.from_json(json.loads(text)).to_json()) == text.strip()
