"""What a device says of itself, and how that is read: anyone on the broker may have said it."""

import math
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..log import printable
from ..parsing import MalformedError, parse_json

#: A device's name is a level of a topic, and stands in tables and addresses.
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
#: Bytes of a status at most, and characters of a text in it.
MAX_BYTES = 16_384
MAX_TEXT = 200
_MAX_REASONS = 16
#: Numbers of a status are smaller than this.
_MAX_NUMBER = 1e15


@dataclass(frozen=True)
class DeviceStatus:
    """What a device says of itself; None and empty texts: it does not know.

    Attributes:
        version: Of picaption.
        bundle: What the bundle calls itself.
        bundle_hash: The first digits of the SHA-256 of its file.
        board: The board's model.
        camera: What the source is called.
        started: When picaption started, in seconds since the epoch.
        fps: Frames a second, over the time since the last status.
        age_ms: From the capture of a frame to its result, in milliseconds, on average likewise.
        silent_s: Seconds since the last result.
        temperature: Of the processor, in degrees Celsius.
        throttled: What holds the board back.
        unsure: The share of frames without a certain class, likewise, 0 to 1.
        error: The last error, on one line.
        at: When this was said, in seconds since the epoch.
        rollout: The id of the roll-out that the device took, or tried to, last.
        rollout_state: What has become of that (picaption.device.fleet.rollout.progress); empty: the
            device takes part in none.
    """

    version: str = ""
    bundle: str = ""
    bundle_hash: str = ""
    board: str = ""
    camera: str = ""
    started: float | None = None
    fps: float | None = None
    age_ms: float | None = None
    silent_s: float | None = None
    temperature: float | None = None
    throttled: tuple[str, ...] = ()
    unsure: float | None = None
    error: str = ""
    at: float | None = None
    rollout: str = ""
    rollout_state: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return its JSON form."""
        return asdict(self)

    def uptime(self, now: float | None = None) -> float | None:
        """Return for how many seconds picaption has run there; None: that is not known."""
        if self.started is None:
            return None
        return max(0.0, (time.time() if now is None else now) - self.started)


#: The fields by what they hold.
TEXTS = ("version", "bundle", "bundle_hash", "board", "camera", "error", "rollout", "rollout_state")
NUMBERS = ("started", "fps", "age_ms", "silent_s", "temperature", "unsure", "at")


def is_device_name(text: str) -> bool:
    """Return whether a device may be called so."""
    return NAME.fullmatch(text) is not None


def to_device_name(text: str) -> str:
    """Return a device's name made of any text, such as a host's; "picaption" of nothing."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).lstrip("._-")[:63]
    return name if is_device_name(name) else "picaption"


def parse_status(payload: bytes) -> DeviceStatus | None:
    """Return the status of a message's payload; None if it is none.

    What has a wrong type is left out; texts are cut, and are one printable line.
    """
    if len(payload) > MAX_BYTES:
        return None
    try:
        fields = parse_json(payload)
    except (MalformedError, UnicodeDecodeError):
        return None
    if not isinstance(fields, dict):
        return None
    values: dict[str, Any] = {}
    for name in TEXTS:
        values[name] = _text(fields.get(name))
    for name in NUMBERS:
        values[name] = _number(fields.get(name))
    reasons = fields.get("throttled")
    if isinstance(reasons, list):
        values["throttled"] = tuple(filter(None, map(_text, reasons[:_MAX_REASONS])))
    return DeviceStatus(**values)


def figures(status: DeviceStatus) -> Mapping[str, float]:
    """Return the numbers of a status that are known, by name."""
    values = {name: getattr(status, name) for name in NUMBERS}
    return {name: value for name, value in values.items() if value is not None}


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    return printable(" ".join(value[:MAX_TEXT].split()))[:MAX_TEXT]


def _number(value: Any) -> float | None:
    if type(value) not in (int, float) or not -_MAX_NUMBER < value < _MAX_NUMBER:
        return None
    return float(value) if math.isfinite(value) else None
