"""What a measurement has around it: the machine, and how it fared meanwhile."""

import os
import platform
import re
import threading
import time
from pathlib import Path

from .. import board
from ..board import HOT, read_text, throttled, vcgencmd

#: Cores of Raspberry Pis by the part number that Arm's own have in /proc/cpuinfo.
CORES = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
#: Instructions that int8 networks are fast with, by the names of /proc/cpuinfo.
INSTRUCTIONS = ("avx2", "avx_vnni", "avx512_vnni", "asimddp", "i8mm")
#: Cores that other programs may use before a measurement is not to be trusted.
BUSY = 0.1
#: Seconds between two readings of the power.
EVERY = 0.5

_CPU, _STAT, _STATUS = Path("/proc/cpuinfo"), Path("/proc/stat"), Path("/proc/self/status")
_CLOCKS = Path("/sys/devices/system/cpu")


def machine():
    """Return what this machine is, as a dict of plain values; None stands for what it does not tell."""
    cpu = _fields(read_text(_CPU))
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME")
    except OSError:
        system = None
    known = (cpu.get("flags") or cpu.get("Features") or "").split()
    return {
        "board": board.model(),
        "system": system or platform.system(),
        "kernel": platform.release(),
        "cpu": cpu.get("model name") or CORES.get(cpu.get("CPU part"), platform.machine()),
        "cores": os.cpu_count(),
        "instructions": [name for name in INSTRUCTIONS if name in known],
        "python": platform.python_version(),
    }


def clock():
    """Return the clock of the fastest core at this moment, in megahertz, or None."""
    found = [read_text(path) for path in _CLOCKS.glob("cpu[0-9]*/cpufreq/scaling_cur_freq")]
    if kilohertz := [int(text) for text in found if text.strip().isdigit()]:
        return max(kilohertz) / 1e3
    megahertz = _fields(read_text(_CPU)).get("cpu MHz")
    return float(megahertz) if megahertz else None


def power():
    """Return the watts that the board's power chip measures on its rails, as a Pi 5 tells them, or None."""
    rails = {}
    for name, kind, value in re.findall(
        r"(\w+)_[AV] (current|volt)\(\d+\)=([\d.]+)[AV]", vcgencmd("pmic_read_adc")
    ):
        rails.setdefault(name, {})[kind] = float(value)
    watts = [rail["current"] * rail["volt"] for rail in rails.values() if len(rail) == 2]
    return sum(watts) if watts else None


def peak_megabytes():
    """Return the most memory that this process has had resident so far, or None."""
    peak = re.search(r"VmHWM:\s+(\d+) kB", read_text(_STATUS))
    return round(int(peak[1]) / 1024, 1) if peak else None


class Watch:
    """How the machine fares, from its making on: `look()` now and then, never while something is timed, and `figures()` once."""

    def __init__(self):
        found = throttled()
        self._before, self._now = set(found[1]) if found else set(), set()
        self._clocks, self._temperatures, self._tells = [], [], found is not None
        self._start, self._busy, self._own = time.monotonic(), _busy(), time.process_time()
        self.look()

    def look(self):
        """Note clock and temperature."""
        for kept, value in ((self._clocks, clock()), (self._temperatures, board.temperature())):
            if value is not None:
                kept.append(value)

    def figures(self):
        """Return what was seen, as a dict of plain values; None stands for what the machine does not tell.

        `others`: cores that other programs, or other guests of the same host, kept busy; `throttled`: what held the board back
        meanwhile.
        """
        self.look()
        found, spent = throttled(), time.monotonic() - self._start
        held = set(found[0]) | set(found[1]) - self._before if found else set()
        busy = _busy()
        others = (
            None
            if busy is None
            else max(0.0, (busy - self._busy - (time.process_time() - self._own)) / spent)
        )
        heat, clocks = self._temperatures, self._clocks
        return {
            "governor": board.governor(),
            "megahertz": {"lowest": round(min(clocks)), "highest": round(max(clocks))}
            if clocks
            else None,
            "celsius": {"start": heat[0], "end": heat[-1], "highest": max(heat)} if heat else None,
            "throttled": sorted(held) if self._tells else None,
            "others": None if others is None else round(others, 2),
        }


class Power:
    """A context in which a thread reads the power; `watts` is then the mean, or None where the board measures none."""

    def __init__(self):
        self.watts, self._read, self._done = None, [], threading.Event()
        self._thread = threading.Thread(target=self._run, name="power", daemon=True)

    def __enter__(self):
        if power() is not None:
            self._thread.start()
        return self

    def _run(self):
        while not self._done.wait(EVERY):
            if (watts := power()) is not None:
                self._read.append(watts)

    def __exit__(self, *_):
        self._done.set()
        if self._thread.ident:
            self._thread.join()
        if self._read:
            self.watts = sum(self._read) / len(self._read)


def doubts(seen):
    """Return, a line each, why a measurement is not to be trusted; `seen`: what Watch.figures gives."""
    lines = []
    if seen["throttled"]:
        lines.append(
            f"the board was held back ({', '.join(seen['throttled'])}): cool it, and use its own power supply"
        )
    if seen["celsius"] and seen["celsius"]["highest"] >= HOT:
        lines.append(
            f"the processor was {seen['celsius']['highest']:.0f} degrees Celsius hot: cool it"
        )
    if seen["governor"] not in (None, "performance"):
        lines.append(
            f"the governor is {seen['governor']}, so that the clock varies: "
            "echo performance | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor"
        )
    if (seen["others"] or 0) > BUSY:
        lines.append(f"other programs kept {seen['others']:.1f} cores busy: end them")
    return lines


def _busy():
    """Return the seconds that all cores together have been busy since the start, or None."""
    first = read_text(_STAT).split("\n", 1)[0].split()
    if first[:1] != ["cpu"]:
        return None
    # user, nice, system, idle, iowait, irq, softirq, steal; what follows is counted in these.
    ticks = [int(text) for text in first[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


def _fields(text):
    """Return the first value of each name in the lines "name : value" of a text."""
    found = {}
    for line in text.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip(), value.strip())
    return found
