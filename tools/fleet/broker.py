"""A real mosquitto in a folder, its memory, and how many messages go through it."""

import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL

from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.outputs.mqtt.address import parse_address
from picaption.device.outputs.mqtt.connection import Connection, Message

#: Seconds that it may take to listen, or to end.
PATIENCE_SECONDS = 30.0
#: The counters that mosquitto publishes, every second as it is set up here.
_COUNTERS = ("$SYS/broker/messages/received", "$SYS/broker/messages/sent")


class Broker:
    """mosquitto with a memory on the disk, which can be stopped and started again.

    Args:
        folder: Where its settings, its memory and its log are.

    Raises:
        PicaptionError: It is not installed, or does not start.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            raise PicaptionError("mosquitto is not installed: sudo apt install mosquitto")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        folder.mkdir(parents=True, exist_ok=True)
        settings = folder / "mosquitto.conf"
        settings.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nuser root\n"
            f"persistence true\npersistence_location {folder}/\nsys_interval 1\n"
            f"log_dest file {folder}/mosquitto.log\n"
        )
        self._command = [program, "-c", str(settings)]
        self.start()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self._process = subprocess.Popen(self._command, stdout=DEVNULL, stderr=DEVNULL)
        if not wait_until(self._listens, PATIENCE_SECONDS):
            raise PicaptionError("mosquitto does not start; its log says why")

    def stop(self) -> None:
        """End it as the system does, so that it writes its memory."""
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def peak_megabytes(self) -> float:
        """Return the most memory that it has had since its start."""
        return peak_megabytes(self._process.pid)

    def _listens(self) -> bool:
        with socket.socket() as attempt:
            return attempt.connect_ex(("127.0.0.1", self.port)) == 0


class MessageCounter:
    """Counts a broker's messages, both ways; `serve` it now and then.

    Args:
        config: The settings of mqtt.

    Attributes:
        total: How many there were.
        peak: The most in a second.
    """

    def __init__(self, config: Config) -> None:
        self.total = 0
        self.peak = 0.0
        self._last: dict[str, int] = {}
        self._second: dict[str, int] = {}
        self._connection: Connection | None = None
        self._config = config
        self._began = time.monotonic()

    def serve(self) -> None:
        """Take what has come; connect again to a broker that was away."""
        try:
            if self._connection is None:
                address = parse_address(self._config.mqtt)
                self._last = {}
                self._connection = Connection(
                    address, None, self._config, "counter", _COUNTERS, self._take, has_will=False
                )
            self._connection.serve(0.05)
        except OSError:
            self._connection = None

    def rate(self) -> float:
        """Return how many messages there were a second since the last call."""
        now = time.monotonic()
        rate = self.total / (now - self._began)
        self._began = now
        self.total = 0
        return rate

    def _take(self, message: Message) -> None:
        count = int(message.payload)
        if message.topic in self._last and not message.is_retained:
            step = max(0, count - self._last[message.topic])
            self.total += step
            self._second[message.topic] = step
            self.peak = max(self.peak, sum(self._second.values()))
        self._last[message.topic] = count


def peak_megabytes(process: int) -> float:
    """Return the most memory that a process has had, in MB; 0 if it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def wait_until(
    is_met: Callable[[], bool], seconds: float, on_tick: Callable[[], None] | None = None
) -> bool:
    """Wait until something is so; return whether it is, in so many seconds.

    Args:
        is_met: Returns whether it is.
        seconds: How long to wait.
        on_tick: Called all the time.
    """
    end = time.monotonic() + seconds
    while not is_met():
        if time.monotonic() > end:
            return False
        if on_tick is None:
            time.sleep(0.05)
        else:
            on_tick()
    return True
