"""Files and folders that are real ones."""

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.outputs.web.teach.child.files import make_folder, remove, write_new


def test_a_link_is_no_folder_and_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "a").write_text("a")
    link = tmp_path / "link"
    link.symlink_to(outside)
    with pytest.raises(PicaptionError, match="link is a link, or no folder; move it away"):
        make_folder(link)
    remove(link)
    assert not link.exists() and (outside / "a").read_text() == "a"
    make_folder(link)
    make_folder(link)
    remove(outside)
    remove(outside)
    assert [path.name for path in tmp_path.iterdir()] == ["link"]


def test_a_file_is_written_past_a_link_in_its_way(tmp_path):
    (tmp_path / "secret").write_text("mine")
    (tmp_path / ".partial.a.jpg").symlink_to(tmp_path / "secret")
    write_new(tmp_path / "a.jpg", b"data")
    assert (tmp_path / "secret").read_text() == "mine"
    assert (tmp_path / "a.jpg").read_bytes() == b"data" and not (tmp_path / "a.jpg").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", "secret"]
