"""What runs on the Pi: `from picaption.device import Recognizer`, `Recognizer(path)(rgb_image) -> Recognition`."""

from .bundle import Bundle, default_bundle
from .errors import PicaptionError
from .recognition import Caption, Recognition, Score
from .recognizer import Recognizer

__all__ = ["Bundle", "Caption", "PicaptionError", "Recognition", "Recognizer", "Score", "default_bundle"]
