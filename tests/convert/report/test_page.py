"""The page and the JSON beside it."""

import json
from dataclasses import replace
from html.parser import HTMLParser

from picaption.convert.report.model_explorer import node_data
from picaption.convert.report.page import report_page, write_report


class Page(HTMLParser):
    """What a page holds: its text, its tags, and the addresses that it would load."""

    def __init__(self, text):
        super().__init__()
        self.text = []
        self.addresses = []
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [
            value
            for name, value in attributes
            if name in ("src", "href", "xlink:href") and value[0] != "#"
        ]

    def handle_data(self, data):
        self.text.append(data.strip())


def test_the_page_needs_no_other_file(reported, tmp_path):
    report = reported.report
    path = write_report(tmp_path / "out", report)
    page = Page(path.read_text())
    assert page.addresses == []
    assert page.tags.count("svg") == 2
    assert "script" not in page.tags
    worst = min(report.layers, key=lambda layer: layer.decibels)
    assert worst.name in page.text
    assert str(worst.decibels) in page.text
    assert "tiny, int8" in page.text
    assert json.loads((tmp_path / "out" / "report.json").read_text()) == report.to_json()
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == [
        "report.html",
        "report.json",
        "report.model-explorer.json",
    ]
    nodes = json.loads((tmp_path / "out" / "report.model-explorer.json").read_text())
    assert nodes == node_data(report.layers)
    assert write_report(tmp_path / "other.html", report).read_text() == path.read_text()
    assert (tmp_path / "other.json").exists()


def test_a_report_without_evaluation_or_layers_has_a_page(reported):
    page = Page(report_page(replace(reported.report, evaluation=None, layers=(), advice=())))
    assert page.tags.count("svg") == 1
    assert "Quality" not in page.text
    assert "Layers" not in page.text
    assert "None: these figures show no problem." in page.text
