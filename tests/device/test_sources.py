"""The demo, folders, video files, and cameras by stand-ins: no camera is at hand where this runs."""

import os
import sys
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

import fake_picamera2
from device import sources
from device.errors import PicaptionError
from device.pictures import list_pictures, read_picture, write_picture
from device.sources import DEMO_PICTURES, Demo, open_source


def write_video(path, codec, frames, rate=12):
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*codec), rate, (width, height))
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


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
        self.path, self.size, self.released = path, [640, 480], False
        type(self).last = self

    def isOpened(self):
        return self.opens

    def set(self, name, value):
        self.size[{cv2.CAP_PROP_FRAME_WIDTH: 0, cv2.CAP_PROP_FRAME_HEIGHT: 1}[name]] = int(value)

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
    monkeypatch.setattr(sources.cv2, "VideoCapture", capture)
    monkeypatch.setattr(sources, "PATIENCE", 0.1)
    return node, capture


# --- demo


def test_demo_photographs_are_small_and_named_with_their_licence():
    table = (DEMO_PICTURES / "SOURCES.md").read_text()
    paths = list_pictures(DEMO_PICTURES)
    assert len(paths) >= 4
    for path in paths:
        row = next(line for line in table.splitlines() if f"`{path.name}`" in line)
        assert row.rstrip(" |").endswith(("CC0", "public domain"))
        assert path.stat().st_size < 80_000
        assert read_picture(path).std() > 20


def test_a_demo_frame_depends_on_its_number_alone():
    one, other = Demo((320, 240)), Demo((320, 240))
    for number in (0, 7, 99, 100, 12345):
        np.testing.assert_array_equal(one.frame(number), other.frame(number))
    np.testing.assert_array_equal(one.read(), other.frame(0))
    np.testing.assert_array_equal(one.read(), other.frame(1))


def test_the_demo_moves_smoothly_and_shows_every_photograph():
    demo = Demo((160, 120))
    length = demo.SECONDS * demo.rate
    frames = [cv2.blur(demo.frame(number), (9, 9)).astype(int) for number in range(length)]
    steps = [np.abs(after - before).mean() for before, after in zip(frames, frames[1:])]
    assert np.abs(frames[-1] - frames[0]).mean() > 25 and 0 < min(steps) and max(steps) < 4
    shots = {demo.frame(number * length).tobytes() for number in range(12)}
    assert len(shots) == len(list_pictures(DEMO_PICTURES)) * 2  # forwards, then, their number being odd, backwards


def test_the_demo_starts_with_the_whole_width_of_a_square_photograph():
    first = read_picture(list_pictures(DEMO_PICTURES)[0])
    assert first.shape == (512, 512, 3)
    np.testing.assert_array_equal(Demo((512, 384)).frame(0), first[:384])


def test_the_demo_writes_over_the_frame_it_is_given():
    demo, spare = Demo((320, 240)), np.zeros((240, 320, 3), np.uint8)
    assert demo.read(spare) is spare
    np.testing.assert_array_equal(spare, demo.frame(0))
    assert demo.read(np.zeros((2, 2, 3), np.uint8)).shape == (240, 320, 3)


def test_the_demo_keeps_its_pace():
    demo = Demo((64, 48))
    start = sources.time.monotonic()
    for _ in range(10):
        demo.read()
    assert 9 / demo.rate <= sources.time.monotonic() - start < 3


# --- folder of pictures


def test_a_folder_gives_each_picture_once_in_order(tmp_path):
    for name, level in (("b.png", 20), ("a.png", 10), ("c.png", 30)):
        write_picture(tmp_path / name, np.full((4, 6, 3), level, np.uint8))
    (tmp_path / "notes.txt").write_text("no picture")
    source = open_source(tmp_path)
    assert not source.live
    assert [source.read()[0, 0, 0] for _ in range(3)] == [10, 20, 30]
    assert source.read() is None and source.read() is None


def test_a_folder_without_pictures(tmp_path):
    with pytest.raises(PicaptionError, match="holds no pictures"):
        open_source(tmp_path)


# --- video file


@pytest.mark.parametrize("name, codec", [("red.mp4", "mp4v"), ("red.avi", "MJPG"), ("red.webm", "VP80")])
def test_a_video_gives_every_frame_in_rgb(tmp_path, name, codec):
    levels = [40, 90, 140, 190, 240]
    write_video(tmp_path / name, codec, [np.full((48, 64, 3), (level, 20, 30), np.uint8) for level in levels])
    source = open_source(str(tmp_path / name))
    assert not source.live and source.rate == pytest.approx(12)
    frames = [source.read() for _ in levels]
    assert source.read() is None
    for frame, level in zip(frames, levels):
        assert frame.shape == (48, 64, 3)
        np.testing.assert_allclose(frame.reshape(-1, 3).mean(axis=0), (level, 20, 30), atol=9)
    source.close()


@pytest.mark.parametrize("data", [b"", b"text, no video\n" * 50])
def test_what_is_no_video(tmp_path, capfd, data):
    (tmp_path / "film.mp4").write_bytes(data)
    with pytest.raises(PicaptionError, match="film.mp4 is not a video"):
        open_source(tmp_path / "film.mp4")
    assert capfd.readouterr().err == ""


def test_a_video_cut_short(tmp_path, capfd):
    write_video(tmp_path / "whole.mp4", "mp4v", [np.full((48, 64, 3), level, np.uint8) for level in range(0, 250, 5)])
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[:len(data) // 2])
    with pytest.raises(PicaptionError, match="cut.mp4 is not a video, or it is cut short"):
        open_source(tmp_path / "cut.mp4")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("spec", ["nothing", "/nowhere/film.mp4", "usb:one"])
def test_an_unknown_source(spec):
    with pytest.raises(PicaptionError, match=f"there is no source {spec}"):
        open_source(spec)


# --- V4L2 cameras


@pytest.mark.parametrize("spec", ["/dev/video97", "97", "usb:97"])
def test_a_v4l2_camera_that_is_not_there(spec):
    with pytest.raises(PicaptionError, match="there is no camera at /dev/video97"):
        open_source(spec)


def test_a_v4l2_camera_gives_red_as_rgb(v4l2):
    node, capture = v4l2
    camera = sources.V4L2Camera(str(node), (320, 240))
    assert camera.live
    frame = camera.read()
    assert frame.shape == (240, 320, 3)
    np.testing.assert_array_equal(frame[100, 100], (200, 10, 20))
    assert camera.read(frame) is frame
    np.testing.assert_array_equal(frame[100, 100], (200, 10, 20))
    camera.close()
    assert capture.last.released


def test_a_v4l2_camera_that_does_not_open(v4l2):
    node, capture = v4l2
    capture.opens = False
    with pytest.raises(PicaptionError, match="does not open as a camera"):
        sources.V4L2Camera(str(node))


def test_a_v4l2_camera_that_gives_nothing_is_closed_again(v4l2):
    node, capture = v4l2
    capture.plan = []
    with pytest.raises(PicaptionError, match="gives no frames"):
        sources.V4L2Camera(str(node))
    assert capture.last.released


def test_a_damaged_frame_is_passed_over_and_silence_is_an_error(v4l2):
    node, capture = v4l2
    capture.plan = [True, False, False, True]
    camera = sources.V4L2Camera(str(node))
    assert camera.read()[0, 0, 0] == 200
    with pytest.raises(PicaptionError, match="gives no frames"):
        camera.read()


def test_a_v4l2_camera_that_is_unplugged(v4l2, monkeypatch):
    node, capture = v4l2
    monkeypatch.setattr(sources, "PATIENCE", 60)
    capture.plan = [True]
    camera = sources.V4L2Camera(str(node))
    os.remove(node)
    with pytest.raises(PicaptionError, match="is gone"):
        camera.read()


# --- picamera2


class NetworkCamera(BaseHTTPRequestHandler):
    """Streams red pictures as MJPEG: at /stream for ever, at /short three of them, at /locked with a password only, and at
    /silent none."""

    def do_GET(self):  # noqa: N802, the library's name
        path = self.path.partition("?")[0]
        if path == "/locked" and self.headers["Authorization"] != "Basic " + b64encode(b"anna:s3cret").decode():
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
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(jpeg), jpeg))
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


@pytest.mark.parametrize("url", (
    "http://{}/absent", "http://anna:wr0ng@{}/locked", "rtsp://anna:wr0ng@127.0.0.1:1/", "http://127.0.0.1:1/stream"))
def test_a_stream_that_is_not_there(camera, capfd, url):
    with pytest.raises(PicaptionError, match="there is no stream at .*127.0.0.1:") as error:
        open_source(url.format(camera.address))
    assert "wr0ng" not in str(error.value) and capfd.readouterr().err == ""


def test_a_stream_that_ends_is_an_error(camera, capfd):
    source = open_source(f"http://{camera.address}/short")
    with pytest.raises(PicaptionError, match="gives no frames any more; check the camera and the network"):
        for _ in range(4):
            source.read()
    source.close()
    assert capfd.readouterr().err == ""


def test_a_stream_that_falls_silent_is_an_error_before_long(camera, monkeypatch):
    monkeypatch.setattr(sources, "PATIENCE", 0.5)
    source = open_source(f"http://{camera.address}/stream")
    source.read()
    camera.silent, start = True, time.monotonic()
    with pytest.raises(PicaptionError, match="gives no frames any more"):
        for _ in range(2000):
            source.read()
    source.close()
    assert time.monotonic() - start < 10



def test_picamera2_gives_red_as_rgb_and_is_configured_once(picamera2):
    made = picamera2()
    camera = open_source("picamera2", (320, 240))
    assert camera.live
    for _ in range(3):
        frame = camera.read()
    assert frame.shape == (240, 320, 3) and frame.dtype == np.uint8
    np.testing.assert_array_equal(frame[0, 0], fake_picamera2.RED)
    np.testing.assert_array_equal(frame[0, -1], fake_picamera2.BLUE)
    camera.close()
    fake, = made
    assert fake.calls == ["configure", "start", "stop", "close"]
    assert fake.config["raw"] is None and fake.config["queue"] is False
    assert fake.config["sensor"] == {"output_size": (1640, 1232)}


def test_csi_is_another_name_of_picamera2(picamera2):
    picamera2()
    assert open_source("csi").name == "picamera2"


def test_picamera2_without_a_camera_or_with_a_busy_one(picamera2):
    for traits in ({"cameras": 0}, {"busy": True}):
        picamera2(**traits)
        with pytest.raises(PicaptionError, match="picamera2 can open no camera; check the cable"):
            open_source("picamera2")


def test_older_picamera2_without_a_camera(picamera2, monkeypatch):
    picamera2()
    monkeypatch.setattr(sys.modules["picamera2"], "Picamera2", lambda: [][0])  # IndexError
    with pytest.raises(PicaptionError, match="picamera2 can open no camera"):
        open_source("picamera2")


def test_a_csi_camera_that_stops_is_an_error_and_can_be_closed(picamera2):
    made = picamera2(frames=3)
    camera = open_source("picamera2")
    camera.read(), camera.read()
    with pytest.raises(PicaptionError, match="gave no frame for 5 s"):
        camera.read()
    camera.close()
    assert made[0].calls[-2:] == ["stop", "close"]


def test_a_csi_camera_that_never_starts_is_given_back(picamera2):
    made = picamera2(frames=0)
    with pytest.raises(PicaptionError, match="gave no frame"):
        open_source("picamera2")
    assert not made[0].is_open


def test_a_usb_camera_through_picamera2_is_refused_and_given_back(picamera2):
    made = picamera2(usb=True)
    with pytest.raises(PicaptionError, match="gives YUYV .* --source usb:0"):
        open_source("picamera2")
    assert not made[0].is_open


def test_without_picamera2_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(PicaptionError, match="sudo apt install python3-picamera2.*--system-site-packages"):
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
    assert open_source("auto", (320, 240)).name == "demo"
    assert open_source("auto", (320, 240)).read().shape == (240, 320, 3)
