"""Where frames come from: a camera, a stream, a video file, a folder of pictures, or the demo.

A source has a `name` to show, says with `live` whether frames that nobody takes are lost, and gives its
own `rate` in frames per second (None: as they come). `read(into)` returns the next frame, uint8 RGB
[height, width, 3], or None at the end; a frame of the same size that is no longer needed may be passed
as `into` to be written over. `close()` frees the device. Errors are PicaptionError.
"""

import logging
import os
import re
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import cv2
import numpy as np

from device.errors import PicaptionError
from device.pictures import list_pictures, quiet_stderr, read_picture

#: (width, height) that cameras and the demo are asked for.
SIZE = (640, 480)
#: A camera that gives no frame for this many seconds is taken for gone.
PATIENCE = 5.0
DEMO_PICTURES = Path(__file__).parent / "demo"

# picamera2 names formats by their place in a 32-bit word, as Linux' DRM does: its "BGR888" lies as R,G,B in
# memory, its "RGB888" as B,G,R. Asking for this one is all that is needed to get RGB.
PICAMERA2_RGB = "BGR888"

#: Video devices of the Raspberry Pi's own codec, image processor and CSI receiver, which are no cameras to OpenCV.
BOARD_DEVICES = ("bcm2835", "rpi-", "rpivid", "unicam", "rp1-", "pispbe")


def open_source(spec, size=SIZE):
    """Return the source that `spec` names: "demo", "picamera2" (or "csi"), a V4L2 camera ("/dev/video0", "0",
    "usb:0"), the address of an RTSP or HTTP stream, a video file, a folder of pictures, or "auto": the first of picamera2, a
    V4L2 camera and the demo.

    `size` is the (width, height) that cameras and the demo are asked for. Raises PicaptionError where
    there is no such source, or it does not work.
    """
    spec = str(spec)
    if spec == "auto":
        return _first_camera(size)
    if spec == "demo":
        return Demo(size)
    if spec in ("picamera2", "csi"):
        return Picamera2Source(size)
    number = re.fullmatch(r"(?:usb:|/dev/video)?(\d+)", spec)
    if number:
        return V4L2Camera(f"/dev/video{int(number[1])}", size)
    if re.match(r"(?:rtsps?|https?)://", spec):
        return Stream(spec)
    path = Path(spec)
    if path.is_char_device():
        return V4L2Camera(spec, size)
    if path.is_dir():
        return PictureFolder(path)
    if path.is_file():
        return VideoFile(path)
    raise PicaptionError(f"there is no source {spec}; give auto, demo, picamera2, /dev/video0, "
                         "rtsp://..., http://..., a video file or a folder of pictures")


def _first_camera(size):
    for kind, *arguments in [(Picamera2Source,), *((V4L2Camera, path) for path in v4l2_cameras())]:
        try:
            return kind(*arguments, size)
        except PicaptionError:
            continue
    return Demo(size)


class Demo:
    """Pans and zooms over the `count` photographs in device/demo, for ever; a frame depends on its number alone."""

    name, live, rate = "demo", True, 25

    #: How long each photograph is shown, and how far the camera moves in.
    SECONDS, ZOOM = 4, 1.25

    def __init__(self, size=SIZE):
        self._size = size
        self._pictures = [read_picture(path) for path in list_pictures(DEMO_PICTURES)]
        self.count = len(self._pictures)
        self._number, self._due = 0, time.monotonic()

    def read(self, into=None):
        """Return the next frame when it is due."""
        self._due = max(self._due + 1 / self.rate, time.monotonic() - 1)
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._number += 1
        return self.frame(self._number - 1, into)

    def frame(self, number, into=None):
        """Return frame `number`, at any time."""
        length = self.SECONDS * self.rate
        shot, step = divmod(number, length)
        picture = self._pictures[shot % self.count]
        progress = (1 - np.cos(np.pi * step / (length - 1))) / 2
        if shot % 2:
            progress = 1 - progress
        rows, columns = picture.shape[:2]
        width, height = self._size
        scale = min(columns / width, rows / height) / (1 + (self.ZOOM - 1) * progress)
        # To the right and downwards in what the window leaves over; what matters is rarely at the foot.
        left = (columns - scale * width) * (0.2 + 0.6 * progress)
        top = (rows - scale * height) * 0.4 * progress
        # A pixel's middle is at half: output x takes the picture's (x + 0.5) * scale + left - 0.5.
        window = np.array([[scale, 0, left + scale / 2 - 0.5], [0, scale, top + scale / 2 - 0.5]])
        return cv2.warpAffine(picture, window, self._size, dst=into, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                              borderMode=cv2.BORDER_REPLICATE)

    def close(self):
        """Nothing to free."""


class PictureFolder:
    """Each picture of a folder once, in the order of their names."""

    live, rate = False, 0.5

    def __init__(self, folder):
        self.name = str(folder)
        self._paths = iter(list_pictures(folder))

    def read(self, into=None):
        """Return the next picture, or None after the last; raises PicaptionError where it is broken."""
        path = next(self._paths, None)
        return path and read_picture(path)

    def close(self):
        """Nothing to free."""


class VideoFile:
    """Every frame of a video file, once."""

    live = False

    def __init__(self, path):
        self.name = str(path)
        self._capture = cv2.VideoCapture(self.name, cv2.CAP_FFMPEG)
        # A file may open as a video and yet hold no frame: only a first look tells.
        if not self._capture.grab():
            raise PicaptionError(f"{path} is not a video, or it is cut short; give a whole mp4, avi or webm file")
        self._capture.open(self.name, cv2.CAP_FFMPEG)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= 240 else 25

    def read(self, into=None):
        """Return the next frame, or None at the end."""
        arrived, frame = self._capture.read(into)
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame) if arrived else None

    def close(self):
        """Close the file."""
        self._capture.release()


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

    live, rate = True, None

    def __init__(self, path, size=SIZE):
        self.name = path
        if not os.path.exists(path):
            raise PicaptionError(f"there is no camera at {path}; plug it in, or name another of: "
                                 f"{', '.join(v4l2_cameras()) or 'none found'}")
        self._capture = cv2.VideoCapture(path, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise PicaptionError(f"{path} does not open as a camera; is another program using it, "
                                 "and is this user in the group video?")
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        try:
            self.read()
        except PicaptionError:
            self.close()
            raise

    def read(self, into=None):
        """Return the next frame; raises PicaptionError where none comes for PATIENCE seconds."""
        deadline = time.monotonic() + PATIENCE
        while True:
            arrived, frame = self._capture.read(into)
            if arrived:
                return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)
            if not os.path.exists(self.name):
                raise PicaptionError(f"the camera {self.name} is gone; plug it in again and start anew")
            if time.monotonic() > deadline:
                raise PicaptionError(f"the camera {self.name} gives no frames; check its cable and its power")
            # A damaged frame now and then is normal for a USB camera.
            time.sleep(0.02)

    def close(self):
        """Give the device back."""
        self._capture.release()


class Stream:
    """A camera in the network: a stream that FFmpeg reads over RTSP or HTTP, MJPEG for example.

    The password that its address may hold is not shown.
    """

    live, rate = True, None

    def __init__(self, url):
        parts = urlsplit(url)
        self.name = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))
        patience = int(PATIENCE * 1e3)
        with quiet_stderr():  # FFmpeg tells there what goes wrong, address and password included.
            self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [
                cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, patience, cv2.CAP_PROP_READ_TIMEOUT_MSEC, patience])
        if not self._capture.isOpened():
            raise PicaptionError(f"there is no stream at {self.name}; check the address, user and password, and that the "
                                 "camera is on")

    def read(self, into=None):
        """Return the next frame; raises PicaptionError where none comes for PATIENCE seconds."""
        arrived, frame = self._capture.read(into)
        if not arrived:
            raise PicaptionError(f"the stream {self.name} gives no frames any more; check the camera and the network")
        return cv2.cvtColor(frame, cv2.COLOR_BGR2RGB, dst=frame)

    def close(self):
        """Close the connection."""
        self._capture.release()


class Picamera2Source:
    """The Raspberry Pi's CSI camera, through picamera2 (its manual, chapters 4 and 6).

    Written from the manual and picamera2 0.3.38's code and tested against a stand-in; no camera was at
    hand to run it on.
    """

    live, rate = True, None

    def __init__(self, size=SIZE):
        os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
        try:
            from picamera2 import Picamera2
        except (ImportError, ValueError) as error:  # ValueError: its modules and numpy do not fit each other
            raise PicaptionError(f"picamera2 cannot be used ({error}); run 'sudo apt install python3-picamera2' "
                                 "and make the virtual environment with --system-site-packages") from None
        logging.getLogger("picamera2").setLevel(logging.ERROR)
        try:
            self._camera = Picamera2()
        except (IndexError, RuntimeError):  # IndexError: no camera, in older versions
            raise PicaptionError("picamera2 can open no camera; check the cable, that no other program uses it, "
                                 "and what 'rpicam-hello --list-cameras' says") from None
        try:
            self._start(size)
            self.read()
        except PicaptionError:
            self.close()
            raise
        except (RuntimeError, ValueError, OSError) as error:
            self.close()
            raise PicaptionError(f"the camera does not start ({error}); another --size may help") from None
        self.name = "picamera2"

    def _start(self, size):
        # Half the sensor's size is the mode that bins its pixels and shows its whole view; smaller ones are cut out.
        # No raw stream, which would only take memory; and queue=False: a frame taken after it was asked for.
        width, height = self._camera.sensor_resolution
        self._camera.configure(self._camera.create_video_configuration(
            main={"size": tuple(size), "format": PICAMERA2_RGB}, raw=None,
            sensor={"output_size": (width // 2, height // 2)}, buffer_count=4, queue=False))
        given = self._camera.camera_configuration()["main"]["format"]
        if given != PICAMERA2_RGB:
            raise PicaptionError(f"the camera gives {given} through picamera2, not RGB; a USB camera is --source usb:0")
        self._camera.start()

    def read(self, into=None):
        """Return the next frame; raises PicaptionError where none comes for PATIENCE seconds."""
        try:
            return self._camera.capture_array("main", wait=PATIENCE)  # the one copy out of the camera's buffer
        except TimeoutError:
            # Otherwise close() would wait behind the capture that never ends.
            self._camera.cancel_all_and_flush()
            raise PicaptionError(f"the CSI camera gave no frame for {PATIENCE:g} s; check its cable") from None

    def close(self):
        """Stop the camera and give it back."""
        self._camera.stop()
        self._camera.close()
