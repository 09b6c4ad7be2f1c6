"""What comes over MQTT for the live loop: anyone's input, checked before it is obeyed."""

import logging
import math
import time
from collections.abc import Callable

from ...config.checks import suggestion
from ...errors import PicaptionError
from ...log import printable
from ..control import LoopControl
from ..subjects import Subject, find_subject
from .connection import Message
from .homeassistant import Share

logger = logging.getLogger(__name__)

#: Bytes of an order at most.
MAX_BYTES = 256
#: Characters of what is looked for at most.
MAX_NAME = 64
#: Orders a second, and how many may come at once; what is beyond is refused.
ORDERS_PER_SECOND = 5.0
ORDERS_AT_ONCE = 20.0
#: Refusals that are logged, likewise.
LINES_PER_SECOND = 0.1
LINES_AT_ONCE = 10.0
#: Characters of an order that a line of the log repeats.
_SHOWN_CHARACTERS = 40


class Allowance:
    """How often something may happen: so often at once, and then so often a second.

    Args:
        per_second: How often in the long run.
        at_once: How often at the beginning, and after a pause.
        clock: Returns seconds that never go back.
    """

    def __init__(
        self, per_second: float, at_once: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_second = per_second
        self._at_once = at_once
        self._clock = clock
        self._left = at_once
        self._counted_at = clock()

    def take(self) -> bool:
        """Return whether it may happen now, and count it if so."""
        now = self._clock()
        earned = (now - self._counted_at) * self._per_second
        self._left = min(self._at_once, self._left + earned)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Orders:
    """Passes orders to the loop; what makes no sense is refused with a line in the log.

    Args:
        control: The loop's.
        clock: Returns seconds that never go back.
        share: Whose orders they are: the board's, one of several cameras', or both.
        camera_name: That camera's name.

    Attributes:
        looked_for: What is looked for at someone's request; None: nothing is.
    """

    def __init__(
        self,
        control: LoopControl,
        clock: Callable[[], float] = time.monotonic,
        share: Share = Share.ALL,
        camera_name: str | None = None,
    ) -> None:
        self.looked_for: Subject | None = None
        self._control = control
        self._allowance = Allowance(ORDERS_PER_SECOND, ORDERS_AT_ONCE, clock)
        self._lines = Allowance(LINES_PER_SECOND, LINES_AT_ONCE, clock)
        self._camera_name = camera_name
        orders: dict[str, Callable[[str], None]] = {
            "pause": self._pause,
            "max_fps": self._limit_rate,
            "caption": self._caption,
            "bundle": self._choose_bundle,
            "look_for": self._look_for,
            "reload": self._reload,
        }
        names = set(orders)
        if share is Share.BOARD:
            names.remove("look_for")
        elif share is Share.CAMERA:
            names = {"caption", "look_for"}
        self._orders = {name: obey for name, obey in orders.items() if name in names}

    def receive(self, name: str, message: Message) -> None:
        """Obey a message, or refuse it; nothing is raised.

        Args:
            name: The last part of its topic.
            message: The message.
        """
        try:
            self._obey(name, message)
        except (ValueError, PicaptionError) as error:
            if self._lines.take():
                shown = message.payload[:_SHOWN_CHARACTERS].decode(errors="replace")
                logger.warning(
                    "mqtt: %s %s is refused: %s",
                    printable(name[:_SHOWN_CHARACTERS]),
                    printable(repr(shown)),
                    error,
                )

    def _obey(self, name: str, message: Message) -> None:
        if message.is_retained:
            raise ValueError("it is retained, and would be obeyed at every start; send it without")
        if not self._allowance.take():
            raise ValueError(f"more than {ORDERS_PER_SECOND:g} a second")
        if len(message.payload) > MAX_BYTES:
            raise ValueError(f"it is longer than {MAX_BYTES} bytes")
        if name not in self._orders:
            raise ValueError(f"there are {', '.join(self._orders)}")
        try:
            text = message.payload.decode()
        except UnicodeDecodeError:
            raise ValueError("it is not UTF-8") from None
        self._orders[name](text)

    def _pause(self, text: str) -> None:
        if text not in ("ON", "OFF"):
            raise ValueError("it is ON or OFF")
        self._control.pause(text == "ON")

    def _limit_rate(self, text: str) -> None:
        try:
            rate = float(text)
        except ValueError:
            rate = math.nan
        if math.isnan(rate):
            raise ValueError("it is not a number")
        self._control.limit_rate(rate)

    def _caption(self, text: str) -> None:
        if text != "PRESS":
            raise ValueError("it is PRESS")
        self._control.caption_now(self._camera_name)

    def _choose_bundle(self, text: str) -> None:
        bundles = self._control.state.bundles
        if text not in bundles:
            raise ValueError(f"there is no such bundle{suggestion(text, bundles)}")
        self._control.choose_bundle(text)

    def _look_for(self, text: str) -> None:
        name = text.strip()
        if not name:
            self.looked_for = None
            return
        if len(name) > MAX_NAME:
            raise ValueError(f"it is longer than {MAX_NAME} characters")
        state = self._control.state
        self.looked_for = find_subject(name, state.labels, state.words)

    def _reload(self, text: str) -> None:
        if text != "RELOAD":
            raise ValueError("it is RELOAD")
        self._control.reload_bundle()
