"""Photographs of one class each are read from a list of identifiers."""

import pytest

from picaption.device import PicaptionError
from picaption.models.data.readers import read_identifiers


@pytest.fixture
def images(tmp_path):
    """A folder with two files."""
    (tmp_path / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / "images" / name).write_bytes(b"x")
    return tmp_path / "images"


def write(tmp_path, text):
    (tmp_path / "list.tsv").write_text(text)
    return tmp_path / "list.tsv"


def test_further_columns_are_comments_and_unknown_identifiers_are_left_out(tmp_path, images):
    path = write(tmp_path, "a.jpg\tn1\ttench, Tinca\n\nb.jpg\tn9\n")
    dataset = read_identifiers(path, images, ("n1", "n2"))
    assert [(record.name, record.labels) for record in dataset.records] == [("a.jpg", ("n1",))]
    assert dataset.classes == ("n1", "n2")
    assert dataset.skipped == ("b.jpg: no name has the identifier 'n9'",)


@pytest.mark.parametrize("line", ["a.jpg", "a.jpg\t", "\tn1", "a.jpg n1"])
def test_a_malformed_line_is_refused(tmp_path, images, line):
    with pytest.raises(PicaptionError, match="list.tsv, line 1: a line is picture.jpg, a tab"):
        read_identifiers(write(tmp_path, line), images, ("n1",))
