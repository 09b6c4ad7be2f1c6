"""`picaption service`: the live loop as a systemd service, hardened, watched and restarted."""

import contextlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

import click

from ..atomic import write_text
from ..cli import PathType
from ..config.settings import NAME
from ..config.toml import load_config
from ..errors import PicaptionError
from ..log import say

UNIT = "picaption.service"
#: The service's file of settings.
SETTINGS = Path("/etc", NAME)
UNITS = Path("/etc/systemd/system")
#: Exists if systemd started the machine (sd_booted(3)).
BOOTED = Path("/run/systemd/system")
#: The first line of a unit of ours; any other is not overwritten.
MARK = "# Written by `picaption service install`."

#: What the service begins with if there is no file of settings.
FIRST_SETTINGS = """\
# Settings of the service: `picaption config --config /etc/picaption.toml` shows all of them,
# `sudo systemctl reload picaption` reads them again.
source = "auto"
# json = "/var/lib/picaption/said.jsonl"
# json_megabytes = 10
# web = true
"""


def unit_text(program: Path, settings: Path) -> str:
    """Return the text of a systemd unit that runs `picaption live`.

    Exit code 2, settings that are not valid, is not tried again; anything else is, for ever. The
    service waits neither for the network nor for the time, which may come late or never, and
    counts as started with its first result. It may reach cameras (video, media, and the memory
    that libcamera shares with them) and the network, and write to /var/lib/picaption. Its processes
    that answer the page step back behind the loop (setpriority).

    Args:
        program: the path of `picaption`.
        settings: the path of the file of settings.

    Raises:
        PicaptionError: systemd takes no program of such a path.
    """
    # systemd refuses the first three, and takes $$ here for what it is.
    if any(character in str(program) for character in "\"'\\$"):
        raise PicaptionError(
            f"systemd runs no program at {program}: install picaption at a path without quotes, "
            "backslashes and dollars"
        )
    return f"""{MARK}
[Unit]
Description=picaption says what the camera sees
After=network.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={quoted(program)} live --quiet --config {quoted(settings)}
ExecReload=/bin/kill -HUP $MAINPID
WatchdogSec=30
TimeoutStartSec=300
TimeoutStopSec=20
Restart=on-failure
RestartSec=10
RestartPreventExitStatus=2

DynamicUser=yes
SupplementaryGroups=video
StateDirectory=picaption
CacheDirectory=picaption
WorkingDirectory=/var/lib/picaption
UMask=0077

DevicePolicy=closed
DeviceAllow=char-video4linux rw
DeviceAllow=char-media rw
DeviceAllow=char-dma_heap rw
CapabilityBoundingSet=
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
PrivateTmp=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=read-only
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallFilter=setpriority
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def quoted(path: str | Path) -> str:
    """Return `path` as one word of a systemd command line.

    systemd.service(5), "COMMAND LINES"; systemd.syntax(7). Raises PicaptionError if a unit cannot
    hold it.
    """
    text = str(path)
    if not text.isprintable():  # neither are bytes that are no UTF-8
        raise PicaptionError(
            f"{text!r} cannot stand in a systemd unit; move it to a path of printable characters"
        )
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    if not text or any(character in " '\"\\;#" for character in text):
        return f'"{text}"'
    return text


def program_path() -> Path:
    """Return the absolute path of this installation's `picaption`.

    Raises PicaptionError if there is none.
    """
    name = Path(sys.argv[0]).name
    program = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which("picaption")
    if not program or Path(program).name != "picaption":
        raise PicaptionError(
            "the command picaption is not installed beside this Python: pip install picaption "
            "there first"
        )
    return Path(program).absolute()


def first_closed_folder(path: Path) -> Path | None:
    """Return the first folder on the way to `path` that the service's user may not enter."""
    for folder in reversed(path.parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            return folder
    return None


def need_systemd() -> None:
    """Raise PicaptionError if systemd does not run this machine."""
    if not BOOTED.is_dir() or not shutil.which("systemctl"):
        raise PicaptionError(
            "systemd does not run this machine; start picaption live by whatever starts its "
            "services"
        )


def need_root(path: Path, *command: str | Path) -> None:
    """Raise PicaptionError if this user may not change the file at `path`.

    It names the `command` of `picaption service` to run with sudo.
    """
    if not os.access(path.parent, os.W_OK):
        words = ["sudo", program_path(), "service", *command]
        line = shlex.join(str(word) for word in words)
        raise PicaptionError(f"{path} may be changed by root only: {line}")


def systemctl(*arguments: str) -> None:
    """Run systemctl; raises PicaptionError if it fails."""
    result = subprocess.run(["systemctl", *arguments], capture_output=True, text=True)
    if result.returncode:
        reason = result.stderr.strip() or result.returncode
        raise PicaptionError(f"systemctl {' '.join(arguments)} failed: {reason}")


def _write(path: Path, text: str) -> None:
    """Write a text file atomically; raises PicaptionError if that fails."""
    try:
        write_text(path, text)
    except OSError as error:
        raise PicaptionError(f"{path} cannot be written ({error.strerror})") from None


def _write_first_settings(path: Path) -> None:
    """Write settings that only root and the service's group may read: they may hold passwords."""
    _write(path, FIRST_SETTINGS)
    # There may be no such group, and in a test this is not root.
    with contextlib.suppress(LookupError, PermissionError):
        shutil.chown(path, group="video")
        path.chmod(0o640)


def _is_our_unit(path: Path) -> bool | None:
    """Return whether the file at `path` is a unit of ours; None if there is none."""
    try:
        return path.read_text(encoding="utf-8").startswith(MARK)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return False


@click.group()
def service() -> None:
    """Run picaption live as a systemd service."""


@service.command("install")
@click.option(
    "--config",
    "settings",
    type=PathType(path_type=Path),
    default=SETTINGS,
    show_default=True,
    metavar="FILE",
    help="The service's file of settings; a first one is written if there is none.",
)
@click.option("--force", is_flag=True, help=f"Replace a {UNIT} that is not ours.")
def install_command(settings: Path, force: bool) -> None:
    """Install the service and start it.

    It starts with the system from then on.
    """
    path = UNITS / UNIT
    settings = settings.absolute()
    need_systemd()
    options = ["--force"] if force else []
    need_root(path, "install", "--config", settings, *options)
    if _is_our_unit(path) is False and not force:
        raise PicaptionError(f"{path} is there and not ours; --force replaces it")
    program = program_path()
    text = unit_text(program, settings)
    if settings.exists():
        load_config({}, settings)
    else:
        _write_first_settings(settings)
    _warn_of_closed_folders(program, Path(sys.executable).resolve(), settings)
    _write(path, text)
    systemctl("daemon-reload")
    systemctl("enable", UNIT)
    systemctl("restart", UNIT)
    say(
        f"{path}: written, enabled and started; its settings are in {settings}",
        "picaption service status, or logs --follow, tells how it does",
    )


def _warn_of_closed_folders(*paths: Path) -> None:
    """Print which folders the service's user may not enter, though it needs what is in them."""
    folders = dict.fromkeys(first_closed_folder(path) for path in paths)
    for folder in folders:
        if folder:
            say(
                f"picaption: the service's own user may not enter {folder}, which it needs: "
                f"sudo chmod o+x {shlex.quote(str(folder))}",
                err=True,
            )


@service.command("status")
def status_command() -> None:
    """Show the service's status."""
    _become("systemctl", "status", "--no-pager", UNIT)


@service.command("logs")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is to come.")
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(1),
    default=50,
    show_default=True,
    metavar="N",
    help="How many lines.",
)
def logs_command(follow: bool, lines: int) -> None:
    """Show the service's log."""
    options = ["--follow"] if follow else []
    _become("journalctl", "--unit", UNIT, "--no-pager", f"--lines={lines}", *options)


@service.command("remove")
def remove_command() -> None:
    """Stop the service and remove its unit.

    Its settings and what it wrote stay.
    """
    path = UNITS / UNIT
    need_systemd()
    is_ours = _is_our_unit(path)
    if is_ours is None:
        raise PicaptionError(f"there is no {path}: nothing to remove")
    if not is_ours:
        raise PicaptionError(f"{path} is not ours; remove it by hand")
    need_root(path, "remove")
    systemctl("disable", "--now", UNIT)
    path.unlink()
    systemctl("daemon-reload")
    say(f"{path}: stopped and removed; {SETTINGS} and /var/lib/picaption are left as they are")


def _become(name: str, *arguments: str) -> NoReturn:
    """Replace this process by the program `name`.

    Raises PicaptionError if it is missing, or systemd does not run this machine.
    """
    need_systemd()
    program = shutil.which(name)
    if not program:
        raise PicaptionError(f"there is no {name} here: sudo apt install systemd")
    sys.stdout.flush()
    os.execv(program, [name, *arguments])
