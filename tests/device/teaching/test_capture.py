"""Pictures that are taken for a class."""

from types import SimpleNamespace

import numpy as np

from picaption.device.images import read_image, write_image
from picaption.device.teaching.capture import capture
from tests.device.fakes.standins import Counter


def test_pictures_are_taken_and_none_is_written_over(tmp_path):
    folder = tmp_path / "cup"
    folder.mkdir()
    write_image(folder / "0001.jpg", np.zeros((8, 8, 3), np.uint8))
    paths = capture(Counter(50), folder, 3, 0)
    assert [path.name for path in paths] == ["0000.jpg", "0002.jpg", "0003.jpg"]
    assert not read_image(folder / "0001.jpg").any() and read_image(folder / "0003.jpg").shape == (
        24,
        32,
        3,
    )
    assert len(capture(Counter(2), tmp_path / "new", 3, 0)) == 2  # The camera ended.


def test_a_picture_is_of_its_moment(tmp_path, monkeypatch):
    camera = Counter(1000)
    # A clock on which the camera takes 64 frames a second.
    clock = SimpleNamespace(monotonic=lambda: camera.number / 64)
    monkeypatch.setattr("picaption.device.teaching.capture.time", clock)
    first, second = capture(camera, tmp_path / "cup", 2, 0.25)
    # Frames that came meanwhile were read and let go.
    assert camera.number == 32
    assert (read_image(first).mean(), read_image(second).mean()) == (15, 31)
