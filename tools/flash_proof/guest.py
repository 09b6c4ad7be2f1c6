"""What is looked at inside a machine that boots a card: its captions and its service."""

import json
import re
import shlex
from pathlib import PurePosixPath
from typing import Any

from .machine import Machine, MachineError

#: Where the service writes its JSON lines: the settings that the card is prepared with say so.
CAPTIONS = "/var/lib/picaption/said.jsonl"
SETTINGS = f'json = "{CAPTIONS}"\njson_every = 0\n'
#: Seconds within which a machine has to caption at its first boot, which installs everything.
FIRST_BOOT_SECONDS = 3600
#: The same of later boots.
LATER_BOOT_SECONDS = 1800

_SERVICE_PROPERTIES = (
    "ActiveState",
    "SubState",
    "Type",
    "NRestarts",
    "WatchdogUSec",
    "WatchdogTimestamp",
    "User",
    "DynamicUser",
    "Result",
)


def wait_for_caption(
    machine: Machine, timeout: float, path: str = CAPTIONS
) -> tuple[float, dict[str, Any]]:
    """Wait until the service has written a new JSON line with a caption.

    Args:
        machine: the machine.
        timeout: seconds within which it has to.
        path: the file of JSON lines on the machine.

    Returns:
        The seconds since power on, and the line.
    """
    machine.shell(timeout)
    # Complete lines count: a service that starts takes zeros off the end of the file, or ends half
    # a line, which a power cut has left.
    count = f"{{ tr -d '\\0' < {path} | grep -c '}}$' || true; }} 2>/dev/null"
    before = int(machine.run(count))
    seconds = machine.wait(f'[ "$({count})" -gt {before} ]', timeout)
    line = json.loads(machine.run(f"tail -n 1 {path}"))
    if not (line["caption"] or {}).get("text"):
        raise MachineError(f"a line without a caption: {line}")
    return seconds, line


def change_source(machine: Machine, source: str) -> int:
    """Give the service another source, and wait until it captions.

    Returns:
        How many bytes of JSON lines there were before.
    """
    machine.run(
        f"sed -i 's/^source = .*/source = \"{source}\"/' /etc/picaption.toml "
        "&& systemctl stop picaption",
        120,
    )
    before = int(machine.run(f"stat -c %s {CAPTIONS}"))
    machine.run("systemctl start picaption", LATER_BOOT_SECONDS)
    wait_for_caption(machine, LATER_BOOT_SECONDS)
    return before


def service_python(machine: Machine) -> str:
    """Return the path of the service's Python."""
    command = machine.run("systemctl show --property=ExecStart --value picaption")
    words = command.replace("=", " ").split()
    program = next(word for word in words if word.endswith("/picaption"))
    return str(PurePosixPath(program).with_name("python"))


def json_lines(machine: Machine, command: str, timeout: float = 300) -> list[dict[str, Any]]:
    """Return the JSON lines that a shell `command` prints."""
    output = machine.run(command, timeout).splitlines()
    return [json.loads(line) for line in output if line.startswith("{")]


def fingerprints(machine: Machine, images: str) -> list[dict[str, Any]]:
    """Return the machine's fingerprints of the images that a shell pattern names.

    See picaption.device.bench.fingerprint.
    """
    python = shlex.quote(service_python(machine))
    program = "from picaption.device import default_bundle; print(default_bundle())"
    bundle = shlex.quote(machine.run(f"{python} -c '{program}'"))
    return json_lines(
        machine, f"{python} -m picaption.device.bench.fingerprint {bundle} {images}", 600
    )


def service_properties(machine: Machine) -> dict[str, str]:
    """Return systemd's properties of the service, and its exposure by systemd-analyze."""
    names = ",".join(_SERVICE_PROPERTIES)
    output = machine.run(f"systemctl show --property={names} picaption")
    properties = dict(line.split("=", 1) for line in output.splitlines())
    # On a terminal that takes colours, the figure would lie between their codes.
    output = machine.run(
        "SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 systemd-analyze security --no-pager picaption", 180
    )
    exposure = re.search(r"exposure level .*: ([0-9.]+)", output)
    if not exposure:
        raise MachineError(f"systemd-analyze names no exposure: {output[-500:]}")
    properties["exposure"] = exposure[1]
    return properties
