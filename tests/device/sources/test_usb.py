"""Cameras: streams of a real server, the others by stand-ins, since no camera is at hand where this runs."""

import os
import sys
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from picaption.device.errors import CameraError
from picaption.device.sources import sources, usb
from picaption.device.sources.controls import Controls
from picaption.device.sources.sources import open_source
from picaption.device.sources.usb import V4L2Camera
from tests.device.fakes import fake_picamera2


@pytest.fixture
def picamera2(monkeypatch):
    """Puts a stand-in with the given traits in picamera2's place; returns the list of its cameras."""

    def install(**traits):
        module = fake_picamera2.module(**traits)
        monkeypatch.setitem(sys.modules, "picamera2", module)
        return module.Picamera2.made

    return install


class FakeCapture:
    """cv2.VideoCapture of a V4L2 camera that gives red frames: `plan` says of each read whether a frame arrives."""

    opens, plan = True, None

    def __init__(self, path, backend):
        assert backend == cv2.CAP_V4L2
        self.path, self.size, self.told, self.released = path, [640, 480], {}, False
        type(self).last = self

    def isOpened(self):
        return self.opens

    def set(self, name, value):
        sides = {cv2.CAP_PROP_FRAME_WIDTH: 0, cv2.CAP_PROP_FRAME_HEIGHT: 1}
        if name in sides:
            self.size[sides[name]] = int(value)
        self.told[name] = value

    def read(self, image=None):
        if self.plan is not None and not (self.plan and self.plan.pop(0)):
            return False, None
        frame = np.empty((self.size[1], self.size[0], 3), np.uint8) if image is None else image
        frame[:] = (20, 10, 200)  # B, G, R
        return True, frame

    def release(self):
        self.released = True


@pytest.fixture
def v4l2(monkeypatch, tmp_path):
    """A camera at a path of its own, opened through FakeCapture."""
    node = tmp_path / "video0"
    node.touch()
    capture = type("Capture", (FakeCapture,), {})
    monkeypatch.setattr(usb.cv2, "VideoCapture", capture)
    monkeypatch.setattr(usb, "PATIENCE", 0.1)
    return node, capture


# --- V4L2 cameras


@pytest.mark.parametrize("spec", ["/dev/video97", "97", "usb:97"])
def test_a_v4l2_camera_that_is_not_there(spec):
    with pytest.raises(CameraError, match="there is no camera at /dev/video97"):
        open_source(spec)


def test_a_v4l2_camera_gives_red_as_rgb(v4l2):
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
    "controls, told",
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
def test_what_a_v4l2_camera_is_asked_for(v4l2, controls, told):
    node, capture = v4l2
    V4L2Camera(str(node), controls)
    assert (
        capture.last.told == {cv2.CAP_PROP_FRAME_WIDTH: 640, cv2.CAP_PROP_FRAME_HEIGHT: 480} | told
    )


def test_a_v4l2_camera_that_does_not_open(v4l2):
    node, capture = v4l2
    capture.opens = False
    with pytest.raises(CameraError, match="does not open as a camera"):
        V4L2Camera(str(node))


def test_a_v4l2_camera_that_gives_nothing_is_closed_again(v4l2):
    node, capture = v4l2
    capture.plan = []
    with pytest.raises(CameraError, match="gives no frames"):
        V4L2Camera(str(node))
    assert capture.last.released


def test_a_damaged_frame_is_passed_over_and_silence_is_an_error(v4l2):
    node, capture = v4l2
    capture.plan = [True, False, False, True]
    camera = V4L2Camera(str(node))
    assert camera.read()[0, 0, 0] == 200
    with pytest.raises(CameraError, match="gives no frames"):
        camera.read()


def test_a_v4l2_camera_that_is_unplugged(v4l2, monkeypatch):
    node, capture = v4l2
    monkeypatch.setattr(usb, "PATIENCE", 60)
    capture.plan = [True]
    camera = V4L2Camera(str(node))
    os.remove(node)
    with pytest.raises(CameraError, match="is gone"):
        camera.read()


# --- streams


class NetworkCamera(BaseHTTPRequestHandler):
    """Streams red pictures as MJPEG: at /stream for ever, at /short three of them, at /locked with a password only, and at
    /silent none."""

    def do_GET(self):  # noqa: N802, the library's name
        path = self.path.partition("?")[0]
        if (
            path == "/locked"
            and self.headers["Authorization"] != "Basic " + b64encode(b"anna:s3cret").decode()
        ):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="camera"')
            self.send_header("Content-Length", "0")
            return self.end_headers()
        if path not in ("/stream", "/short", "/locked", "/silent"):
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), (0, 0, 255), np.uint8))[1].tobytes()
        try:
            for _ in range(3 if path == "/short" else 10_000):
                if path == "/silent" or self.server.silent:
                    self.server.over.wait(30)
                    return None
                self.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
                    % (len(jpeg), jpeg)
                )
                time.sleep(0.01)
        except OSError:
            pass
        return None

    def log_message(self, *_):
        """Be quiet."""


@pytest.fixture
def camera():
    """A camera in the network: a server with an `address`; where its `silent` is set, it says no more."""
    with ThreadingHTTPServer(("127.0.0.1", 0), NetworkCamera) as server:
        server.daemon_threads, server.silent, server.over = True, False, threading.Event()
        server.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.mark.parametrize("url", ("http://{}/stream", "http://anna:s3cret@{}/locked?token=s3cret"))
def test_a_stream_gives_red_as_rgb_and_keeps_its_password(camera, url):
    source = open_source(url.format(camera.address))
    frames = [source.read() for _ in range(4)]
    source.close()
    assert source.live and frames[0].shape == (48, 64, 3) and frames[3].dtype == np.uint8
    assert frames[3][24, 32, 0] > 240 and frames[3][24, 32, 1:].max() < 15
    assert camera.address in source.name and "s3cret" not in source.name


@pytest.mark.parametrize(
    "url",
    (
        "http://{}/absent",
        "http://anna:wr0ng@{}/locked",
        "rtsp://anna:wr0ng@127.0.0.1:1/",
        "http://127.0.0.1:1/stream",
    ),
)
def test_a_stream_that_is_not_there(camera, capfd, url):
    with pytest.raises(CameraError, match="there is no stream at .*127.0.0.1:") as error:
        open_source(url.format(camera.address))
    assert "wr0ng" not in str(error.value) and capfd.readouterr().err == ""


def test_a_stream_that_ends_is_an_error(camera, capfd):
    source = open_source(f"http://{camera.address}/short")
    with pytest.raises(
        CameraError, match="gives no frames any more; check the camera and the network"
    ):
        for _ in range(4):
            source.read()
    source.close()
    assert capfd.readouterr().err == ""


def test_a_stream_that_falls_silent_is_an_error_before_long(camera, monkeypatch):
    monkeypatch.setattr(usb, "PATIENCE", 0.5)
    source = open_source(f"http://{camera.address}/stream")
    source.read()
    camera.silent, start = True, time.monotonic()
    with pytest.raises(CameraError, match="gives no frames any more"):
        for _ in range(2000):
            source.read()
    source.close()
    assert time.monotonic() - start < 10


# --- picamera2


def test_picamera2_gives_red_as_rgb_and_is_configured_once(picamera2):
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
    "controls, told",
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
def test_what_a_csi_camera_is_asked_for(picamera2, controls, told):
    made = picamera2()
    open_source("picamera2", controls)
    assert made[0].config["controls"] == told


def test_a_csi_camera_without_a_lens_that_moves_is_not_asked_to_focus(picamera2):
    made = picamera2(camera_controls={"ExposureTime": (1, 66666, None)})
    open_source("picamera2", Controls(focus="continuous", exposure=4000))
    assert made[0].config["controls"] == {"ExposureTime": 4000}


def test_a_csi_camera_tells_of_its_frame(picamera2):
    picamera2()
    assert open_source("picamera2").metadata["Lux"] == 400.0


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


# --- auto


def test_auto_takes_picamera2_then_v4l2_then_the_demo(picamera2, v4l2, monkeypatch):
    node, capture = v4l2
    monkeypatch.setattr(sources, "v4l2_cameras", lambda: ["/dev/video98", str(node)])
    picamera2()
    assert open_source("auto").name == "picamera2"
    picamera2(cameras=0)
    assert open_source("auto").name == str(node)
    capture.opens = False
    assert open_source("auto", Controls((320, 240))).name == "demo"
    assert open_source("auto", Controls((320, 240))).read().shape == (240, 320, 3)
