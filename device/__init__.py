"""What runs on the device: an image in, its caption, tags and classes out.

Example:
    from picaption.device import Recognizer, default_bundle

    recognition = Recognizer(default_bundle())(rgb_image)
"""

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
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

#: Images beyond this many pixels are refused: decoded, they would fill a small board's memory.
MAX_PIXELS = 100_000_000

# OpenCV reads these once, when it is loaded. What it would print, picaption says in one line.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

# The module of each name, which is loaded once the name is asked for: so a command starts at once,
# and ctrl-C meanwhile ends it as it does later.
_MODULES = {
    "Bundle": "bundle.bundle",
    "Caption": "recognition.result",
    "PicaptionError": "errors",
    "Recognition": "recognition.result",
    "Recognizer": "recognition.recognizer",
    "Score": "recognition.result",
    "default_bundle": "bundle.bundle",
}


def __getattr__(name: str) -> Any:
    """Return one of the names of __all__."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f".{_MODULES[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the names that are there, loaded or not."""
    return sorted({*globals(), *__all__})
