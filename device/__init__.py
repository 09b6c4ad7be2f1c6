"""What runs on the Pi: `from device import Recognizer`, `Recognizer(path)(rgb_image) -> Recognition`."""

from device.bundle import Bundle, default_bundle
from device.errors import PicaptionError
from device.recognition import Caption, Recognition, Score
from device.recognizer import Recognizer

__all__ = ["Bundle", "Caption", "PicaptionError", "Recognition", "Recognizer", "Score", "default_bundle"]
