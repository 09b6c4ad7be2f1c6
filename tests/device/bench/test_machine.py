"""What is read around a measurement, from the files and tools of real boards."""

import os
import time

import pytest

from picaption.device import board
from picaption.device.bench import machine
from picaption.device.bench.figures import ClockRange, Conditions, Temperatures
from picaption.device.bench.machine import (
    PowerMeter,
    Watch,
    clock,
    describe_machine,
    doubts_about_conditions,
    peak_megabytes,
    power,
)
from tests.device.fakes.bench_reports import CALM

#: A part of what `vcgencmd pmic_read_adc` prints on a Pi 5: 1.5 A at 0.8 V, 0.5 A at 3.0 V, and
#: the input's voltage alone.
PMIC = """   VDD_CORE_A current(7)=1.50000000A
     3V7_WL_SW_A current(0)=0.50000000A
   VDD_CORE_V volt(15)=0.80000000V
     3V7_WL_SW_V volt(8)=3.00000000V
        EXT5V_V volt(24)=5.14100000V
"""


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Writes what a machine's files hold; those that are not written are not there."""
    for name in ("_CPU", "_STAT", "_CLOCKS"):
        monkeypatch.setattr(machine, name, tmp_path / name)
    for name in ("_MODEL", "_TEMPERATURE", "_THROTTLED", "_GOVERNOR"):
        monkeypatch.setattr(board, name, tmp_path / name)

    def write(name, text):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return write


def test_a_pi_5(files):
    files("_MODEL", "Raspberry Pi 5 Model B Rev 1.0\0")
    files(
        "_CPU",
        "processor\t: 0\nFeatures\t: fp asimd asimddp\nCPU part\t: 0xd0b\n\n"
        "processor\t: 1\nCPU part\t: 0xd08\n",
    )
    files("_CLOCKS/cpu0/cpufreq/scaling_cur_freq", "1500000\n")
    files("_CLOCKS/cpu3/cpufreq/scaling_cur_freq", "2400000\n")
    pi = describe_machine()
    assert pi.board == "Raspberry Pi 5 Model B Rev 1.0"
    assert pi.cpu == "Cortex-A76"
    assert pi.instructions == ("asimddp",)
    assert clock() == 2400


def test_a_pc_tells_its_clock_elsewhere(files):
    files(
        "_CPU", "model name\t: AMD EPYC\nflags\t\t: fpu avx2 avx512_vnni\ncpu MHz\t\t: 2596.144\n"
    )
    assert clock() == 2596.144
    assert describe_machine().cpu == "AMD EPYC"
    assert describe_machine().instructions == ("avx2", "avx512_vnni")


def test_a_machine_that_tells_nothing(files, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert clock() is power() is None
    assert Watch().conditions() == CALM
    assert doubts_about_conditions(CALM) == []
    with PowerMeter() as meter:
        pass
    assert meter.watts is None


def test_the_power_is_that_of_the_rails(vcgencmd):
    vcgencmd("pmic_read_adc", PMIC)
    assert power() == pytest.approx(1.5 * 0.8 + 0.5 * 3.0)
    with PowerMeter(interval_seconds=0.01) as meter:
        time.sleep(0.2)
    assert meter.watts == pytest.approx(2.7)


def test_a_watch_tells_what_happened_meanwhile(files):
    files("_THROTTLED", "10000")  # Under-voltage, before.
    files("_TEMPERATURE", "50000")
    files("_GOVERNOR", "ondemand")
    files("_STAT", "cpu  100 0 100 5000 50 0 0 0 0 0\n")
    files("_CLOCKS/cpu0/cpufreq/scaling_cur_freq", "2400000")
    now = {"day": 100.0, "process": 10.0}
    watch = Watch(lambda: now["day"], lambda: now["process"])
    files("_TEMPERATURE", "85500")
    files("_CLOCKS/cpu0/cpufreq/scaling_cur_freq", "1500000")
    watch.look()
    files("_TEMPERATURE", "80000")
    files("_THROTTLED", "50000")  # Throttled since, no more now.
    # 10 s later all cores were busy for 12 more seconds, of which this process had 9; idle and
    # waiting do not count.
    now.update(day=110.0, process=19.0)
    ticks = os.sysconf("SC_CLK_TCK")
    files("_STAT", f"cpu  {100 + 11 * ticks} 0 {100 + ticks} 9000 99 0 0 0 0 0\n")
    conditions = watch.conditions()
    assert conditions == Conditions(
        governor="ondemand",
        megahertz=ClockRange(lowest=1500, highest=2400),
        throttled=("throttled",),
        celsius=Temperatures(start=50.0, end=80.0, highest=85.5),
        busy_cores=0.3,
    )
    assert [line.split(":")[0] for line in doubts_about_conditions(conditions)] == [
        "the board was held back (throttled)",
        "the processor was 86 degrees Celsius hot",
        "the governor is ondemand, so that the clock varies",
        "other programs kept 0.3 cores busy",
    ]


def test_a_calm_board_is_not_doubtful():
    conditions = Conditions(
        governor="performance",
        megahertz=None,
        celsius=Temperatures(start=50, end=60, highest=79.9),
        throttled=(),
        busy_cores=0.1,
    )
    assert doubts_about_conditions(conditions) == []


def test_memory_at_its_most():
    before = peak_megabytes()
    taken = bytearray(os.urandom(1 << 20) * 64)
    assert peak_megabytes() > 60
    assert peak_megabytes() >= before
    assert len(taken) == 64 << 20
