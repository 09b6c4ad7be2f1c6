"""The pictures that programs get: JPEGs in a folder that is nobody else's, and goes in the end."""

import logging
import os
import shutil
import tempfile

import numpy as np

from ..jpeg import encode_jpeg

logger = logging.getLogger(__name__)


class TemporaryImages:
    """Writes JPEGs for programs; who runs a program removes its file.

    The folder is made with the first one.
    """

    def __init__(self) -> None:
        self._folder = ""
        self._is_failing = False

    def write(self, image: np.ndarray) -> str:
        """Return the path of an image as a JPEG; "" if there is no room for it, which is logged.

        Args:
            image: uint8 RGB [height, width, 3].
        """
        data = encode_jpeg(image)
        path = ""
        try:
            if not self._folder:
                self._folder = tempfile.mkdtemp(prefix="picaption-")
            handle, path = tempfile.mkstemp(".jpg", dir=self._folder)
            with open(handle, "wb") as file:
                file.write(data)
        except OSError as error:
            if not self._is_failing:
                logger.error(
                    "event: %s: %s; programs get no picture until there is room",
                    self._folder or tempfile.gettempdir(),
                    error.strerror,
                )
            self._is_failing = True
            if path:
                os.unlink(path)
            return ""
        self._is_failing = False
        return path

    def close(self) -> None:
        """Remove the folder."""
        if self._folder:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = ""
