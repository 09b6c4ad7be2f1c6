"""The images of a folder or of a pattern of names."""

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import write_image
from picaption.device.sources.sources import open_source


def test_a_folder_has_every_image_once_in_order(tmp_path):
    for name, level in (("b.png", 20), ("a.png", 10), ("c.png", 30)):
        write_image(tmp_path / name, np.full((4, 6, 3), level, np.uint8))
    (tmp_path / "notes.txt").write_text("no image")
    source = open_source(tmp_path)
    assert not source.live and source.stills
    assert [source.read()[0, 0, 0] for _ in range(3)] == [10, 20, 30]
    assert source.read() is None and source.read() is None


def test_a_pattern_of_names_has_the_images_that_fit(tmp_path):
    for name, level in (("b1.png", 20), ("a1.png", 10), ("a2.png", 30), ("a1.txt", 0)):
        if name.endswith("txt"):
            (tmp_path / name).write_text("no image")
        else:
            write_image(tmp_path / name, np.full((4, 6, 3), level, np.uint8))
    source = open_source(f"{tmp_path}/?1.*")
    assert [source.read()[0, 0, 0] for _ in range(2)] == [10, 20] and source.read() is None
    with pytest.raises(PicaptionError, match=r"there is no source .*/c\*.png"):
        open_source(f"{tmp_path}/c*.png")


def test_a_broken_image_is_logged_and_left_out(tmp_path, caplog):
    write_image(tmp_path / "a.png", np.full((4, 6, 3), 10, np.uint8))
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    write_image(tmp_path / "c.png", np.full((4, 6, 3), 30, np.uint8))
    source = open_source(tmp_path)
    assert [source.read()[0, 0, 0] for _ in range(2)] == [10, 30] and source.read() is None
    assert [record.message for record in caplog.records] == [
        f"{tmp_path}/b.png is cut short or damaged; copy it again"
    ]


def test_a_folder_without_images(tmp_path):
    with pytest.raises(PicaptionError, match="holds no pictures"):
        open_source(tmp_path)
