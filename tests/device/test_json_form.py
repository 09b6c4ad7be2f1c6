"""Dataclasses become values of JSON at any depth."""

from dataclasses import dataclass

from picaption.device.json_form import to_json_form


@dataclass(frozen=True)
class Inner:
    number: float
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Outer:
    by_name: dict[str, Inner]
    several: tuple[Inner, ...]
    missing: None = None


def test_dataclasses_are_dicts_and_tuples_lists():
    inner = Inner(1.5, ("a", "b"))
    form = to_json_form(Outer({"one": inner}, (inner,)), {"number": "value"})
    expected = {"value": 1.5, "texts": ["a", "b"]}
    assert form == {"by_name": {"one": expected}, "several": [expected], "missing": None}
    assert list(form["by_name"]["one"]) == ["value", "texts"]


def test_plain_values_stay_as_they_are():
    assert to_json_form({"a": [1, None, True, "text"]}, {"a": "b"}) == {
        "a": [1, None, True, "text"]
    }
