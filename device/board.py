"""What the board says of itself: model, temperature, clock, and whether its power or heat holds it back."""

import hashlib
from pathlib import Path

#: Bits of the Raspberry Pi firmware's get_throttled that are set at this moment (its documentation of vcgencmd).
THROTTLED = {0: "under-voltage", 1: "clock capped", 2: "throttled", 3: "temperature limit"}
#: The same bits, so much higher, are set where it has happened since the start.
SINCE_START = 16

_MODEL = Path("/proc/device-tree/model")
_TEMPERATURE = Path("/sys/class/thermal/thermal_zone0/temp")
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
#: What tells one board, and one system, from another: copied memory cards share the second one.
_IDENTITIES = Path("/proc/device-tree/serial-number"), Path("/etc/machine-id")
_GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")


def _text(path):
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        return None


def model():
    """Return the board's name, such as "Raspberry Pi 5 Model B Rev 1.0", or None where the machine does not tell it."""
    return _text(_MODEL)


def temperature():
    """Return the processor's temperature in degrees Celsius, or None where it is not measured."""
    text = _text(_TEMPERATURE)
    return int(text) / 1e3 if text and text.lstrip("-").isdigit() else None


def throttled():
    """Return (what holds the board back now, what has since it started), each a tuple of the names in THROTTLED; None where
    the board does not tell."""
    text = _text(_THROTTLED)
    try:
        return names_of(int(text, 16))
    except (TypeError, ValueError):
        return None


def names_of(bits):
    """Return the firmware's bits as `throttled` does."""
    return tuple(
        tuple(name for bit, name in THROTTLED.items() if bits >> bit + shift & 1)
        for shift in (0, SINCE_START)
    )


def governor():
    """Return what sets the clock of the first core, such as "ondemand", or None."""
    return _text(_GOVERNOR)


def identity(name):
    """Return 12 hexadecimal digits that are always the same for this machine and `name`, and tell nothing of either."""
    parts = "picaption", *(_text(path) or "" for path in _IDENTITIES), name
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
