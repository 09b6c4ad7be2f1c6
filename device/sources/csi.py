"""A Raspberry Pi's CSI camera, through picamera2."""

import logging
import os

from ..errors import CameraError
from .controls import Controls
from .usb import PATIENCE

# picamera2 names formats by their place in a 32-bit word, as Linux' DRM does: its "BGR888" lies as R,G,B in
# memory, its "RGB888" as B,G,R. Asking for this one is all that is needed to get RGB.
PICAMERA2_RGB = "BGR888"


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
        except (
            ImportError,
            ValueError,
        ) as error:  # ValueError: its modules and numpy do not fit each other
            raise CameraError(
                f"picamera2 cannot be used ({error}); run 'sudo apt install python3-picamera2' "
                "and make the virtual environment with --system-site-packages"
            ) from None
        logging.getLogger("picamera2").setLevel(logging.ERROR)
        try:
            self._camera = Picamera2()
        except (IndexError, RuntimeError):  # IndexError: no camera, in older versions
            raise CameraError(
                "picamera2 can open no camera; check the cable, that no other program uses it, "
                "and what 'rpicam-hello --list-cameras' says"
            ) from None
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
        self.name = "picamera2"

    def _start(self, controls):
        # Half the sensor's size is the mode that bins its pixels and shows its whole view; smaller ones are cut out.
        # No raw stream, which would only take memory; and queue=False: a frame taken after it was asked for.
        width, height = self._camera.sensor_resolution
        # A control that the camera does not have would stop it.
        given = {
            name: value
            for name, value in _libcamera_controls(controls)
            if name in self._camera.camera_controls
        }
        self._camera.configure(
            self._camera.create_video_configuration(
                main={"size": tuple(controls.size), "format": PICAMERA2_RGB},
                raw=None,
                controls=given,
                sensor={"output_size": (width // 2, height // 2)},
                buffer_count=4,
                queue=False,
            )
        )
        format_ = self._camera.camera_configuration()["main"]["format"]
        if format_ != PICAMERA2_RGB:
            raise CameraError(
                f"the camera gives {format_} through picamera2, not RGB; a USB camera is --source usb:0"
            )
        self._camera.start()

    def read(self, into=None):
        """Return the next frame; raises CameraError where none comes for PATIENCE seconds."""
        try:
            (frame,), self.metadata = self._camera.capture_arrays(
                ["main"], wait=PATIENCE
            )  # one copy, out of its buffer
        except TimeoutError:
            # Otherwise close() would wait behind the capture that never ends.
            self._camera.cancel_all_and_flush()
            raise CameraError(
                f"the CSI camera gave no frame for {PATIENCE:g} s; check its cable"
            ) from None
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
