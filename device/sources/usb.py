"""A USB camera, or any other that Linux offers as a video device."""

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from ..errors import CameraError
from ..opencv_path import opencv_path
from .controls import DEFAULT_CONTROLS, Controls
from .source import FRAME_TIMEOUT_SECONDS, Source

#: How the names of a Pi's codec, image processor and CSI receiver begin: OpenCV takes none of them.
BOARD_DEVICES = ("bcm2835", "rpi-", "rpivid", "unicam", "rp1-", "pispbe")

#: V4L2's value of auto_exposure for an exposure time that is set.
MANUAL_EXPOSURE = 1

#: A damaged frame now and then is normal for a USB camera; the next read follows after this.
DAMAGED_FRAME_PAUSE_SECONDS = 0.02


def open_source(spec: str, controls: Controls) -> Source | None:
    """Open "usb:0", "0", or a device such as "/dev/video0"; return None for anything else."""
    index = re.fullmatch(r"(?:usb:|/dev/video)?(\d+)", spec)
    if index:
        return V4L2Camera(f"/dev/video{int(index[1])}", controls)
    if Path(spec).is_char_device():
        return V4L2Camera(spec, controls)
    return None


def v4l2_cameras() -> list[str]:
    """Return the paths of the video devices that may be cameras, by number.

    The devices of the board's own chips are left out.
    """
    paths = sorted(Path("/dev").glob("video[0-9]*"), key=_device_order)
    return [str(path) for path in paths if _may_be_camera(path)]


def _device_order(path: Path) -> tuple[int, str]:
    return len(path.name), path.name


def _may_be_camera(path: Path) -> bool:
    return not _device_name(path).startswith(BOARD_DEVICES)


def _device_name(path: Path) -> str:
    """Return what a device calls itself; empty where Linux does not know."""
    try:
        text = Path(f"/sys/class/video4linux/{path.name}/name").read_text(errors="replace")
    except OSError:
        return ""
    return text.strip()


class V4L2Camera:
    """A camera that Linux offers as a video device. A CSI camera is none: see Picamera2Source.

    Args:
        path: The device, such as "/dev/video0".
        controls: What the camera is asked for.
        timeout: Seconds without a frame after which the camera has failed.

    Attributes:
        model: What the camera calls itself; empty where Linux does not know.

    Raises:
        CameraError: There is no such camera, or it does not work.
    """

    live = True
    stills = False
    rate = None
    metadata = None

    def __init__(
        self,
        path: str,
        controls: Controls = DEFAULT_CONTROLS,
        timeout: float = FRAME_TIMEOUT_SECONDS,
    ) -> None:
        self.name = path
        self.model = _device_name(Path(path).resolve())
        self._timeout = timeout
        if not os.path.exists(path):
            raise CameraError(
                f"there is no camera at {path}; plug it in, or name another of: "
                f"{', '.join(v4l2_cameras()) or 'none found'}"
            )
        with opencv_path(path) as openable:
            self._capture = cv2.VideoCapture(openable, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(
                f"{path} does not open as a camera; is another program using it, "
                "and is this user in the group video?"
            )
        for name, value in _v4l2_settings(controls):
            self._capture.set(name, value)
        try:
            self.read()
        except CameraError:
            self.close()
            raise

    def read(self, into: np.ndarray | None = None) -> np.ndarray:
        """Return the next frame.

        Raises:
            CameraError: None came in time, or the camera is gone.
        """
        deadline = time.monotonic() + self._timeout
        while True:
            arrived, frame = self._capture.read(into)
            if arrived:
                return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
            if not os.path.exists(self.name):
                raise CameraError(f"the camera {self.name} is gone; plug it in again")
            if time.monotonic() > deadline:
                raise CameraError(
                    f"the camera {self.name} gives no frames; check its cable and its power"
                )
            time.sleep(DAMAGED_FRAME_PAUSE_SECONDS)

    def close(self) -> None:
        """Give the device back."""
        self._capture.release()


def _v4l2_settings(controls: Controls) -> Iterator[tuple[int, float]]:
    """Yield (OpenCV property, value); a driver leaves out what its camera does not have."""
    yield cv2.CAP_PROP_FRAME_WIDTH, controls.size[0]
    yield cv2.CAP_PROP_FRAME_HEIGHT, controls.size[1]
    if controls.rate:
        yield cv2.CAP_PROP_FPS, controls.rate
    if controls.focus:
        automatic = controls.focus in ("continuous", "once")
        yield cv2.CAP_PROP_AUTOFOCUS, int(automatic)
        if not automatic:
            yield cv2.CAP_PROP_FOCUS, float(controls.focus)
    if controls.exposure:
        yield cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL_EXPOSURE
        yield cv2.CAP_PROP_EXPOSURE, controls.exposure / 100  # in V4L2's unit, 100 microseconds
    if controls.gain:
        yield cv2.CAP_PROP_GAIN, controls.gain
