"""What is looked at inside a machine that boots a card: whether it captions, what it says, and how its service is kept."""

import json
import re
import shlex
from pathlib import PurePosixPath

from machine import MachineError

#: Where the service writes its JSON lines: the settings that the card is prepared with say so.
SAID = "/var/lib/picaption/said.jsonl"
SETTINGS = f'json = "{SAID}"\n'
#: Seconds within which a machine has to caption: at its first boot, which installs everything, and at later ones.
FIRST, LATER = 3600, 1800


def captioning(machine, timeout):
    """Wait until the service has written a new JSON line with a caption; return the seconds since power on, and the line."""
    machine.shell(timeout)
    # Whole lines count: a service that starts takes zeros off the end of the file, or ends half a line, which a power cut has left.
    count = f"{{ tr -d '\\0' < {SAID} | grep -c '}}$' || true; }} 2>/dev/null"
    before = int(machine.run(count))
    seconds = machine.wait(f'[ "$({count})" -gt {before} ]', timeout)
    line = json.loads(machine.run(f"tail -n 1 {SAID}"))
    if not (line["caption"] or {}).get("text"):
        raise MachineError(f"a line without a caption: {line}")
    return seconds, line


def with_source(machine, source):
    """Have the service take another source, and wait until it captions; return how many bytes of lines there were before."""
    machine.run(
        f"sed -i 's/^source = .*/source = \"{source}\"/' /etc/picaption.toml && systemctl stop picaption",
        120,
    )
    before = int(machine.run(f"stat -c %s {SAID}"))
    machine.run("systemctl start picaption", LATER)
    captioning(machine, LATER)
    return before


def program(machine):
    """Return the paths of the service's picaption and of its Python."""
    told = machine.run("systemctl show --property=ExecStart --value picaption")
    path = next(word for word in told.replace("=", " ").split() if word.endswith("/picaption"))
    return path, str(PurePosixPath(path).with_name("python"))


def lines(machine, command, timeout=300):
    """Return the JSON lines that a shell `command` prints."""
    return [
        json.loads(line)
        for line in machine.run(command, timeout).splitlines()
        if line.startswith("{")
    ]


def fingerprints(machine, pictures):
    """Return what `python -m picaption.device.bench.fingerprint` says there of the files that a shell pattern names."""
    _, python = program(machine)
    bundle = machine.run(
        f"{shlex.quote(python)} -c 'from picaption.device import default_bundle; print(default_bundle())'"
    )
    return lines(
        machine,
        f"{shlex.quote(python)} -m picaption.device.bench.fingerprint {shlex.quote(bundle)} {pictures}",
        600,
    )


def kept(machine):
    """Return how systemd keeps the service: its properties by name, and its exposure as systemd-analyze tells it."""
    names = (
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
    told = machine.run(f"systemctl show --property={','.join(names)} picaption")
    found = dict(line.partition("=")[::2] for line in told.splitlines())
    # On a terminal that takes colours, the figure would lie between their codes.
    told = machine.run(
        "SYSTEMD_COLORS=0 SYSTEMD_URLIFY=0 systemd-analyze security --no-pager picaption", 180
    )
    found["exposure"] = re.search(r"exposure level .*: ([0-9.]+)", told)[1]
    return found
