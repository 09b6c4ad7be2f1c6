"""USB cameras, by a stand-in for OpenCV's: no camera is at hand where this runs."""

import os

import cv2
import numpy as np
import pytest

from picaption.device.errors import CameraError
from picaption.device.sources.controls import Controls
from picaption.device.sources.sources import open_source
from picaption.device.sources.usb import V4L2Camera

TIMEOUT = 0.1


@pytest.mark.parametrize("spec", ["/dev/video97", "97", "usb:97"])
def test_a_v4l2_camera_that_is_not_there(spec):
    with pytest.raises(CameraError, match="there is no camera at /dev/video97"):
        open_source(spec)


def test_a_v4l2_camera_has_red_as_rgb(v4l2):
    node, capture = v4l2
    camera = V4L2Camera(str(node), Controls((320, 240)))
    assert camera.live
    frame = camera.read()
    assert frame.shape == (240, 320, 3)
    np.testing.assert_array_equal(frame[100, 100], (200, 10, 20))
    assert camera.read(frame) is frame
    np.testing.assert_array_equal(frame[100, 100], (200, 10, 20))
    camera.close()
    assert capture.last.released


@pytest.mark.parametrize(
    "controls, expected",
    [
        (
            Controls(rate=15.0, focus="continuous"),
            {cv2.CAP_PROP_FPS: 15.0, cv2.CAP_PROP_AUTOFOCUS: 1},
        ),
        (
            Controls(focus="2.5", gain=3.0),
            {cv2.CAP_PROP_AUTOFOCUS: 0, cv2.CAP_PROP_FOCUS: 2.5, cv2.CAP_PROP_GAIN: 3.0},
        ),
        # V4L2 counts exposure in steps of 100 microseconds; 1 is its manual mode.
        (Controls(exposure=20_000), {cv2.CAP_PROP_AUTO_EXPOSURE: 1, cv2.CAP_PROP_EXPOSURE: 200}),
    ],
)
def test_what_a_v4l2_camera_is_asked_for(v4l2, controls, expected):
    node, capture = v4l2
    V4L2Camera(str(node), controls)
    size = {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480}
    assert capture.last.settings == size | expected


def test_a_v4l2_camera_that_does_not_open(v4l2):
    node, capture = v4l2
    capture.opens = False
    with pytest.raises(CameraError, match="does not open as a camera"):
        V4L2Camera(str(node), timeout=TIMEOUT)


def test_a_v4l2_camera_without_frames_is_closed_again(v4l2):
    node, capture = v4l2
    capture.plan = []
    with pytest.raises(CameraError, match="gives no frames"):
        V4L2Camera(str(node), timeout=TIMEOUT)
    assert capture.last.released


def test_a_damaged_frame_is_passed_over_and_silence_is_an_error(v4l2):
    node, capture = v4l2
    capture.plan = [True, False, False, True]
    camera = V4L2Camera(str(node), timeout=TIMEOUT)
    assert camera.read()[0, 0, 0] == 200
    with pytest.raises(CameraError, match="gives no frames"):
        camera.read()


def test_a_v4l2_camera_that_is_unplugged(v4l2):
    node, capture = v4l2
    capture.plan = [True]
    camera = V4L2Camera(str(node), timeout=60)
    os.remove(node)
    with pytest.raises(CameraError, match="is gone"):
        camera.read()
