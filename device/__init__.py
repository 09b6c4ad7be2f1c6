"""What runs on the Pi: `from picaption.device import Recognizer`, `Recognizer(path)(rgb_image) -> Recognition`."""

from .bundle.bundle import Bundle, default_bundle
from .errors import PicaptionError
from .recognition.recognizer import Recognizer
from .recognition.result import Caption, Recognition, Score

__all__ = [
    "Bundle",
    "Caption",
    "PicaptionError",
    "Recognition",
    "Recognizer",
    "Score",
    "default_bundle",
]
