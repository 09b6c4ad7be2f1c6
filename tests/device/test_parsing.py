"""TOML and JSON that Python's parsers fail at in three ways."""

import pytest

from picaption.device.parsing import MalformedError, parse_json, parse_toml


def test_what_is_right_is_read():
    assert parse_toml("a = 1\n[b]\nc = [true]") == {"a": 1, "b": {"c": [True]}}
    assert parse_json('{"a": [1, null]}') == parse_json(b'{"a": [1, null]}') == {"a": [1, None]}


@pytest.mark.parametrize(
    "text, message",
    [
        ("a = ", "Invalid value (at end of document)"),
        ("a = " + "[" * 100_000, "It is nested too deeply"),
        ("a = " + "9" * 5000, "A number has too many digits"),
    ],
)
def test_toml_that_is_wrong(text, message):
    with pytest.raises(MalformedError) as error:
        parse_toml(text)
    assert str(error.value) == message


@pytest.mark.parametrize(
    "text, message, line",
    [
        ("\n[1", "Expecting ',' delimiter", 2),
        ("[" * 100_000, "It is nested too deeply", None),
        ("9" * 5000, "A number has too many digits", None),
        (b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte", None),
    ],
)
def test_json_that_is_wrong(text, message, line):
    with pytest.raises(MalformedError) as error:
        parse_json(text)
    assert str(error.value) == message and error.value.line == line
