"""Where frames come from: a camera, a stream, a video file, pictures, or the demo.

A source has a `name` to show, says with `live` whether frames that nobody takes are lost, gives its own `rate` in frames per
second (None: as they come), and in `metadata` what the camera says of the last frame (None: nothing). `read(into)` returns the
next frame, uint8 RGB [height, width, 3], or None at the end; a frame of the same size that is no longer needed may be passed
as `into` to be written over. `close()` frees the device. Errors are PicaptionError, those of cameras CameraError.
"""

import glob
import logging
import re
import time
from pathlib import Path

import cv2
import numpy as np

from ..errors import PicaptionError
from ..images import IMAGE_SUFFIXES, list_images, read_image
from .controls import Controls
from .csi import Picamera2Source
from .stream import Stream
from .usb import V4L2Camera, v4l2_cameras

log = logging.getLogger("picaption")

DEMO_PICTURES = Path(__file__).parent / "demo"
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def open_source(spec, controls=Controls()):
    """Return the source that `spec` names: "demo", "picamera2" (or "csi"), a V4L2 camera ("/dev/video0", "0",
    "usb:0"), the address of an RTSP or HTTP stream, a video file, a folder of pictures, a pattern of their names ("*.jpg"), or
    "auto": the first that works of picamera2, a V4L2 camera and the demo.

    Cameras are asked for `controls`, the demo for their size. Raises PicaptionError where there is no such source, and
    CameraError where it does not work.
    """
    spec = str(spec)
    if spec == "auto":
        return _first_camera(controls)
    if spec == "demo":
        return Demo(controls.size)
    if spec in ("picamera2", "csi"):
        return Picamera2Source(controls)
    number = re.fullmatch(r"(?:usb:|/dev/video)?(\d+)", spec)
    if number:
        return V4L2Camera(f"/dev/video{int(number[1])}", controls)
    if re.match(r"(?:rtsps?|https?)://", spec):
        return Stream(spec)
    path = Path(spec)
    if path.is_char_device():
        return V4L2Camera(spec, controls)
    if path.is_dir():
        return ImageFiles(spec, list_images(path))
    if path.is_file():
        return VideoFile(path)
    found = sorted(Path(name) for name in glob.glob(spec, recursive=True))
    if pictures := [
        path for path in found if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()
    ]:
        return ImageFiles(spec, pictures)
    raise PicaptionError(
        f"there is no source {spec}; give auto, demo, picamera2, /dev/video0, "
        "rtsp://..., http://..., a video file, or a folder or pattern of pictures"
    )


def _first_camera(controls):
    for kind, *arguments in [(Picamera2Source,), *((V4L2Camera, path) for path in v4l2_cameras())]:
        try:
            return kind(*arguments, controls)
        except PicaptionError as error:
            log.info("%s", error)
    return Demo(controls.size)


class RotatedSource:
    """A source whose frames are mirrored, turned upside down, and then turned clockwise by 90, 180 or 270 degrees."""

    def __init__(self, source, rotate=0, hflip=False, vflip=False):
        self._source, self._rotate = source, TURNS.get(rotate)
        # cv2.flip: 1 about the vertical axis, 0 about the horizontal one, -1 both.
        self._flip = {(True, True): -1, (True, False): 1, (False, True): 0}.get((hflip, vflip))
        self.name, self.live, self.rate, self._raw = source.name, source.live, source.rate, None

    @property
    def metadata(self):
        """What the camera says of the last frame."""
        return self._source.metadata

    def read(self, into=None):
        """Return the next frame, turned, or None at the end."""
        self._raw = frame = self._source.read(self._raw)
        if frame is None:
            return None
        if self._flip is not None:
            frame = cv2.flip(frame, self._flip, dst=None if self._rotate is not None else into)
        return frame if self._rotate is None else cv2.rotate(frame, self._rotate, dst=into)

    def close(self):
        """Close the source."""
        self._source.close()


class Demo:
    """Pans and zooms over the `count` photographs in device/sources/demo, for ever; a frame depends on its number alone."""

    name, live, rate, metadata = "demo", True, 25, None

    #: How long each photograph is shown, and how far the camera moves in.
    SECONDS, ZOOM = 4, 1.25

    def __init__(self, size=Controls.size):
        self._size = size
        self._pictures = [read_image(path) for path in list_images(DEMO_PICTURES)]
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
        return cv2.warpAffine(
            picture,
            window,
            self._size,
            dst=into,
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
            borderMode=cv2.BORDER_REPLICATE,
        )

    def close(self):
        """Nothing to free."""


class ImageFiles:
    """The pictures at `paths`, each once; broken ones are told of and left out."""

    live, rate, metadata = False, 0.5, None

    def __init__(self, name, paths):
        self.name, self._paths = name, iter(paths)

    def read(self, into=None):
        """Return the next picture, or None after the last."""
        for path in self._paths:
            try:
                return read_image(path)
            except PicaptionError as error:
                log.warning("%s", error)
        return None

    def close(self):
        """Nothing to free."""


class VideoFile:
    """Every frame of a video file, once."""

    live, metadata = False, None

    def __init__(self, path):
        self.name = str(path)
        self._capture = cv2.VideoCapture(self.name, cv2.CAP_FFMPEG)
        # A file may open as a video and yet hold no frame: only a first look tells.
        if not self._capture.grab():
            raise PicaptionError(
                f"{path} is not a video, or it is cut short; give a whole mp4, avi or webm file"
            )
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
