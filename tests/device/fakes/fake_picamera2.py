"""A stand-in for picamera2 0.3.38 with the behaviour of the real one that picaption relies on.

Same names, arguments, exceptions and memory layout; where the real one would hang for ever
(closing behind a capture that never ends) or corrupt memory, this one raises AssertionError.
"""

import types

import numpy as np

#: What the sensor shows: red on the left, blue on the right.
RED = (200, 10, 20)
BLUE = (10, 20, 200)


class FakeCamera:
    """One Picamera2 object. `module` builds a class like it with other cameras attached."""

    cameras = 1
    usb = False
    frames = 10**9
    camera_controls = dict.fromkeys(
        (
            "FrameDurationLimits",
            "AfMode",
            "AfTrigger",
            "LensPosition",
            "ExposureTime",
            "AnalogueGain",
        )
    )
    camera_properties = {"Model": "imx708"}
    busy = False
    made = []

    def __init__(self, camera_num=0):
        if camera_num >= self.cameras:
            raise RuntimeError(
                f'No camera number {camera_num} found - use "rpicam-hello --list-cameras" to check '
                "connected cameras"
            )
        if self.busy:
            raise RuntimeError("Camera __init__ sequence did not complete.")
        self.sensor_resolution = (640, 480) if self.usb else (3280, 2464)
        self.is_open = True
        self.started = False
        self.waiting = False
        self.config = None
        self.calls = []
        self.made.append(self)

    def create_video_configuration(
        self,
        main,
        lores=None,
        raw=(),
        transform=None,
        colour_space=None,
        buffer_count=6,
        controls=(),
        display="main",
        encode="main",
        queue=True,
        sensor=(),
        use_case="video",
    ):
        unknown = set(main) - {"format", "size", "stride", "preserve_ar"}
        if unknown:
            raise ValueError(f"Bad key {unknown.pop()!r}")
        main = {"format": "XBGR8888", "size": (1280, 720)} | main
        main["size"] = tuple(side - side % 2 for side in main["size"])
        return {
            "main": main,
            "lores": lores,
            "raw": raw,
            "buffer_count": buffer_count,
            "queue": queue,
            "sensor": None if self.usb else sensor,
            "controls": controls,
        }

    def configure(self, config):
        if self.started:
            raise RuntimeError("Camera must be stopped before configuring")
        if type(config["main"]["size"]) is not tuple:
            raise RuntimeError("size in main stream should be (width, height)")
        if config["sensor"] and set(config["sensor"]) - {"bit_depth", "output_size"}:
            raise RuntimeError("Unexpected keys in sensor configuration")
        unknown = set(config["controls"]) - set(self.camera_controls)
        if unknown:
            raise RuntimeError(f"Control {unknown.pop()} is not advertised by libcamera")
        self.config = {**config, "main": dict(config["main"])}
        if self.usb:  # libcamera adjusts what the camera cannot give
            self.config["main"]["format"] = "YUYV"
        self.calls.append("configure")

    def camera_configuration(self):
        return self.config

    def start(self, config=None, show_preview=False):
        if self.config is None:
            raise RuntimeError("Camera has not been configured")
        self.started = True
        self.calls.append("start")

    def capture_arrays(self, names=("main",), wait=None, signal_function=None):
        assert self.started and not self.waiting
        if self.frames <= 0:
            self.waiting = True
            assert wait, "this would wait for ever"
            raise TimeoutError
        self.frames -= 1
        (name,) = names
        width, height = self.config[name]["size"]
        rgb = np.empty((height, width, 3), np.uint8)
        rgb[:, : width // 2], rgb[:, width // 2 :] = RED, BLUE
        order = {"BGR888": rgb, "RGB888": rgb[..., ::-1]}[self.config[name]["format"]]
        return [np.copy(order)], {"Lux": 400.0, "ExposureTime": 10_000, "SensorTimestamp": 123}

    def cancel_all_and_flush(self):
        self.waiting = False

    def stop(self):
        assert not (self.started and self.waiting), "this would wait for ever behind the capture"
        self.started = False
        self.calls.append("stop")

    def close(self):
        assert not self.started, "the camera was not stopped"
        self.is_open = False
        self.calls.append("close")


def module(**traits):
    """Return a module `picamera2`; its Picamera2 has these traits, and a list of all `made`."""
    return types.SimpleNamespace(Picamera2=type("Picamera2", (FakeCamera,), {"made": [], **traits}))
