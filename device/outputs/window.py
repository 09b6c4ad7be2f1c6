"""A window on the screen."""

import os
import signal

import cv2

from ..config.settings import CameraConfig, Config
from ..errors import PicaptionError
from .sink import OutputContext, RecognizedFrame, Sink, open_by_camera

SETTINGS = ("window", "camera")

#: The keys that end the run: Escape and q.
END_KEYS = (27, ord("q"))


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return a Window if one is wanted; of several cameras one each."""
    if not config.window:
        return None
    if not config.camera:
        return Window()
    return open_by_camera(config, context, _open_camera_window)


def _open_camera_window(config: CameraConfig, context: OutputContext) -> Sink:
    return Window(f"{Window.NAME}: {config.camera_name}")


class Window:
    """The annotated frame on the screen; Escape, q, or closing the window ends the run.

    Args:
        name: The window's title.

    Raises:
        PicaptionError: There is no screen, or this OpenCV has no windows.
    """

    NAME = "picaption"

    def __init__(self, name: str = NAME) -> None:
        self._name = name
        if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
            raise PicaptionError(
                "there is no screen for a window; leave --window out, or use --web"
            )
        try:
            cv2.namedWindow(
                self._name, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL
            )
        except cv2.error:
            raise PicaptionError(
                "this OpenCV has no windows: pip uninstall opencv-python-headless, "
                "then pip install opencv-python"
            ) from None
        self._shown = False

    def write(self, recognized: RecognizedFrame) -> None:
        """Show the annotated frame."""
        image = recognized.annotated()
        if not self._shown:
            cv2.resizeWindow(self._name, image.shape[1], image.shape[0])
        cv2.imshow(self._name, cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        key = cv2.waitKey(1) & 0xFF
        closed = self._shown and cv2.getWindowProperty(self._name, cv2.WND_PROP_VISIBLE) < 1
        if key in END_KEYS or closed:
            signal.raise_signal(signal.SIGINT)
        self._shown = True

    def close(self) -> None:
        """Take the window away."""
        cv2.destroyWindow(self._name)
