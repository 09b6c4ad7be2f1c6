"""A Raspberry Pi's CSI camera, through picamera2."""

import logging
import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import CameraError
from .controls import DEFAULT_CONTROLS, Controls
from .source import FRAME_TIMEOUT_SECONDS, Source

# picamera2 names formats by the order in a 32-bit word, as Linux' DRM does: its "BGR888" lies as
# R,G,B in memory, its "RGB888" as B,G,R. Asking for this one is all that is needed to get RGB.
PICAMERA2_RGB = "BGR888"

#: libcamera's values of AfMode, and of AfTrigger.
AF_MANUAL = 0
AF_ONCE = 1
AF_CONTINUOUS = 2
AF_START = 0


def open_source(spec: str, controls: Controls) -> Source | None:
    """Open "picamera2" or "csi"; return None for anything else."""
    if spec in ("picamera2", "csi"):
        return Picamera2Source(controls)
    return None


class Picamera2Source:
    """The Raspberry Pi's CSI camera, through picamera2 (its manual, chapters 4 to 6).

    `metadata` is what libcamera reports of the last frame, Lux and ExposureTime among it.

    Written from the manual and picamera2 0.3.38's code and tested against a stand-in; no camera was
    at hand to run it on.

    Args:
        controls: What the camera is asked for.
        timeout: Seconds without a frame after which the camera has failed.

    Attributes:
        model: The sensor's name, such as imx708.

    Raises:
        CameraError: There is no camera or no picamera2, or the camera does not start.
    """

    name = "picamera2"
    live = True
    stills = False
    rate = None

    def __init__(
        self, controls: Controls = DEFAULT_CONTROLS, timeout: float = FRAME_TIMEOUT_SECONDS
    ) -> None:
        self.metadata: dict[str, Any] | None = None
        self._timeout = timeout
        self._camera = _open_camera()
        self.model = str(self._camera.camera_properties.get("Model", ""))
        try:
            self._start(controls)
            self.read()
        except CameraError:
            self.close()
            raise
        except (RuntimeError, ValueError, OSError) as error:
            self.close()
            raise CameraError(
                f"the camera does not start ({error}); another --size may help"
            ) from None

    def _start(self, controls: Controls) -> None:
        # Half the sensor's size is the mode that bins its pixels and shows its full view; smaller
        # ones are cut out. No raw stream, which would only take memory; and queue=False: a frame
        # captured after it was asked for.
        width, height = self._camera.sensor_resolution
        # A control that the camera does not have would stop it.
        supported = {
            name: value
            for name, value in _libcamera_controls(controls)
            if name in self._camera.camera_controls
        }
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": tuple(controls.size), "format": PICAMERA2_RGB},
                raw=None,
                controls=supported,
                sensor={"output_size": (width // 2, height // 2)},
                buffer_count=4,
                queue=False,
            )
        )
        pixel_format = self._camera.camera_configuration()["main"]["format"]
        if pixel_format != PICAMERA2_RGB:
            raise CameraError(
                f"the camera gives {pixel_format} through picamera2, not RGB; "
                "a USB camera is --source usb:0"
            )
        self._camera.start()

    def read(self, into: np.ndarray | None = None) -> np.ndarray:
        """Return the next frame.

        Raises:
            CameraError: None came in time.
        """
        try:
            # One copy, out of the camera's buffer.
            (frame,), self.metadata = self._camera.capture_arrays(["main"], wait=self._timeout)
        except TimeoutError:
            # Otherwise close() would wait behind the capture that never ends.
            self._camera.cancel_all_and_flush()
            raise CameraError(
                f"the CSI camera gave no frame for {self._timeout:g} s; check its cable"
            ) from None
        return frame

    def close(self) -> None:
        """Stop the camera and give it back."""
        self._camera.stop()
        self._camera.close()


def _open_camera() -> Any:
    """Return a picamera2.Picamera2; raises CameraError if there is none."""
    os.environ.setdefault("LIBCAMERA_LOG_LEVELS", "*:ERROR")
    try:
        from picamera2 import Picamera2
    except (ImportError, ValueError) as error:  # ValueError: built for another numpy
        raise CameraError(
            f"picamera2 cannot be used ({error}); run 'sudo apt install python3-picamera2' "
            "and make the virtual environment with --system-site-packages"
        ) from None
    logging.getLogger("picamera2").setLevel(logging.ERROR)
    try:
        return Picamera2()
    except (IndexError, RuntimeError):  # IndexError: no camera, in older versions
        raise CameraError(
            "picamera2 can open no camera; check the cable, that no other program uses it, "
            "and what 'rpicam-hello --list-cameras' says"
        ) from None


def _libcamera_controls(controls: Controls) -> Iterator[tuple[str, Any]]:
    """Yield (name, value) of libcamera's controls for what is asked for."""
    if controls.rate:
        yield "FrameDurationLimits", (round(1e6 / controls.rate),) * 2
    if controls.focus == "continuous":
        yield "AfMode", AF_CONTINUOUS
    elif controls.focus == "once":
        yield "AfMode", AF_ONCE
        yield "AfTrigger", AF_START
    elif controls.focus:
        yield "AfMode", AF_MANUAL
        yield "LensPosition", float(controls.focus)
    if controls.exposure:
        yield "ExposureTime", controls.exposure
    if controls.gain:
        yield "AnalogueGain", controls.gain
