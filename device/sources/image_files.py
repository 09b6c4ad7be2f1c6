"""The images of a folder, or those whose names match a pattern."""

import glob
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..errors import PicaptionError
from ..images import IMAGE_SUFFIXES, list_images, read_image
from .controls import Controls
from .source import Source

logger = logging.getLogger(__name__)


def open_source(spec: str, controls: Controls) -> Source | None:
    """Open a folder of images or a pattern of their names ("*.jpg"); return None if it is neither.

    Raises:
        PicaptionError: The folder holds no images.
    """
    if Path(spec).is_dir():
        return ImageFiles(spec, list_images(Path(spec)))
    matches = sorted(Path(name) for name in glob.glob(spec, recursive=True))
    images = [path for path in matches if path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()]
    if images:
        return ImageFiles(spec, images)
    return None


class ImageFiles:
    """The images at `paths`, each once; broken ones are logged and left out."""

    live = False
    stills = True
    rate = 0.5
    metadata = None

    def __init__(self, name: str, paths: Iterable[Path]) -> None:
        self.name = name
        self._paths = iter(paths)

    def read(self, into: np.ndarray | None = None) -> np.ndarray | None:
        """Return the next image, or None after the last."""
        for path in self._paths:
            try:
                return read_image(path)
            except PicaptionError as error:
                logger.warning("%s", error)
        return None

    def close(self) -> None:
        """Nothing to free."""
