"""What surrounds a measurement: which machine it is, and how it fared meanwhile."""

import os
import platform
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from .. import board
from ..board import HOT, read_text, throttled, vcgencmd
from .figures import ClockRange, Conditions, Machine, Temperatures

#: Cores of Raspberry Pis by the part number that Arm's own have in /proc/cpuinfo.
CORE_NAMES = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
#: Instructions that int8 networks are fast with, by the names of /proc/cpuinfo.
INSTRUCTIONS = ("avx2", "avx_vnni", "avx512_vnni", "asimddp", "i8mm")
#: Cores that other programs may use before a measurement becomes doubtful.
MAX_BUSY_CORES = 0.1
#: Time between two readings of the power.
POWER_INTERVAL_SECONDS = 0.5

_CPU = Path("/proc/cpuinfo")
_STAT = Path("/proc/stat")
_STATUS = Path("/proc/self/status")
_CLOCKS = Path("/sys/devices/system/cpu")


def describe_machine() -> Machine:
    """Return what this machine is."""
    cpu = _first_values(read_text(_CPU))
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        system = None
    flags = (cpu.get("flags") or cpu.get("Features") or "").split()
    core = CORE_NAMES.get(cpu.get("CPU part", ""), platform.machine())
    return Machine(
        board=board.model(),
        system=system or platform.system(),
        kernel=platform.release(),
        cpu=cpu.get("model name") or core,
        cores=os.cpu_count(),
        instructions=tuple(name for name in INSTRUCTIONS if name in flags),
        python=platform.python_version(),
    )


def clock() -> float | None:
    """Return the clock of the fastest core at this moment, in megahertz; None if unknown."""
    texts = [read_text(path) for path in _CLOCKS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    kilohertz = [int(text) for text in texts if text.strip().isdigit()]
    if kilohertz:
        return max(kilohertz) / 1e3
    megahertz = _first_values(read_text(_CPU)).get("cpu MHz")
    return float(megahertz) if megahertz else None


def power() -> float | None:
    """Return the watts on the board's rails, which a Pi 5's power chip measures; None without."""
    rails: dict[str, dict[str, float]] = {}
    for name, quantity, value in re.findall(
        r"(\w+)_[AV] (current|volt)\(\d+\)=([\d.]+)[AV]", vcgencmd("pmic_read_adc")
    ):
        rails.setdefault(name, {})[quantity] = float(value)
    watts = [rail["current"] * rail["volt"] for rail in rails.values() if len(rail) == 2]
    return sum(watts) if watts else None


def peak_megabytes() -> float | None:
    """Return the most memory that this process has had resident so far; None if unknown."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", read_text(_STATUS))
    return round(int(peak[1]) / 1024, 1) if peak else None


class Watch:
    """Notes how the machine fares from now on.

    Call `look()` now and then, never while something is timed, and `conditions()` in the end.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        process_time: Callable[[], float] = time.process_time,
    ) -> None:
        """Begin; the clocks count seconds, of the day and of this process' computing."""
        self._monotonic = monotonic
        self._process_time = process_time
        throttling = throttled()
        self._throttled_before = set(throttling.since_start) if throttling else set()
        self._clocks: list[float] = []
        self._temperatures: list[float] = []
        self._start = monotonic()
        self._busy_start = _busy_seconds()
        self._process_start = process_time()
        self.look()

    def look(self) -> None:
        """Note clock and temperature."""
        megahertz = clock()
        if megahertz is not None:
            self._clocks.append(megahertz)
        celsius = board.temperature()
        if celsius is not None:
            self._temperatures.append(celsius)

    def conditions(self) -> Conditions:
        """Return how the machine fared so far."""
        self.look()
        return Conditions(
            governor=board.governor(),
            megahertz=self._clock_range(),
            celsius=self._temperature_range(),
            throttled=self._throttled_meanwhile(),
            busy_cores=self._busy_cores(),
        )

    def _clock_range(self) -> ClockRange | None:
        if not self._clocks:
            return None
        return ClockRange(round(min(self._clocks)), round(max(self._clocks)))

    def _temperature_range(self) -> Temperatures | None:
        if not self._temperatures:
            return None
        return Temperatures(self._temperatures[0], self._temperatures[-1], max(self._temperatures))

    def _throttled_meanwhile(self) -> tuple[str, ...] | None:
        throttling = throttled()
        if throttling is None:
            return None
        happened = set(throttling.since_start) - self._throttled_before
        return tuple(sorted(happened | set(throttling.now)))

    def _busy_cores(self) -> float | None:
        busy = _busy_seconds()
        if busy is None or self._busy_start is None:
            return None
        own_seconds = self._process_time() - self._process_start
        seconds = self._monotonic() - self._start
        return round(max(0.0, (busy - self._busy_start - own_seconds) / seconds), 2)


class PowerMeter:
    """A context in which a thread reads the power.

    `watts` is then the mean, or None if the board measures none.
    """

    def __init__(self, interval_seconds: float = POWER_INTERVAL_SECONDS) -> None:
        """Prepare to read the power that often."""
        self.watts: float | None = None
        self._interval_seconds = interval_seconds
        self._readings: list[float] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._read, name="power", daemon=True)

    def __enter__(self) -> Self:
        if power() is not None:
            self._thread.start()
        return self

    def _read(self) -> None:
        while not self._done.wait(self._interval_seconds):
            watts = power()
            if watts is not None:
                self._readings.append(watts)

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread.ident:
            self._thread.join()
        if self._readings:
            self.watts = sum(self._readings) / len(self._readings)


def doubts_about_conditions(conditions: Conditions) -> list[str]:
    """Return why a measurement under these conditions may be wrong, a line each."""
    lines = []
    if conditions.throttled:
        lines.append(
            f"the board was held back ({', '.join(conditions.throttled)}): cool it, and use its "
            "own power supply"
        )
    if conditions.celsius and conditions.celsius.highest >= HOT:
        lines.append(
            f"the processor was {conditions.celsius.highest:.0f} degrees Celsius hot: cool it"
        )
    if conditions.governor not in (None, "performance"):
        lines.append(
            f"the governor is {conditions.governor}, so that the clock varies: echo performance "
            "| sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    if conditions.busy_cores is not None and conditions.busy_cores > MAX_BUSY_CORES:
        lines.append(f"other programs kept {conditions.busy_cores:.1f} cores busy: end them")
    return lines


def _busy_seconds() -> float | None:
    """Return the seconds that all cores together have been busy since the board's start."""
    fields = read_text(_STAT).split("\n", 1)[0].split()
    if fields[:1] != ["cpu"]:
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in these.
    ticks = [int(text) for text in fields[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _first_values(text: str) -> dict[str, str]:
    """Return the first value of each name in the lines "name : value" of a text."""
    values: dict[str, str] = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        values.setdefault(name.strip(), value.strip())
    return values
