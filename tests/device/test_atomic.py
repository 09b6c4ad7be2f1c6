"""Files that are written completely or not at all."""

import os

import pytest

from picaption.device.atomic import (
    atomic_write,
    partial_path,
    require_other_files,
    write_bytes,
    write_text,
)
from picaption.device.errors import PicaptionError


def test_a_file_is_replaced_once_it_is_complete(tmp_path):
    path = tmp_path / "said.txt"
    path.write_text("old")
    with atomic_write(path) as partial:
        partial.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and os.listdir(tmp_path) == ["said.txt"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "said.txt"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_write(path) as partial:
        partial.write_text("ne")
        raise KeyboardInterrupt
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["said.txt"]


def test_a_file_that_cannot_be_replaced_leaves_nothing(tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):
        write_text(tmp_path / "folder", "text")
    assert os.listdir(tmp_path) == ["folder"]


def test_a_partial_file_is_hidden_and_keeps_its_suffixes(tmp_path):
    assert partial_path(tmp_path / "a.weights.h5") == tmp_path / ".partial.a.weights.h5"
    assert partial_path("said.mp4").name == ".partial.said.mp4"


def test_bytes_and_text(tmp_path):
    write_bytes(tmp_path / "bytes", memoryview(b"\0\1"))
    write_text(tmp_path / "text", "Bär\n")
    assert (tmp_path / "bytes").read_bytes() == b"\0\1"
    assert (tmp_path / "text").read_bytes() == "Bär\n".encode()


def test_an_output_is_no_input_by_any_name(tmp_path):
    path = tmp_path / "captions.txt"
    path.write_text("read")
    (tmp_path / "link.txt").symlink_to(path)
    inputs = {"--captions": path, "--images": tmp_path, "limit": 3, "--labels": None}
    detour = f"{tmp_path}/../{tmp_path.name}/link.txt"
    for output in (path, str(path), tmp_path / "link.txt", detour):
        with pytest.raises(PicaptionError, match="--predictions .* would overwrite .*captions.txt"):
            require_other_files({"--predictions": output}, inputs)
    require_other_files({"--json": "-", "--predictions": tmp_path / "new", "--html": None}, inputs)
