"""Names are read from lines that people write, and refused by the number of the line."""

import numpy as np
import pytest

from picaption.device.bundle.names import NamedClass, NameTree, names_text, parse_names

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


CLASSES = (
    NamedClass("1", "tabby cat", (), ("cat", "animal")),
    NamedClass("2", "Egyptian cat", (), ("cat", "animal")),
    NamedClass("3", "laptop"),
    NamedClass("4", "laptop"),
    NamedClass("5", "dog", (), ("animal",)),
)


def certain(*scores, threshold=0.5, count=3):
    return NameTree(CLASSES).certain(np.array(scores, np.float32), threshold, count)


def test_the_most_specific_certain_name_comes_first():
    assert certain(0.75, 0.125, 0, 0, 0.125) == [
        ("tabby cat", 0.75),
        ("cat", 0.875),
        ("animal", 1.0),
    ]
    assert certain(0.75, 0.125, 0, 0, 0.125, count=1) == [("tabby cat", 0.75)]


def test_a_hypernym_is_certain_where_no_name_is():
    assert certain(0.375, 0.375, 0.25, 0, 0) == [("cat", 0.75), ("animal", 0.75)]
    assert certain(0.25, 0.125, 0.25, 0, 0.375) == [("animal", 0.75)]


def test_classes_of_one_name_are_one():
    assert certain(0.25, 0, 0.375, 0.375, 0) == [("laptop", 0.75)]


def test_nothing_is_named_where_nothing_is_certain():
    assert certain(0.25, 0, 0.25, 0.125, 0.375, threshold=0.75) == []


def test_a_probability_is_at_most_1():
    assert certain(0.5, 0.5001, 0, 0, 0, threshold=0.9) == [("cat", 1.0), ("animal", 1.0)]
