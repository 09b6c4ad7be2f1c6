"""The table of networks that convert, and what it goes on with."""

import json
import sys

from tools import convert_zoo

CONVERTED = {
    "library": "keras",
    "name": "Small",
    "top": 0.9,
    "largest": 0.01234,
    "megabytes": 3.2,
    "seconds": 12,
    "peak_gb": 1.5,
}
REFUSED = {"library": "torchvision", "name": "odd", "refused": "no operator | for NonZero"}


def test_the_page_has_a_row_a_network():
    far = CONVERTED | {"name": "Far", "largest": 0.72}
    lines = convert_zoo.report([CONVERTED, far, REFUSED], count=7).splitlines()
    assert "have 7 classifiers up to 100 MB" in lines[2]
    assert "3 of them were tried, and 2 convert" in lines[2]
    assert "1 stay within 0.5" in lines[4]
    assert lines[-3] == "| keras | Small | 3.2 | 0.0123 | 90% | 12 | 1.5 |"
    assert lines[-2] == "| keras | Far | 3.2 | 0.7200 * | 90% | 12 | 1.5 |"
    assert lines[-1] == "| torchvision | odd | refused: no operator / for NonZero | | |  | |"


def test_it_goes_on_with_the_smallest_that_is_not_done(tmp_path, monkeypatch, capsys):
    tried = []

    def run_child(library, name, arguments):
        tried.append(name)
        return CONVERTED | {"library": library, "name": name}

    monkeypatch.setattr(convert_zoo, "list_torchvision", lambda: [("big", 99.0), ("vast", 101.0)])
    monkeypatch.setattr(convert_zoo, "KERAS_MEGABYTES", {"Small": 9.0, "Tiny": 4.0})
    monkeypatch.setattr(convert_zoo, "run_child", run_child)
    results = tmp_path / "zoo.jsonl"
    results.write_text(json.dumps(CONVERTED) + "\n")
    page = tmp_path / "networks.md"
    arguments = ["convert_zoo", "--photos", "p", "--results", str(results), "--report", str(page)]
    monkeypatch.setattr(sys, "argv", arguments)
    convert_zoo.main()
    assert tried == ["Tiny", "big"]
    assert len(results.read_text().splitlines()) == 3
    assert "have 3 classifiers" in page.read_text()
