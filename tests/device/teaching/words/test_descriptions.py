"""Descriptions of classes: how they are written, and what is wrong with them."""

import pytest

from picaption.device import PicaptionError
from picaption.device.teaching.words.descriptions import parse_description, read_descriptions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mug: a cup with a handle", ("mug", "a cup with a handle")),
        ("  my mug :a   cup: blue", ("my mug", "a cup: blue")),
        ("mug", ("mug", "")),
        ("Tasse, groß: Becher", ("Tasse, groß", "Becher")),
    ],
)
def test_a_line_is_a_name_and_what_it_is(text, expected):
    assert parse_description(text, "here") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (": a cup", "here names no class: write it as 'mug: a cup"),
        ("", "here names no class"),
        ("../mug: a cup", "here names no class"),
        (".mug", "here names no class"),
        ("m" * 61, "in 1 to 60 characters"),
        ("m\x1bug: a cup", "without control characters"),
        ("mug: a \x1b[2Jcup", "here: a description has at most 500 characters, none of them a"),
        ("mug: " + "x" * 501, "here: a description has at most 500 characters"),
    ],
)
def test_what_names_no_class_is_refused(text, message):
    with pytest.raises(PicaptionError, match=message):
        parse_description(text, "here")


def test_a_folder_has_descriptions_and_the_command_line_has_others(tmp_path):
    lines = "# mine\nmug: a cup\n\ndesk: a table\n"
    (tmp_path / "descriptions.txt").write_text(lines, encoding="utf-8")
    assert read_descriptions(tmp_path) == {"mug": "a cup", "desk": "a table"}
    expected = {"mug": "a blue cup", "desk": "a table", "cat": ""}
    assert read_descriptions(tmp_path, ["mug: a blue cup", "cat"]) == expected
    assert read_descriptions(None, ["cat"]) == {"cat": ""}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"mug: a cup\nmug: a glass\n", "descriptions.txt, line 2: 'mug' stands there twice"),
        (b"mug: a cup\n: a glass\n", "descriptions.txt, line 2 names no class"),
        (b"mug: \xff\n", "descriptions.txt is not text in UTF-8"),
        (b"#" * (1 << 21), "descriptions.txt cannot be read"),
    ],
)
def test_a_bad_file_of_descriptions_is_refused(tmp_path, content, message):
    (tmp_path / "descriptions.txt").write_bytes(content)
    with pytest.raises(PicaptionError, match=message):
        read_descriptions(tmp_path)


def test_a_class_has_one_description():
    with pytest.raises(PicaptionError, match="--describe names 'mug' twice"):
        read_descriptions(None, ["mug: a cup", "mug"])
