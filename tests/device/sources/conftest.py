"""Cameras that are not there."""

from tests.device.fakes.cameras import picamera2, v4l2  # noqa: F401, fixtures
