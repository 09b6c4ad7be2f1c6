"""Streams of a real server."""

import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from picaption.device.errors import CameraError
from picaption.device.sources.sources import open_source
from picaption.device.sources.stream import Stream


class NetworkCamera(BaseHTTPRequestHandler):
    """Streams red images as MJPEG.

    At /stream for ever, at /short three, at /locked only with a password, and at /silent none.
    """

    def do_GET(self):
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
    """A camera in the network: a server with an `address`; once `silent`, it sends no more."""
    with ThreadingHTTPServer(("127.0.0.1", 0), NetworkCamera) as server:
        server.daemon_threads = True
        server.silent = False
        server.over = threading.Event()
        server.address = f"127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.over.set()
        server.shutdown()


@pytest.mark.parametrize("url", ("http://{}/stream", "HTTP://anna:s3cret@{}/locked?token=s3cret"))
def test_a_stream_has_red_as_rgb_and_hides_its_password(camera, url):
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


def test_a_stream_that_falls_silent_is_an_error_before_long(camera):
    source = Stream(f"http://{camera.address}/stream", timeout=0.5)
    source.read()
    camera.silent = True
    start = time.monotonic()
    with pytest.raises(CameraError, match="gives no frames any more"):
        for _ in range(2000):
            source.read()
    source.close()
    assert time.monotonic() - start < 5
