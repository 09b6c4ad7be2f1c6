"""What the board reports of itself: model, temperature, clock, and what holds it back."""

import hashlib
import subprocess
from pathlib import Path
from typing import NamedTuple

#: Bits of the Raspberry Pi firmware's get_throttled that hold at this moment (documentation of
#: vcgencmd).
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "temperature limit"}
#: The same bits, shifted by so many, are set once it has happened since the board started.
SINCE_START = 16
#: Degrees Celsius at which a Pi begins to slow down.
HOT = 80
#: Seconds after which a call of vcgencmd is given up.
VCGENCMD_TIMEOUT_SECONDS = 5

_MODEL = Path("/proc/device-tree/model")
_TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
#: What differs between boards, and between systems: copied memory cards share the second.
_SERIAL = Path("/proc/device-tree/serial-number")
_IDENTITIES = _SERIAL, Path("/etc/machine-id")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


class Throttling(NamedTuple):
    """What holds the board back now, and what has since it started: names from THROTTLED."""

    now: tuple[str, ...]
    since_start: tuple[str, ...]


def model() -> str | None:
    """Return the board's name, such as "Raspberry Pi 5 Model B Rev 1.0"; None if unknown."""
    return _stripped(_MODEL)


def serial_number() -> str | None:
    """Return the board's serial number; None if it has none."""
    return _stripped(_SERIAL) or None


def temperature() -> float | None:
    """Return the processor's temperature in degrees Celsius; None if it is not measured."""
    text = _stripped(_TEMPERATURE)
    if text is None or not text.lstrip("-").isdigit():
        return None
    return int(text) / 1e3


def throttled() -> Throttling | None:
    """Return what holds the board back; None if neither the kernel nor the firmware reports it."""
    throttling = _parse_throttling(_stripped(_THROTTLED) or "")
    if throttling is None:
        answer = vcgencmd("get_throttled").strip()
        throttling = _parse_throttling(answer.removeprefix("throttled="))
    return throttling


def _parse_throttling(text: str) -> Throttling | None:
    """Return what the firmware's bits mean, hexadecimal digits; None if the text is not that."""
    try:
        bits = int(text, 16)
    except ValueError:
        return None
    now, since_start = (
        tuple(name for bit, name in THROTTLED.items() if (bits >> (bit + shift)) & 1)
        for shift in (0, SINCE_START)
    )
    return Throttling(now, since_start)


def governor() -> str | None:
    """Return what sets the clock of the first core, such as "ondemand"; None if unknown."""
    return _stripped(_GOVERNOR)


def identity(name: str) -> str:
    """Return 12 hexadecimal digits that are stable for this machine and `name`, and reveal neither.

    They are the beginning of a SHA-256 of the board's serial number, the machine id and `name`.
    """
    parts = ["picaption", *(_stripped(path) or "" for path in _IDENTITIES), name]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def vcgencmd(*arguments: str) -> str:
    """Return what the Raspberry Pi's vcgencmd prints; "" if it is missing or hangs."""
    try:
        return subprocess.run(
            ["vcgencmd", *arguments],
            capture_output=True,
            text=True,
            timeout=VCGENCMD_TIMEOUT_SECONDS,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


def read_text(path: Path) -> str:
    """Return the text of the file at `path`; "" if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _stripped(path: Path) -> str | None:
    """Return a file's text without padding; None if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None
