"""Uses a bundle that was rolled out in the live loop of this process."""

import time
from collections.abc import Callable
from pathlib import Path

from ...errors import PicaptionError
from ...outputs.control import LoopControl
from .member import SkipError

#: Seconds that the loop has to try and open a bundle.
PATIENCE_SECONDS = 90.0
_POLL_SECONDS = 0.05


class LoopTaker:
    """Has the live loop use a bundle, which it checks and tries first.

    Args:
        control: The loop's.
        is_closing: Returns whether to give up.
    """

    def __init__(self, control: LoopControl, is_closing: Callable[[], bool] = bool) -> None:
        self._control = control
        self._is_closing = is_closing

    def take(self, path: Path, order: bytes = b"") -> None:
        """Use the bundle at a path from now on.

        Raises:
            SkipError: The one in use was taught on this device.
            PicaptionError: The loop cannot use it; the one of before recognises.
        """
        if self._control.state.is_taught:
            raise SkipError("the bundle in use was taught on this device, and stays")
        self._use(str(path))

    def finish(self, path: Path) -> None:
        """Raise PicaptionError: had it worked, this process would not have restarted."""
        raise PicaptionError("this program ended while it tried the bundle")

    def go_back(self, path: Path | None, order: bytes = b"") -> None:
        """Use the bundle at a path again; the settings' one, or what was taught, if it is None.

        Raises:
            PicaptionError: The loop cannot use it.
        """
        self._use(str(path or ""))

    def _use(self, path: str) -> None:
        changes = self._control.state.rolled_out_changes
        self._control.use_rolled_out(path)
        end = time.monotonic() + PATIENCE_SECONDS
        while self._control.state.rolled_out_changes == changes:
            if time.monotonic() > end or self._is_closing():
                raise PicaptionError(f"{path}: the live loop has not opened it in time")
            time.sleep(_POLL_SECONDS)
        if self._control.state.rolled_out_problem:
            raise PicaptionError(self._control.state.rolled_out_problem)
