"""The images of a folder, or those whose names match a pattern."""

import glob
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import PicaptionError
from ..images import IMAGE_SUFFIXES, is_image, list_images, read_image
from .controls import Controls
from .source import Source

logger = logging.getLogger(__name__)


def open_source(spec: str, controls: Controls) -> Source | None:
    """Open an image, a folder of images or a pattern of their names ("*.jpg").

    Returns:
        The source; None if it is none of them.

    Raises:
        PicaptionError: The folder holds no images.
    """
    if Path(spec).is_file():
        return ImageFiles(spec, [Path(spec)], skip_broken=False) if is_image(spec) else None
    if Path(spec).is_dir():
        return ImageFiles(spec, list_images(Path(spec)))
    matches = sorted(Path(name) for name in glob.glob(spec, recursive=True))
    images = [path for path in matches if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if images:
        return ImageFiles(spec, images)
    return None


class ImageFiles:
    """The images at `paths`, each once.

    Args:
        name: What to call the source.
        paths: Of the images.
        skip_broken: Whether broken ones are logged and left out; they raise PicaptionError if not.
    """

    live = False
    stills = True
    rate = 0.5
    metadata = None

    def __init__(self, name: str, paths: Iterable[Path], skip_broken: bool = True) -> None:
        self.name = name
        self.file: str | None = None
        self._paths = iter(paths)
        self._skip_broken = skip_broken

    def read(self, into: np.ndarray | None = None) -> np.ndarray | None:
        """Return the next image, or None after the last."""
        for path in self._paths:
            self.file = str(path)
            try:
                return read_image(path)
            except PicaptionError as error:
                if not self._skip_broken:
                    raise
                logger.warning("%s", error)
        return None

    def close(self) -> None:
        """Nothing to free."""
