"""Names are read from lines that people write, and refused by the number of the line."""

import pytest

from picaption.device.bundle.names import NamedClass, names_text, parse_names

ESPRESSO = NamedClass("n1", "espresso", ("espresso", "cup of coffee"), ("coffee", "drink"))


def test_a_line_is_read_and_written_alike():
    line = "n1\tespresso\tespresso, cup of coffee\tcoffee; drink\n"
    assert parse_names("# comment\n" + line) == (ESPRESSO,)
    assert names_text([ESPRESSO]) == line


def test_words_and_hypernyms_may_be_absent():
    assert parse_names("n1\tmaze\t\t\n") == (NamedClass("n1", "maze"),)
    assert parse_names("") == ()


@pytest.mark.parametrize(
    "line, reason",
    [
        ("n1\tespresso", "line 1 of the names has 2 columns"),
        ("n1\t\t\t", "line 1 of the names has ''"),
        (f"n1\t{'x' * 61}\t\t", "1 to 60 characters"),
        ("n1\ta\x1bb\t\t", "control character"),
        ("n1\ta\tb,,c\t", "has ''"),
        (f"n1\ta\t\t{'; '.join('abcdefghi')}", "more than 32 words or 8 hypernyms"),
    ],
)
def test_a_malformed_line_is_refused(line, reason):
    with pytest.raises(ValueError, match=reason):
        parse_names(line)


def test_too_many_names_are_refused():
    with pytest.raises(ValueError, match="20001 names"):
        parse_names("n\tx\t\t\n" * 20_001)
