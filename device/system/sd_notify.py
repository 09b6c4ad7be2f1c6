"""What a service tells systemd: that it is ready, reloading, ending, and alive (sd_notify(3))."""

import os
import socket
import time


def notify(message):
    """Send `message`, such as "READY=1", to the systemd that started this process; nothing without one. Never raises."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address[:1] not in ("/", "@"):
        return
    try:
        with socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        ) as channel:
            # A name that begins with @ is one of the abstract namespace, which begins with a zero byte.
            channel.sendto(
                message.encode(errors="replace"),
                address.replace("@", "\0", 1) if address[0] == "@" else address,
            )
    except OSError:
        pass


def watchdog_interval():
    """Return the seconds between two signs of life, half of what systemd waits for one; None where it waits for none."""
    given, process = (
        os.environ.get("WATCHDOG_USEC", ""),
        os.environ.get("WATCHDOG_PID", str(os.getpid())),
    )
    return (
        int(given) / 2e6
        if given.isdecimal() and int(given) and process == str(os.getpid())
        else None
    )


class Watchdog:
    """Gives a sign of life when it is called, no more often than systemd asks for."""

    def __init__(self):
        self._interval, self._due = watchdog_interval(), 0.0

    def __call__(self):
        """Give the sign, where it is due."""
        if self._interval is not None and (now := time.monotonic()) >= self._due:
            self._due = now + self._interval
            notify("WATCHDOG=1")


class Ready:
    """An output of the live loop (see picaption.device.outputs.sink) that tells systemd of the first result: the service is up from then on."""

    def __init__(self):
        self._told = False

    def write(self, recognized):
        """Tell it, where this is the first."""
        if not self._told:
            self._told = True
            notify("READY=1")

    def close(self):
        """Nothing is open."""
