"""Figures in pages come from what the commands have written."""

import json

import pytest

from tools.figures import FIGURE, PAGES, ROOT, fill, look_up, read_source


def test_a_figure_keeps_its_decimals():
    page = "of <!-- truth.CHAIRs -->12.1<!-- . --> % and <!-- classes.mAP -->65<!-- . -->"
    filled = fill(page, {"truth": {"CHAIRs": 9.96}, "classes": {"mAP": 64.4}})
    assert filled == "of <!-- truth.CHAIRs -->10.0<!-- . --> % and <!-- classes.mAP -->64<!-- . -->"


def test_a_source_that_is_not_given_leaves_its_figures():
    page = "<!-- truth.CHAIRs -->12.1<!-- . --> <!-- bench.machine -->EPYC<!-- . -->"
    assert fill(page, {}) == page
    assert "Pi 5" in fill(page, {"bench": {"machine": "Pi 5"}})


def test_a_key_may_lead_further_down_and_must_be_there():
    assert look_up({"confidence": {"shown": 61.3}}, "confidence.shown") == 61.3
    with pytest.raises(KeyError):
        fill("<!-- truth.gone -->1<!-- . -->", {"truth": {}})


def test_sources_are_files(tmp_path):
    bundle = tmp_path / "a.tflite"
    bundle.write_bytes(bytes(6_440_000))
    assert read_source("bundle", bundle) == {"megabytes": 6.44}
    step = {"p50": 9.2}
    run = {"steps": {"frame": step, "encode": {"p50": 6.7}}}
    bench = tmp_path / "bench.json"
    bench.write_text(json.dumps({"machine": {"board": None, "cpu": "AMD EPYC"}, "runs": [run]}))
    assert read_source("bench", bench) == {"frame": 9.2, "encode": 6.7, "machine": "AMD EPYC"}


def test_the_pages_have_figures_of_each_source():
    figures = [
        match for name in PAGES for match in FIGURE.findall((ROOT / name).read_text("utf-8"))
    ]
    assert {source for source, *_ in figures} == {"truth", "captions", "classes", "bench", "bundle"}
    assert all(shown.strip() for *_, shown in figures)
