"""CSI cameras, by a stand-in for picamera2."""

import sys

import numpy as np
import pytest

from picaption.device.errors import CameraError
from picaption.device.sources.controls import Controls
from picaption.device.sources.sources import open_source
from tests.device.fakes import fake_picamera2


def test_picamera2_has_red_as_rgb_and_is_configured_once(picamera2):
    made = picamera2()
    camera = open_source("picamera2", Controls((320, 240)))
    assert camera.live
    for _ in range(3):
        frame = camera.read()
    assert frame.shape == (240, 320, 3) and frame.dtype == np.uint8
    np.testing.assert_array_equal(frame[0, 0], fake_picamera2.RED)
    np.testing.assert_array_equal(frame[0, -1], fake_picamera2.BLUE)
    camera.close()
    (fake,) = made
    assert fake.calls == ["configure", "start", "stop", "close"]
    assert fake.config["raw"] is None and fake.config["queue"] is False
    assert fake.config["sensor"] == {"output_size": (1640, 1232)}


@pytest.mark.parametrize(
    "controls, expected",
    [
        (Controls(), {}),
        (Controls(rate=20.0), {"FrameDurationLimits": (50_000, 50_000)}),
        (Controls(focus="continuous"), {"AfMode": 2}),
        (Controls(focus="once"), {"AfMode": 1, "AfTrigger": 0}),
        (
            Controls(focus="0.5", exposure=4000, gain=2.0),
            {"AfMode": 0, "LensPosition": 0.5, "ExposureTime": 4000, "AnalogueGain": 2.0},
        ),
    ],
)
def test_what_a_csi_camera_is_asked_for(picamera2, controls, expected):
    made = picamera2()
    open_source("picamera2", controls)
    assert made[0].config["controls"] == expected


def test_a_csi_camera_without_a_lens_that_moves_is_not_asked_to_focus(picamera2):
    made = picamera2(camera_controls={"ExposureTime": (1, 66666, None)})
    open_source("picamera2", Controls(focus="continuous", exposure=4000))
    assert made[0].config["controls"] == {"ExposureTime": 4000}


def test_a_csi_camera_reports_on_its_frame(picamera2):
    picamera2()
    assert open_source("picamera2").metadata["Lux"] == 400.0


def test_a_csi_camera_names_its_sensor(picamera2):
    picamera2()
    assert open_source("picamera2").model == "imx708"


def test_csi_is_another_name_of_picamera2(picamera2):
    picamera2()
    assert open_source("csi").name == "picamera2"


def test_picamera2_without_a_camera_or_with_a_busy_one(picamera2):
    for traits in ({"cameras": 0}, {"busy": True}):
        picamera2(**traits)
        with pytest.raises(CameraError, match="picamera2 can open no camera; check the cable"):
            open_source("picamera2")


def test_older_picamera2_without_a_camera(picamera2, monkeypatch):
    picamera2()
    monkeypatch.setattr(sys.modules["picamera2"], "Picamera2", lambda: [][0])  # IndexError
    with pytest.raises(CameraError, match="picamera2 can open no camera"):
        open_source("picamera2")


def test_a_csi_camera_that_stops_is_an_error_and_can_be_closed(picamera2):
    made = picamera2(frames=3)
    camera = open_source("picamera2")
    camera.read(), camera.read()
    with pytest.raises(CameraError, match="gave no frame for 5 s"):
        camera.read()
    camera.close()
    assert made[0].calls[-2:] == ["stop", "close"]


def test_a_csi_camera_that_never_starts_is_given_back(picamera2):
    made = picamera2(frames=0)
    with pytest.raises(CameraError, match="gave no frame"):
        open_source("picamera2")
    assert not made[0].is_open


def test_a_usb_camera_through_picamera2_is_refused_and_given_back(picamera2):
    made = picamera2(usb=True)
    with pytest.raises(CameraError, match="gives YUYV .* --source usb:0"):
        open_source("picamera2")
    assert not made[0].is_open


def test_without_picamera2_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(
        CameraError, match="sudo apt install python3-picamera2.*--system-site-packages"
    ):
        open_source("picamera2")
