"""What runs on the device: an image in, its caption, tags and classes out.

Example:
    from picaption.device import Recognizer, default_bundle

    recognition = Recognizer(default_bundle())(rgb_image)
"""

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
