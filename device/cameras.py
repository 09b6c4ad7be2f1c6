"""Cameras: of the Raspberry Pi through picamera2, on USB, in the network. They are sources (see picaption.device.sources)."""

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import cv2

from .errors import CameraError
from .pictures import quiet_stderr

#: A camera that gives no frame for this many seconds is taken for gone.
PATIENCE = 5.0

#: So many damaged frames in a row a stream may have; where it has ended, reading fails as often at once.
DAMAGED = 20

# picamera2 names formats by their place in a 32-bit word, as Linux' DRM does: its "BGR888" lies as R,G,B in
# memory, its "RGB888" as B,G,R. Asking for this one is all that is needed to get RGB.
PICAMERA2_RGB = "BGR888"

#: Video devices of the Raspberry Pi's own codec, image processor and CSI receiver, which are no cameras to OpenCV.
BOARD_DEVICES = ("bcm2835", "rpi-", "rpivid", "unicam", "rp1-", "pispbe")

#: Values of V4L2's auto_exposure control.
MANUAL_EXPOSURE, AUTOMATIC_EXPOSURE = 1, 3


@dataclass(frozen=True)
class Controls:
    """What a camera is asked for: (width, height), frames a second, "continuous", "once" or a distance in dioptres as focus,
    exposure in microseconds, analogue gain; None, or an empty text, leave it to the camera."""

    size: tuple[int, int] = (640, 480)
    rate: float | None = None
    focus: str = ""
    exposure: int | None = None
    gain: float | None = None


def v4l2_cameras():
    """Return the paths of the video devices that may be cameras, by number: not those of the board's own chips."""
    def is_camera(path):
        try:
            return not Path(f"/sys/class/video4linux/{path.name}/name").read_text().startswith(BOARD_DEVICES)
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
            raise CameraError(f"there is no camera at {path}; plug it in, or name another of: "
                              f"{', '.join(v4l2_cameras()) or 'none found'}")
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(f"{path} does not open as a camera; is another program using it, "
                              "and is this user in the group video?")
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
                raise CameraError(f"the camera {self.name} gives no frames; check its cable and its power")
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


class Stream:
    """A camera in the network: a stream that FFmpeg reads over RTSP or HTTP, MJPEG for example.

    The password that its address may hold is not shown.
    """

    live, rate, metadata = True, None, None

    def __init__(self, url):
        parts = urlsplit(url)
        self.name = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
        patience = int(PATIENCE * 1e3)
        with quiet_stderr():  # FFmpeg tells there what goes wrong, address and password included.
            self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience, cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience])
        if not self._capture.isOpened():
            raise CameraError(f"there is no stream at {self.name}; check the address, user and password, and that the "
                              "camera is on")

    def read(self, into=None):
        """Return the next frame; raises CameraError where none comes for PATIENCE seconds."""
        for _ in range(DAMAGED):
            arrived, frame = self._capture.read(into)
            if arrived:
                return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
        raise CameraError(f"the stream {self.name} gives no frames any more; check the camera and the network")

    def close(self):
        """Close the connection."""
        self._capture.release()


class Picamera2Source:
    """The Raspberry Pi's CSI camera, through picamera2 (its manual, chapters 4 to 6); `metadata` is what libcamera says of the
    last frame, Lux and ExposureTime among it.

    Written from the manual and picamera2 0.3.38's code and tested against a stand-in; no camera was at
    hand to run it on.
    """

    live, rate, metadata = True, None, None

    def __init__(self, controls=Controls()):
        os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
        try:
            from picamera2 import Picamera2
        except (ImportError, ValueError) as error:  # ValueError: its modules and numpy do not fit each other
            raise CameraError(f"picamera2 cannot be used ({error}); run 'sudo apt install python3-picamera2' "
                              "and make the virtual environment with --system-site-packages") from None
        logging.getLogger("picamera2").setLevel(logging.ERROR)
        try:
            self._camera = Picamera2()
        except (IndexError, RuntimeError):  # IndexError: no camera, in older versions
            raise CameraError("picamera2 can open no camera; check the cable, that no other program uses it, "
                              "and what 'rpicam-hello --list-cameras' says") from None
        try:
            self._start(controls)
            self.read()
        except CameraError:
            self.close()
            raise
        except (RuntimeError, ValueError, OSError) as error:
            self.close()
            raise CameraError(f"the camera does not start ({error}); another --size may help") from None
        self.name = "picamera2"

    def _start(self, controls):
        # Half the sensor's size is the mode that bins its pixels and shows its whole view; smaller ones are cut out.
        # No raw stream, which would only take memory; and queue=False: a frame taken after it was asked for.
        width, height = self._camera.sensor_resolution
        # A control that the camera does not have would stop it.
        given = {name: value for name, value in _libcamera_controls(controls) if name in self._camera.camera_controls}
        self._camera.configure(self._camera.create_video_configuration(
            main={"size": tuple(controls.size), "format": PICAMERA2_RGB}, raw=None, controls=given,
            sensor={"output_size": (width // 2, height // 2)}, buffer_count=4, queue=False))
        format_ = self._camera.camera_configuration()["main"]["format"]
        if format_ != PICAMERA2_RGB:
            raise CameraError(f"the camera gives {format_} through picamera2, not RGB; a USB camera is --source usb:0")
        self._camera.start()

    def read(self, into=None):
        """Return the next frame; raises CameraError where none comes for PATIENCE seconds."""
        try:
            (frame,), self.metadata = self._camera.capture_arrays(["main"], wait=PATIENCE)  # one copy, out of its buffer
        except TimeoutError:
            # Otherwise close() would wait behind the capture that never ends.
            self._camera.cancel_all_and_flush()
            raise CameraError(f"the CSI camera gave no frame for {PATIENCE:g} s; check its cable") from None
        return frame

    def close(self):
        """Stop the camera and give it back."""
        self._camera.stop()
        self._camera.close()


def _libcamera_controls(controls):
    """Yield (name, value) of libcamera's controls for what is asked for."""
    if controls.rate:
        yield "FrameDurationLimits", (round(1e6 / controls.rate),) * 2
    if controls.focus == "continuous":
        yield "AfMode", 2
    elif controls.focus == "once":
        yield from (("AfMode", 1), ("AfTrigger", 0))
    elif controls.focus:
        yield from (("AfMode", 0), ("LensPosition", float(controls.focus)))
    if controls.exposure:
        yield "ExposureTime", controls.exposure
    if controls.gain:
        yield "AnalogueGain", controls.gain
