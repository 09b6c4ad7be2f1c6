"""A fleet as a table for a terminal, as JSON, and as Prometheus metrics."""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..log import printable
from .status import figures
from .watch import Device

if TYPE_CHECKING:
    from prometheus_client import Metric

#: The columns of the table, and how many characters each has at most.
COLUMNS = {
    "device": 24,
    "state": 7,
    "version": 10,
    "bundle": 26,
    "board": 24,
    "camera": 18,
    "roll-out": 9,
    "up": 7,
    "fps": 6,
    "age ms": 7,
    "°C": 4,
    "unsure": 6,
    "throttled": 20,
    "last error": 60,
}
_UNKNOWN = "-"
#: The figures as metrics: the name behind picaption_fleet_, and its help.
METRICS = {
    "fps": ("frames_per_second", "Frames that are recognised a second."),
    "age_ms": ("result_age_milliseconds", "From the capture of a frame to its result."),
    "silent_s": ("silence_seconds", "Seconds since the last result."),
    "temperature": ("temperature_celsius", "The processor's temperature."),
    "unsure": ("unsure_share", "The share of frames without a certain class."),
    "started": ("start_time_seconds", "When picaption started, since the epoch."),
    "at": ("status_time_seconds", "When the device said this, since the epoch."),
}


def table_lines(devices: Sequence[Device], now: float) -> list[str]:
    """Return the lines of a table of the devices.

    Args:
        devices: The devices.
        now: The time, in seconds since the epoch.
    """
    rows = [list(COLUMNS), *(_row(device, now) for device in devices)]
    texts = [
        [printable(cell)[:width] for cell, width in zip(row, COLUMNS.values())] for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*texts)]
    return [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths)).rstrip() for row in texts
    ]


def summary_line(devices: Sequence[Device]) -> str:
    """Return how many devices there are, and how many of them are connected."""
    online = sum(device.is_online for device in devices)
    noun = "device" if len(devices) == 1 else "devices"
    return f"{len(devices)} {noun}, {online} online"


def json_lines(devices: Iterable[Device]) -> Iterator[str]:
    """Yield a JSON object a device."""
    for device in devices:
        yield json.dumps(json_fields(device))


def json_fields(device: Device) -> dict[str, Any]:
    """Return the JSON form of a device."""
    return {"name": device.name, "online": device.is_online} | device.status.to_json()


class FleetMetrics:
    """The fleet as a collector of prometheus-client.

    Args:
        devices: The devices.
    """

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = devices

    def collect(self) -> "Iterator[Metric]":
        """Yield the metrics."""
        from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily

        info = InfoMetricFamily("picaption_fleet_device", "What a device is.", labels=("device",))
        online = GaugeMetricFamily(
            "picaption_fleet_online", "1 if the device is connected.", labels=("device",)
        )
        families = {
            field: GaugeMetricFamily(f"picaption_fleet_{name}", text, labels=("device",))
            for field, (name, text) in METRICS.items()
        }
        held_back = GaugeMetricFamily(
            "picaption_fleet_throttled",
            "1 if something holds the board back.",
            labels=("device",),
        )
        for device in self._devices:
            status = device.status
            labels = (device.name,)
            about = {
                "version": status.version,
                "bundle": status.bundle,
                "hash": status.bundle_hash,
                "board": status.board,
            }
            info.add_metric(labels, about)
            online.add_metric(labels, float(device.is_online))
            held_back.add_metric(labels, float(bool(status.throttled)))
            for field, value in figures(status).items():
                families[field].add_metric(labels, value)
        yield from (info, online, held_back, *families.values())


def exposition(devices: Sequence[Device]) -> str:
    """Return the devices in Prometheus' text format.

    Raises:
        ImportError: prometheus-client is not installed.
    """
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(FleetMetrics(devices))
    return generate_latest(registry).decode()


def _row(device: Device, now: float) -> list[str]:
    status = device.status
    bundle = " ".join(filter(None, (status.bundle, status.bundle_hash)))
    unsure = _UNKNOWN if status.unsure is None else f"{status.unsure:.0%}"
    return [
        device.name,
        "online" if device.is_online else "offline",
        status.version or _UNKNOWN,
        bundle or _UNKNOWN,
        status.board or _UNKNOWN,
        status.camera or _UNKNOWN,
        status.rollout_state or _UNKNOWN,
        _duration(status.uptime(now) if device.is_online else None),
        _number(status.fps, 1),
        _number(status.age_ms, 0),
        _number(status.temperature, 0),
        unsure,
        ", ".join(status.throttled) or _UNKNOWN,
        status.error or _UNKNOWN,
    ]


def _number(value: float | None, digits: int) -> str:
    return _UNKNOWN if value is None else f"{value:.{digits}f}"


def _duration(seconds: float | None) -> str:
    """Return a time as its two largest units: "3d 4h"."""
    if seconds is None:
        return _UNKNOWN
    minutes = int(seconds) // 60
    hours = minutes // 60
    if hours >= 24:
        return f"{hours // 24}d {hours % 24}h"
    if hours:
        return f"{hours}h {minutes % 60}m"
    return f"{minutes}m {int(seconds) % 60}s"
