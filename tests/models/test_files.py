"""Text and arrays are written completely or not at all."""

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.models.files import need_folder, read_lines, save_array, save_arrays, write_lines


class Unwritable:
    """An array that cannot be stored without pickling."""


def test_lines_are_read_as_they_were_written(tmp_path):
    lines = ("a cat", "", "a\u2028dog", "été")
    write_lines(tmp_path / "lines.txt", lines)
    assert (tmp_path / "lines.txt").read_bytes() == "a cat\n\na\u2028dog\nété\n".encode()
    assert read_lines(tmp_path / "lines.txt") == lines
    write_lines(tmp_path / "lines.txt", ())
    assert read_lines(tmp_path / "lines.txt") == ()


def test_arrays_are_read_as_they_were_written(tmp_path):
    array = np.arange(6, dtype=np.float16).reshape(2, 3)
    save_array(tmp_path / "array.npy", array)
    save_arrays(tmp_path / "arrays.npz", {"a": array, "b": array[0]})
    loaded = np.load(tmp_path / "array.npy", allow_pickle=False)
    assert loaded.dtype == np.float16 and loaded.tolist() == array.tolist()
    with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
        assert arrays["a"].tolist() == array.tolist() and arrays["b"].tolist() == [0, 1, 2]


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path):
    save_array(tmp_path / "array.npy", np.ones(2))
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        save_array(tmp_path / "array.npy", np.array([Unwritable()]))
    assert np.load(tmp_path / "array.npy").tolist() == [1, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["array.npy"]


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    need_folder(tmp_path / "figures.json")
    monkeypatch.chdir(tmp_path)
    need_folder("figures.json")
    with pytest.raises(PicaptionError, match="no/figures.json cannot be written: make its folder"):
        need_folder("no/figures.json")
