"""Streams of a real server."""

import contextlib
import os
import resource
import socket
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from picaption.device.errors import CameraError
from picaption.device.sources import stream
from picaption.device.sources.sources import open_source
from picaption.device.sources.stream import Stream


class NetworkCamera(BaseHTTPRequestHandler):
    """Streams red images as MJPEG.

    At /stream for ever, at /short three, at /locked only with a password, at /silent none, and at
    /endless three and then one that never ends.
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
        if path not in ("/stream", "/short", "/locked", "/silent", "/endless"):
            return self.send_error(404)
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        jpeg = cv2.imencode(".jpg", np.full((48, 64, 3), (0, 0, 255), np.uint8))[1].tobytes()
        try:
            for _ in range(3 if path in ("/short", "/endless") else 10_000):
                if path == "/silent" or self.server.silent:
                    self.server.over.wait(30)
                    return None
                self.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
                    % (len(jpeg), jpeg)
                )
                time.sleep(0.01)
            if path == "/endless":
                self.wfile.write(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg[:-2])
                while not self.server.over.is_set():
                    self.wfile.write(b"\x55" * 65536)
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


def test_rubbish_and_what_cannot_be_read_are_no_stream():
    def answer(listener):
        peer, _ = listener.accept()
        with peer, contextlib.suppress(OSError):
            while True:
                peer.sendall(bytes(range(256)) * 256)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        address = f"rtmp://127.0.0.1:{listener.getsockname()[1]}/live"
        with pytest.raises(CameraError, match=f"^there is no stream at {address}; .* is on$"):
            open_source(address)
    with pytest.raises(CameraError, match="the OpenCV of pip reads no SRT"):
        open_source("srt://127.0.0.1:9")


def test_a_stream_that_ends_is_an_error(camera, capfd):
    source = open_source(f"http://{camera.address}/short")
    with pytest.raises(
        CameraError, match="gives no frames any more, .*; check the camera and the network"
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


@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="no /proc")
def test_a_frame_that_never_ends_takes_no_more_memory_than_it_may(camera, monkeypatch):
    monkeypatch.setattr(stream, "MEMORY_BYTES", 64 << 20)
    before = resource.getrlimit(resource.RLIMIT_DATA)
    source = Stream(f"http://{camera.address}/endless", timeout=2.0)
    for _ in range(3):
        source.read()
    Path("/proc/self/clear_refs").write_text("5")  # The most that was in use is counted from here.
    start = _kilobytes("VmRSS")
    with pytest.raises(CameraError, match="gives no frames any more, or one beyond 64 MB; check"):
        for _ in range(10):
            source.read()
    assert _kilobytes("VmHWM") - start < 80_000
    source.close()
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


def _kilobytes(name):
    """Return how much memory of this process is of a kind, as the kernel names it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
