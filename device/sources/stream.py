"""RTSP and HTTP streams."""

from urllib.parse import urlsplit, urlunsplit

import cv2

from ..errors import CameraError
from ..images import quiet_stderr
from .usb import PATIENCE

#: So many damaged frames in a row a stream may have; where it has ended, reading fails as often at once.
DAMAGED = 20


class Stream:
    """A camera in the network: a stream that FFmpeg reads over RTSP or HTTP, MJPEG for example.

    The password that its address may hold is not shown.
    """

    live, rate, metadata = True, None, None

    def __init__(self, url):
        parts = urlsplit(url)
        self.name = urlunsplit(
            parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="")
        )
        patience = int(PATIENCE * 1e3)
        with quiet_stderr():  # FFmpeg tells there what goes wrong, address and password included.
            self._capture = cv2.VideoCapture(
                url,
                cv2.CAP_FFMPEG,
                [
                    cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
                    patience,
                    cv2.CAP_PROP_READ_TIMEOUT_MSEC,
                    patience,
                ],
            )
        if not self._capture.isOpened():
            raise CameraError(
                f"there is no stream at {self.name}; check the address, user and password, and that the "
                "camera is on"
            )

    def read(self, into=None):
        """Return the next frame; raises CameraError where none comes for PATIENCE seconds."""
        for _ in range(DAMAGED):
            arrived, frame = self._capture.read(into)
            if arrived:
                return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
        raise CameraError(
            f"the stream {self.name} gives no frames any more; check the camera and the network"
        )

    def close(self):
        """Close the connection."""
        self._capture.release()
