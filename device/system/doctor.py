"""`picaption doctor`: what this board has and lacks for picaption, and the command that mends each lack."""

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

#: Megabytes of memory and disk below which something is wrong.
MEMORY, DISK = 150, 200
#: What extras bring, beside the board's own needs.
EXTRAS = {"paho.mqtt.client": "mqtt", "starlette": "web", "uvicorn": "web"}

_RELEASE, _MEMORY, _PROCESSES = Path("/etc/os-release"), Path("/proc/meminfo"), Path("/proc")


@dataclass(frozen=True)
class Finding:
    """What was found: `state` is "ok", "warning" or "problem"; `fix`, where there is one, a command or what to do."""

    name: str
    state: str
    text: str
    fix: str = ""


def find_all():
    """Return the Findings of all checks; one that breaks is itself a problem that was found."""
    found = []
    for check in (
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
    ):
        name = check.__name__.removeprefix("check_")
        try:
            found.append(check())
        except Exception as error:  # a check must not keep the others from being made
            found.append(Finding(name, "problem", f"cannot be checked: {error}"))
    return found


def check_board():
    """Return whether this is a system that the runtime is built for."""
    release = (
        dict(line.partition("=")[::2] for line in _RELEASE.read_text().splitlines())
        if _RELEASE.exists()
        else {}
    )
    text = (
        f"{board.model() or platform.machine()}, {release.get('PRETTY_NAME', platform.system()).strip(chr(34))}, "
        f"kernel {platform.release()}"
    )
    if sys.maxsize <= 2**32:
        return Finding(
            "board",
            "problem",
            f"{text}: 32 bits, for which there is no TFLite runtime",
            "write the 64-bit Raspberry Pi OS to the card",
        )
    return Finding("board", "ok", text)


def check_python():
    """Return whether this Python is one that picaption supports."""
    version = sys.version_info[:2]
    known = (3, 11) <= version < (3, 14)
    return Finding(
        "python",
        "ok" if known else "problem",
        platform.python_version(),
        "" if known else "make the virtual environment with Python 3.11, 3.12 or 3.13",
    )


def check_runtime():
    """Return whether the runtime recognises something with the shipped bundle, and how fast."""
    from ..bundle.runtime import runtime_name
    from ..recognition.recognizer import open_recognizer
    from ..sources.sources import Demo

    try:
        recognizer, frame = open_recognizer(), Demo().frame(0)
    except PicaptionError as error:
        return Finding(
            "runtime",
            "problem",
            str(error),
            f"{sys.executable} -m pip install --force-reinstall ai-edge-litert",
        )
    recognizer(frame)
    start = time.perf_counter()
    said = recognizer(frame).caption.text
    return Finding(
        "runtime",
        "ok",
        f"{runtime_name()}: {said!r} in {(time.perf_counter() - start) * 1e3:.0f} ms",
    )


def check_opencv():
    """Return whether numpy and OpenCV fit each other."""
    try:
        import cv2
        import numpy

        cv2.resize(numpy.zeros((4, 4, 3), numpy.uint8), (2, 2))
    except Exception as error:  # built for another numpy, a missing library: anything can be raised
        return Finding(
            "opencv",
            "problem",
            f"numpy and OpenCV do not work together: {error}",
            f"{sys.executable} -m pip install --force-reinstall numpy opencv-python-headless",
        )
    return Finding("opencv", "ok", f"OpenCV {cv2.__version__}, numpy {numpy.__version__}")


def check_picamera2():
    """Return whether the CSI camera's library can be used; one without a CSI camera does without."""
    try:
        module = importlib.import_module("picamera2")
        return Finding("picamera2", "ok", f"at {Path(module.__file__).parent}")
    except ImportError as error:
        alone = (
            sys.prefix != sys.base_prefix
            and "include-system-site-packages = true"
            not in read_text(Path(sys.prefix, "pyvenv.cfg"))
        )
        there = any(
            Path(folder, "picamera2").exists() for folder in ("/usr/lib/python3/dist-packages",)
        )
        if there and alone:
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
    except Exception as error:  # modules of another numpy raise ValueError
        return Finding(
            "picamera2",
            "problem",
            f"does not load: {error}",
            f"{sys.executable} -m pip install 'numpy<2'",
        )


def check_cameras():
    """Return which video devices there are, and who uses them."""
    from ..sources.usb import v4l2_cameras

    cameras = v4l2_cameras()
    if not cameras:
        return Finding(
            "cameras",
            "warning",
            "no USB camera; a CSI camera shows in rpicam-hello --list-cameras",
            "plug one in, or use --source demo",
        )
    busy = {camera: holder for camera in cameras if (holder := _holder(camera))}
    if busy:
        return Finding(
            "cameras",
            "warning",
            ", ".join(f"{camera} is in use by {holder}" for camera, holder in busy.items()),
            "end that program, or name another camera with --source",
        )
    closed = [camera for camera in cameras if not os.access(camera, os.R_OK | os.W_OK)]
    if closed:
        return Finding(
            "cameras",
            "problem",
            f"{', '.join(closed)} may not be opened by this user",
            "sudo usermod -aG video $USER, then log in anew",
        )
    return Finding("cameras", "ok", ", ".join(cameras))


def _holder(camera):
    """Return the name of another program that holds the video device open, or None; other users' are not seen."""
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


def _target(link):
    try:
        return os.readlink(link)
    except OSError:  # closed since it was listed
        return None


def check_groups():
    """Return whether this user may open cameras."""
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
        "sudo usermod -aG video $USER, then log in anew",
    )


def check_memory():
    """Return whether there is memory for a live run, which takes about 100 megabytes."""
    free = next(
        int(line.split()[1]) // 1024
        for line in _MEMORY.read_text().splitlines()
        if line.startswith("MemAvailable")
    )
    return Finding(
        "memory",
        "ok" if free >= MEMORY else "problem",
        f"{free} MB available",
        "" if free >= MEMORY else "end what else runs: ps aux --sort=-rss | head",
    )


def check_disk():
    """Return whether there is room where this runs."""
    free = shutil.disk_usage(".").free // 10**6
    return Finding(
        "disk",
        "ok" if free >= DISK else "warning",
        f"{free} MB free here",
        "" if free >= DISK else "sudo apt clean; sudo journalctl --vacuum-size=50M",
    )


def check_power():
    """Return whether the board has enough power, where it tells."""
    found = board.throttled()
    if found is None:
        return Finding("power", "ok", "this machine does not tell")
    now, since = found
    if now or since:
        return Finding(
            "power",
            "problem" if now else "warning",
            f"now: {', '.join(now) or 'nothing'}; since the start: {', '.join(since) or 'nothing'}",
            "use the board's own power supply and a short cable; cool it",
        )
    return Finding("power", "ok", "no under-voltage, not throttled")


def check_heat():
    """Return how warm the processor is, where it tells."""
    degrees = board.temperature()
    if degrees is None:
        return Finding("heat", "ok", "this machine does not tell")
    return Finding(
        "heat",
        "ok" if degrees < HOT else "warning",
        f"{degrees:.0f} degrees Celsius",
        "" if degrees < HOT else "add a fan or a heat sink, or run with --max-fps 2 --power-save",
    )


def check_governor():
    """Return whether the clock is left to vary, which matters to measurements alone."""
    governor = board.governor()
    if governor in (None, "performance", "ondemand", "schedutil"):
        return Finding("governor", "ok", governor or "this machine does not tell")
    return Finding(
        "governor",
        "warning",
        f"{governor} keeps the clock low",
        "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor",
    )


def check_settings():
    """Return whether the file of settings, where there is one, is valid."""
    from ..config.toml import find_config_file, load_config

    path = find_config_file()
    if path is None:
        return Finding("settings", "ok", "no picaption.toml: the defaults hold")
    try:
        load_config({}, path)
    except PicaptionError as error:
        return Finding(
            "settings",
            "problem",
            str(error),
            f"edit {path}, then: picaption config --config {path}",
        )
    return Finding("settings", "ok", str(path))


def check_extras():
    """Return which extras are installed."""
    lacking = {
        extra
        for module, extra in EXTRAS.items()
        if not importlib.util.find_spec(module.partition(".")[0])
    }
    have = sorted(set(EXTRAS.values()) - lacking)
    return Finding(
        "extras",
        "ok",
        f"installed: {', '.join(have) or 'none'}",
        f"{sys.executable} -m pip install 'picaption[{','.join(sorted(lacking))}]' adds the rest"
        if lacking
        else "",
    )


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def doctor_command(as_json):
    """Say what this board has and lacks, and what mends it; exit code 1 where there is a problem."""
    found = find_all()
    for finding in found:
        if as_json:
            print(json.dumps(asdict(finding)))
            continue
        print(f"{finding.state:8} {finding.name:10} {finding.text}")
        if finding.fix:
            print(f"{'':19} -> {finding.fix}")
    sys.exit(any(finding.state == "problem" for finding in found))
