"""Cameras that are not there: a V4L2 camera as OpenCV has it, and one of picamera2."""

import sys

import cv2
import numpy as np
import pytest

from picaption.device.sources import usb
from tests.device.fakes import fake_picamera2


class FakeCapture:
    """cv2.VideoCapture of a red V4L2 camera; `plan`: whether a frame arrives, read by read."""

    opens = True
    plan = None

    def __init__(self, path, backend):
        assert backend == cv2.CAP_V4L2
        self.size = [640, 480]
        self.settings = {}
        self.released = False
        type(self).last = self

    def isOpened(self):
        return self.opens

    def set(self, name, value):
        sides = {cv2.CAP_PROP_FRAME_WIDTH: 0, cv2.CAP_PROP_FRAME_HEIGHT: 1}
        if name in sides:
            self.size[sides[name]] = int(value)
        self.settings[name] = value

    def read(self, image=None):
        if self.plan is not None and not (self.plan and self.plan.pop(0)):
            return False, None
        frame = np.empty((self.size[1], self.size[0], 3), np.uint8) if image is None else image
        frame[:] = (20, 10, 200)  # B, G, R
        return True, frame

    def release(self):
        self.released = True


@pytest.fixture
def v4l2(monkeypatch, tmp_path):
    """A camera at a path of its own, opened through FakeCapture."""
    node = tmp_path / "video0"
    node.touch()
    capture = type("Capture", (FakeCapture,), {})
    monkeypatch.setattr(usb.cv2, "VideoCapture", capture)
    return node, capture


@pytest.fixture
def picamera2(monkeypatch):
    """Puts a stand-in with some traits in picamera2's place; returns the list of its cameras."""

    def install(**traits):
        module = fake_picamera2.module(**traits)
        monkeypatch.setitem(sys.modules, "picamera2", module)
        return module.Picamera2.made

    return install
