"""`picaption doctor`: what this board has and lacks for picaption, and the fix for each lack."""

import importlib
import importlib.util
import json
import os
import platform
import shutil
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import click

from .. import board
from ..board import HOT, read_text
from ..errors import PicaptionError
from ..log import say

#: Megabytes of memory that a live run needs.
MEMORY_MEGABYTES = 150
#: Megabytes of disk below which logs and updates run out of room.
DISK_MEGABYTES = 200
#: The first OpenCV without the known hole in its reading of pictures.
SAFE_OPENCV = (4, 12)
#: Modules of the extras that a board may have, and the extra that brings each.
EXTRAS = {"paho.mqtt.client": "mqtt", "starlette": "web", "uvicorn": "web"}

_RELEASE = Path("/etc/os-release")
_MEMORY = Path("/proc/meminfo")
_PROCESSES = Path("/proc")
_SYSTEM_PICAMERA2 = Path("/usr/lib/python3/dist-packages/picamera2")


@dataclass(frozen=True)
class Finding:
    """What a check came to.

    Attributes:
        name: what was checked.
        state: "ok", "warning" or "problem".
        text: what the check found.
        fix: a command or what to do; "" if nothing has to be mended.
    """

    name: str
    state: str
    text: str
    fix: str = ""


def find_all() -> list[Finding]:
    """Return the Findings of all checks; one that breaks is itself a problem."""
    findings = []
    for check in CHECKS:
        try:
            findings.append(check())
        except Exception as error:  # must not keep the others from being made
            name = check.__name__.removeprefix("check_")
            findings.append(Finding(name, "problem", f"cannot be checked: {error}"))
    return findings


def check_board() -> Finding:
    """Check that the runtime is built for this system."""
    release = {}
    if _RELEASE.exists():
        release = dict(line.partition("=")[::2] for line in _RELEASE.read_text().splitlines())
    system = release.get("PRETTY_NAME", platform.system()).strip('"')
    text = f"{board.model() or platform.machine()}, {system}, kernel {platform.release()}"
    if sys.maxsize <= 2**32:
        return Finding(
            "board",
            "problem",
            f"{text}: 32 bits, for which there is no TFLite runtime",
            "write the 64-bit Raspberry Pi OS to the card",
        )
    return Finding("board", "ok", text)


def check_python() -> Finding:
    """Check that picaption supports this Python."""
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("python", "ok", version)
    return Finding(
        "python",
        "problem",
        version,
        "make the virtual environment with Python 3.11, 3.12 or 3.13",
    )


def check_runtime() -> Finding:
    """Check that the runtime recognises something with the shipped bundle, and how fast."""
    from ..bundle.runtime import runtime_name
    from ..recognition.recognizer import open_recognizer
    from ..sources.demo_frames import Demo

    try:
        recognizer = open_recognizer()
        frame = Demo().frame(0)
    except PicaptionError as error:
        return Finding(
            "runtime",
            "problem",
            str(error),
            f"{sys.executable} -m pip install --force-reinstall ai-edge-litert",
        )
    recognizer(frame)
    start = time.perf_counter()
    caption = recognizer(frame).caption
    milliseconds = (time.perf_counter() - start) * 1e3
    text = caption.text if caption else ""
    return Finding("runtime", "ok", f"{runtime_name()}: {text!r} in {milliseconds:.0f} ms")


def check_opencv() -> Finding:
    """Check that numpy and OpenCV fit each other."""
    try:
        import cv2
        import numpy as np

        cv2.resize(np.zeros((4, 4, 3), np.uint8), (2, 2))
    except Exception as error:  # built for another numpy, a missing library: anything
        return Finding(
            "opencv",
            "problem",
            f"numpy and OpenCV do not work together: {error}",
            f"{sys.executable} -m pip install --force-reinstall numpy opencv-python-headless",
        )
    text = f"OpenCV {cv2.__version__}, numpy {np.__version__}"
    if tuple(map(int, cv2.__version__.split(".")[:2])) < SAFE_OPENCV:
        return Finding(
            "opencv",
            "warning",
            f"{text}: a crafted JPEG can write to its memory (CVE-2025-53644)",
            # Its wheels ask for numpy 2, and run with the numpy 1.26 that picamera2 may need.
            f"{sys.executable} -m pip install --no-deps 'opencv-python-headless>=4.14'",
        )
    return Finding("opencv", "ok", text)


def check_picamera2() -> Finding:
    """Check that the library of CSI cameras can be used; without a CSI camera none is needed."""
    try:
        module = importlib.import_module("picamera2")
    except ImportError as error:
        return _without_picamera2(error)
    except Exception as error:  # modules of another numpy raise ValueError
        return Finding(
            "picamera2",
            "problem",
            f"does not load: {error}",
            f"{sys.executable} -m pip install 'numpy>=1.26,<2' (pip then says that OpenCV asks for "
            "numpy 2: it runs with 1.26 too)",
        )
    return Finding("picamera2", "ok", f"at {Path(module.__file__ or '').parent}")


def _without_picamera2(error: ImportError) -> Finding:
    """Return whether picamera2 is hidden by this virtual environment, or not installed."""
    configuration = read_text(Path(sys.prefix, "pyvenv.cfg"))
    is_isolated = (
        sys.prefix != sys.base_prefix and "include-system-site-packages = true" not in configuration
    )
    if is_isolated and _SYSTEM_PICAMERA2.exists():
        return Finding(
            "picamera2",
            "warning",
            "installed, but this virtual environment does not see the system's packages",
            f"python3 -m venv --system-site-packages {sys.prefix}",
        )
    return Finding(
        "picamera2",
        "warning",
        f"cannot be used ({error}): CSI cameras need it, others do not",
        "sudo apt install python3-picamera2",
    )


def check_cameras() -> Finding:
    """Check which video devices there are, and whether another program uses them."""
    from ..sources.usb import v4l2_cameras

    cameras = v4l2_cameras()
    if not cameras:
        return Finding(
            "cameras",
            "warning",
            "no USB camera; a CSI camera shows in rpicam-hello --list-cameras",
            "plug one in, or use --source demo",
        )
    holders = {camera: _holder(camera) for camera in cameras}
    busy = [f"{camera} is in use by {holder}" for camera, holder in holders.items() if holder]
    if busy:
        return Finding(
            "cameras",
            "warning",
            ", ".join(busy),
            "end that program, or name another camera with --source",
        )
    closed = [camera for camera in cameras if not os.access(camera, os.R_OK | os.W_OK)]
    if closed:
        return Finding(
            "cameras",
            "problem",
            f"{', '.join(closed)} may not be opened by this user",
            "sudo usermod -aG video $USER, then log in again",
        )
    return Finding("cameras", "ok", ", ".join(cameras))


def _holder(camera: str) -> str | None:
    """Return the name of another of this user's programs that holds a video device open."""
    for process in _PROCESSES.glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        try:
            links = list((process / "fd").iterdir())
        except OSError:
            continue
        if any(_target(link) == camera for link in links):
            return f"{read_text(process / 'comm').strip()} ({process.name})"
    return None


def _target(link: Path) -> str | None:
    try:
        return os.readlink(link)
    except OSError:  # closed since it was listed
        return None


def check_groups() -> Finding:
    """Check that this user may open cameras."""
    import grp

    try:
        video = grp.getgrnam("video").gr_gid
    except KeyError:
        return Finding("groups", "ok", "there is no group video here")
    if os.geteuid() == 0 or video in (*os.getgroups(), os.getegid()):
        return Finding("groups", "ok", "this user may open cameras")
    return Finding(
        "groups",
        "warning",
        "this user is not in the group video",
        "sudo usermod -aG video $USER, then log in again",
    )


def check_memory() -> Finding:
    """Check that there is memory for a live run, which takes about 100 megabytes."""
    lines = _MEMORY.read_text().splitlines()
    available = next(line for line in lines if line.startswith("MemAvailable"))
    free = int(available.split()[1]) // 1024
    if free >= MEMORY_MEGABYTES:
        return Finding("memory", "ok", f"{free} MB available")
    return Finding(
        "memory",
        "problem",
        f"{free} MB available",
        "end what else runs: ps aux --sort=-rss | head",
    )


def check_disk() -> Finding:
    """Check that there is room on the disk that this runs on."""
    free = shutil.disk_usage(".").free // 10**6
    if free >= DISK_MEGABYTES:
        return Finding("disk", "ok", f"{free} MB free here")
    return Finding(
        "disk",
        "warning",
        f"{free} MB free here",
        "sudo apt clean; sudo journalctl --vacuum-size=50M",
    )


def check_power() -> Finding:
    """Check that the board has enough power, if it reports that."""
    throttling = board.throttled()
    if throttling is None:
        return Finding("power", "ok", "this machine does not tell")
    now = ", ".join(throttling.now)
    since_start = ", ".join(throttling.since_start)
    if not now and not since_start:
        return Finding("power", "ok", "no under-voltage, not throttled")
    return Finding(
        "power",
        "problem" if now else "warning",
        f"now: {now or 'nothing'}; since the start: {since_start or 'nothing'}",
        "use the board's own power supply and a short cable; cool it",
    )


def check_heat() -> Finding:
    """Check how warm the processor is, if the board measures that."""
    degrees = board.temperature()
    if degrees is None:
        return Finding("heat", "ok", "this machine does not tell")
    text = f"{degrees:.0f} degrees Celsius"
    if degrees < HOT:
        return Finding("heat", "ok", text)
    fix = "add a fan or a heat sink, or run with --max-fps 2 --power-save"
    return Finding("heat", "warning", text, fix)


def check_governor() -> Finding:
    """Check that the clock may rise; only measurements need one that does not vary."""
    governor = board.governor()
    if governor in (None, "performance", "ondemand", "schedutil"):
        return Finding("governor", "ok", governor or "this machine does not tell")
    return Finding(
        "governor",
        "warning",
        f"{governor} keeps the clock low",
        "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )


def check_settings() -> Finding:
    """Check that the file of settings, if there is one, is valid."""
    from ..config.toml import find_config_file, load_config

    path = find_config_file()
    if path is None:
        return Finding("settings", "ok", "no picaption.toml: the defaults hold")
    try:
        load_config({}, path)
    except PicaptionError as error:
        fix = f"edit {path}, then: picaption config --config {path}"
        return Finding("settings", "problem", str(error), fix)
    return Finding("settings", "ok", str(path))


def check_extras() -> Finding:
    """Check which extras are installed."""
    missing = {
        extra
        for module, extra in EXTRAS.items()
        if not importlib.util.find_spec(module.partition(".")[0])
    }
    installed = sorted(set(EXTRAS.values()) - missing)
    text = f"installed: {', '.join(installed) or 'none'}"
    if not missing:
        return Finding("extras", "ok", text)
    extras = ",".join(sorted(missing))
    fix = f"{sys.executable} -m pip install 'picaption[{extras}]' adds the rest"
    return Finding("extras", "ok", text, fix)


#: All checks, in the order of their output.
CHECKS = (
    check_board,
    check_python,
    check_runtime,
    check_opencv,
    check_picamera2,
    check_cameras,
    check_groups,
    check_memory,
    check_disk,
    check_power,
    check_heat,
    check_governor,
    check_settings,
    check_extras,
)


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")
def doctor_command(as_json: bool) -> None:
    """Check this board and print fixes.

    Exits with 1 if there is a problem.
    """
    findings = find_all()
    for finding in findings:
        if as_json:
            say(json.dumps(asdict(finding)))
        else:
            _print_finding(finding)
    sys.exit(any(finding.state == "problem" for finding in findings))


def _print_finding(finding: Finding) -> None:
    say(f"{finding.state:8} {finding.name:10} {finding.text}")
    if finding.fix:
        say(f"{'':19} -> {finding.fix}")
