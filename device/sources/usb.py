"""Cameras: of the Raspberry Pi through picamera2, on USB, in the network. They are sources (see picaption.device.sources.sources)."""

import os
import time
from pathlib import Path

import cv2

from ..errors import CameraError
from .controls import Controls

#: A camera that gives no frame for this many seconds is taken for gone.
PATIENCE = 5.0


#: Video devices of the Raspberry Pi's own codec, image processor and CSI receiver, which are no cameras to OpenCV.
BOARD_DEVICES = ("bcm2835", "rpi-", "rpivid", "unicam", "rp1-", "pispbe")

#: Values of V4L2's auto_exposure control.
MANUAL_EXPOSURE, AUTOMATIC_EXPOSURE = 1, 3


def v4l2_cameras():
    """Return the paths of the video devices that may be cameras, by number: not those of the board's own chips."""

    def is_camera(path):
        try:
            return (
                not Path(f"/sys/class/video4linux/{path.name}/name")
                .read_text()
                .startswith(BOARD_DEVICES)
            )
        except OSError:
            return True

    paths = sorted(Path("/dev").glob("video[0-9]*"), key=lambda path: (len(path.name), path.name))
    return [str(path) for path in paths if is_camera(path)]


class V4L2Camera:
    """A USB camera, or any other that Linux offers as a video device. A CSI camera is not one: see Picamera2Source."""

    live, rate, metadata = True, None, None

    def __init__(self, path, controls=Controls()):
        self.name = path
        if not os.path.exists(path):
            raise CameraError(
                f"there is no camera at {path}; plug it in, or name another of: "
                f"{', '.join(v4l2_cameras()) or 'none found'}"
            )
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
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

    def read(self, into=None):
        """Return the next frame; raises CameraError where none comes for PATIENCE seconds."""
        deadline = time.monotonic() + PATIENCE
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
            # A damaged frame now and then is normal for a USB camera.
            time.sleep(0.02)

    def close(self):
        """Give the device back."""
        self._capture.release()


def _v4l2_settings(controls):
    """Yield (OpenCV property, value) for what `controls` ask for; a driver leaves out what its camera does not have."""
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
