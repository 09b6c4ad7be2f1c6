"""A window on the screen."""

import os
import signal

import cv2

from ..errors import PicaptionError


class Window:
    """The annotated picture on the screen; Escape, q, or closing the window ends the run."""

    NAME = "picaption"

    def __init__(self):
        if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
            raise PicaptionError(
                "there is no screen for a window; leave --window out, or use --web"
            )
        try:
            cv2.namedWindow(
                self.NAME, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            )
        except cv2.error:
            raise PicaptionError(
                "this OpenCV has no windows: pip uninstall opencv-python-headless, then pip install "
                "opencv-python"
            ) from None
        self._shown = False

    def write(self, recognized):
        """Show the annotated frame."""
        picture = recognized.annotated()
        if not self._shown:
            cv2.resizeWindow(self.NAME, picture.shape[1], picture.shape[0])
        cv2.imshow(self.NAME, cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        closed = self._shown and cv2.getWindowProperty(self.NAME, cv2.WND_PROP_VISIBLE) < 1
        if key in (27, ord("q")) or closed:
            signal.raise_signal(signal.SIGINT)
        self._shown = True

    def close(self):
        """Take the window away."""
        cv2.destroyWindow(self.NAME)
