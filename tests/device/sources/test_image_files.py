"""The images of a folder or of a pattern of names."""

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import encode_image, write_image
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


@pytest.mark.parametrize("name", ["turned.jpg", "turned", "turned.mp4"])
def test_a_single_picture_is_read_as_a_picture(tmp_path, name):
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16] = 200
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    data = encode_image(image, ".jpg")
    app1 = b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif
    (tmp_path / name).write_bytes(data[:2] + app1 + data[2:])
    source = open_source(tmp_path / name)
    assert source.stills
    frame = source.read()
    # Orientation 6: what is stored as the upper half is shown as the right one.
    assert frame.shape == (48, 32, 3) and frame[:, 20:].min() > 190 and frame[:, :12].max() < 10
    assert source.read() is None


def test_half_a_picture_is_an_error(tmp_path):
    data = encode_image(np.full((64, 64, 3), 90, np.uint8), ".jpg")
    (tmp_path / "half.jpg").write_bytes(data[: len(data) - 40])
    with pytest.raises(PicaptionError, match="half.jpg is cut short or damaged"):
        open_source(tmp_path / "half.jpg").read()


def test_a_folder_without_images(tmp_path):
    with pytest.raises(PicaptionError, match="holds no pictures"):
        open_source(tmp_path)
