"""The window, where there is none."""

import cv2
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.outputs.window import Window


def test_a_window_needs_a_screen_and_an_opencv_that_has_windows(monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with pytest.raises(
        PicaptionError, match="there is no screen for a window; leave --window out, or use --web"
    ):
        Window()
    monkeypatch.setenv("DISPLAY", ":97")

    def without_windows(*_):
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", without_windows)
    with pytest.raises(
        PicaptionError, match="this OpenCV has no windows: .* pip install opencv-python"
    ):
        Window()
