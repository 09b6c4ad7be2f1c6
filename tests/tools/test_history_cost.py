"""What the history costs is measured on a real file."""

from click.testing import CliRunner

from tests.tiny import TINY_BUNDLE
from tools import history_cost


def test_a_day_and_searches_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(history_cost, "MINUTES_A_DAY", 40)
    monkeypatch.setattr(history_cost, "INDEX_SCENES", 16)
    monkeypatch.setattr(history_cost, "FEATURE_SIZE", 128)
    arguments = [str(TINY_BUNDLE), "--scenes", "1500", "--folder", str(tmp_path)]
    result = CliRunner().invoke(history_cost.main, arguments, catch_exceptions=False)
    lines = result.output.splitlines()
    assert lines[0].endswith(" MB a day, by a scene a minute")
    assert lines[1].endswith(" MB a day, while as many scenes are forgotten")
    assert lines[2].startswith("1,500 scenes: ")
    searches = [line.split(" ms  ") for line in lines[3:]]
    assert [text for _, text in searches] == [
        *("the first search", *history_cost.QUERIES, *history_cost.QUERIES, "more like one")
    ]
    assert all(float(milliseconds) >= 0 for milliseconds, _ in searches)
    assert list(tmp_path.iterdir()) == []
