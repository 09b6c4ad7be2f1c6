"""From what a user writes to a source."""

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import write_image
from picaption.device.sources import usb
from picaption.device.sources.controls import Controls
from picaption.device.sources.sources import open_source


@pytest.mark.parametrize("spec", ["nothing", "/nowhere/film.mp4", "usb:one"])
def test_an_unknown_source(spec):
    with pytest.raises(PicaptionError, match=f"there is no source {spec}"):
        open_source(spec)


def test_an_unknown_scheme_and_no_password():
    with pytest.raises(PicaptionError, match="no source foo://c/x; addresses begin") as error:
        open_source("foo://a:s3cret@c/x")
    assert "s3cret" not in str(error.value)


def test_files_by_address_and_below_the_users_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my pictures").mkdir()
    write_image(tmp_path / "my pictures" / "red.png", np.full((8, 8, 3), (200, 0, 0), np.uint8))
    address = f"{tmp_path}/my%20pictures"
    for spec in ("~/my pictures", f"file://{address}", f"FILE://localhost{address}"):
        assert open_source(spec).read()[0, 0].tolist() == [200, 0, 0]


def test_auto_takes_picamera2_then_v4l2_then_the_demo(picamera2, v4l2, monkeypatch):
    node, capture = v4l2
    monkeypatch.setattr(usb, "v4l2_cameras", lambda: ["/dev/video98", str(node)])
    picamera2()
    assert open_source("auto").name == "picamera2"
    picamera2(cameras=0)
    assert open_source("auto").name == str(node)
    capture.opens = False
    assert open_source("auto", Controls((320, 240))).name == "demo"
    assert open_source("auto", Controls((320, 240))).read().shape == (240, 320, 3)
