"""A camera in the network: RTSP, HTTP and other streams."""

import cv2
import numpy as np

from ..addresses import STREAM_SCHEMES, check_address, scheme_of, without_secrets
from ..errors import CameraError
from ..images import quiet_stderr
from .controls import Controls
from .memory import MemoryLimit
from .source import FRAME_TIMEOUT_SECONDS, Source

#: So many damaged frames in a row a stream may have. One that has ended fails as often at once.
MAX_DAMAGED_FRAMES = 20
#: The most memory that reading a stream may take: FFmpeg takes a frame that never ends as well. The
#: frames that a decoder keeps of a 4K camera are half of it.
MEMORY_BYTES = 512 << 20
#: What an FFmpeg may lack, by scheme: it does not say so.
_LACKS = {"srt": "; the OpenCV of pip reads no SRT: let the camera send RTSP, RTMP or UDP"}


def open_source(spec: str, controls: Controls) -> Source | None:
    """Open the address of a stream (STREAM_SCHEMES); return None for anything else."""
    if scheme_of(spec) in STREAM_SCHEMES:
        return Stream(spec)
    return None


class Stream:
    """A stream that FFmpeg reads over RTSP or HTTP, MJPEG for example.

    Its name leaves out the user, the password and the query that the address may hold.

    Args:
        url: The stream's address.
        timeout: Seconds without a frame after which the stream has failed.

    Raises:
        PicaptionError: It is no address.
        CameraError: There is no such stream.
    """

    live = True
    stills = False
    rate = None
    metadata = None

    def __init__(self, url: str, timeout: float = FRAME_TIMEOUT_SECONDS) -> None:
        check_address(url)
        # FFmpeg knows its schemes in small letters only.
        url = scheme_of(url) + url[len(scheme_of(url)) :]
        self.name = without_secrets(url)
        milliseconds = int(timeout * 1e3)
        options = [
            *(cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, milliseconds),
            *(cv2.CAP_PROP_READ_TIMEOUT_MSEC, milliseconds),
        ]
        self._limit = MemoryLimit(MEMORY_BYTES)
        with quiet_stderr():  # FFmpeg prints errors there, with address and password.
            self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, options)
        if not self._capture.isOpened():
            self._limit.close()
            raise CameraError(
                f"there is no stream at {self.name}; check the address, user and password, "
                f"and that the camera is on{_LACKS.get(scheme_of(url), '')}"
            )

    def read(self, into: np.ndarray | None = None) -> np.ndarray:
        """Return the next frame.

        Raises:
            CameraError: None came in time, or the stream has ended.
        """
        for _ in range(MAX_DAMAGED_FRAMES):
            try:
                arrived, frame = self._capture.read(into)
            except cv2.error:  # Its memory is used up.
                break
            if arrived:
                return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
        raise CameraError(
            f"the stream {self.name} gives no frames any more, or one beyond "
            f"{MEMORY_BYTES >> 20} MB; check the camera and the network"
        )

    def close(self) -> None:
        """Close the connection."""
        self._capture.release()
        self._limit.close()
