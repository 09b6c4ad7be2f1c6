"""What a service reports to systemd: ready, reloading, stopping, alive (sd_notify(3))."""

import os
import socket
import time

from ..outputs.sink import RecognizedFrame


def notify(message: str) -> None:
    """Send `message`, such as "READY=1", to the systemd that started this process.

    Never raises; does nothing without systemd.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    if address.startswith("@"):
        # A name of the abstract namespace, which begins with a zero byte.
        address = "\0" + address[1:]
    flags = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
    try:
        with socket.socket(socket.AF_UNIX, flags) as channel:
            channel.sendto(message.encode(errors="replace"), address)
    except OSError:
        pass


def watchdog_interval() -> float | None:
    """Return the seconds between two signs of life; None if systemd does not wait for any.

    It is half of what systemd waits for one (sd_watchdog_enabled(3)).
    """
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    process = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if process != str(os.getpid()) or not microseconds.isdecimal() or not int(microseconds):
        return None
    return int(microseconds) / 2e6


class Watchdog:
    """Sends a sign of life when it is called, as often as systemd asks for."""

    def __init__(self) -> None:
        self._interval = watchdog_interval()
        self._due = 0.0

    def __call__(self) -> None:
        """Send the sign if it is due."""
        now = time.monotonic()
        if self._interval is not None and now >= self._due:
            self._due = now + self._interval
            notify("WATCHDOG=1")


class ReadySink:
    """A sink that reports the first result to systemd: the service is up from then on."""

    def __init__(self) -> None:
        self._is_ready = False

    def write(self, recognized: RecognizedFrame) -> None:
        """Report that the service is ready, if this is the first frame."""
        if not self._is_ready:
            self._is_ready = True
            notify("READY=1")

    def close(self) -> None:
        """Nothing is open."""
