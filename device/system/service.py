"""`picaption service`: the live loop as a service of systemd, hardened, watched, and started again when it fails."""

import contextlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import click

from ..config.settings import NAME
from ..config.toml import load_config
from ..errors import PicaptionError

UNIT = "picaption.service"
#: Where the service's settings are.
SETTINGS = Path("/etc", NAME)
UNITS = Path("/etc/systemd/system")
#: Is there where systemd started the machine (sd_booted(3)).
BOOTED = Path("/run/systemd/system")
#: The first line of a unit of ours; another one is not written over.
MARK = "# Written by `picaption service install`."

#: What the service begins with where there is no file of settings.
FIRST_SETTINGS = """\
# Settings of the service: `picaption config --config /etc/picaption.toml` shows all, `sudo systemctl reload picaption` has them
# read anew.
source = "auto"
# json = "/var/lib/picaption/said.jsonl"
# json_megabytes = 10
# web = true
"""


def unit(program, settings):
    """Return the text of a systemd unit that runs the `picaption` at the path `program` with the file of `settings`.

    Exit code 2, settings that are not valid, is not tried again; anything else is, for ever. It waits neither for the network nor
    for the time, which may come late or never, and counts as started with its first result. It may reach cameras (video, media,
    and the memory that libcamera shares with them) and the network, and write to /var/lib/picaption.
    Raises PicaptionError where systemd takes no program of such a path.
    """
    if any(
        letter in str(program) for letter in "\"'\\$"
    ):  # systemd refuses the first three, and takes $$ here for what it is
        raise PicaptionError(
            f"systemd runs no program at {program}: install picaption at a path without quotes, backslashes and "
            "dollars"
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
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def quoted(path):
    """Return `path` as one word of a systemd command line (systemd.service(5), "COMMAND LINES"; systemd.syntax(7)).

    Raises PicaptionError where a unit cannot hold it.
    """
    text = str(path)
    if not text.isprintable():  # neither are bytes that are no UTF-8
        raise PicaptionError(
            f"{text!r} cannot stand in a systemd unit; move it to a path of printable characters"
        )
    text = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{text}"' if any(letter in " '\"\\;#" for letter in text) or not text else text


def program():
    """Return the absolute path of this installation's `picaption`; raises PicaptionError where there is none."""
    found = shutil.which(
        Path(sys.argv[0]).name, path=str(Path(sys.executable).parent)
    ) or shutil.which("picaption")
    if not found or Path(found).name != "picaption":
        raise PicaptionError(
            "the command picaption is not installed beside this Python: pip install picaption there first"
        )
    return Path(found).absolute()


def closed(path):
    """Return the first folder on the way to `path` that the service's own user may not enter, or None."""
    return next(
        (folder for folder in reversed(path.parents) if not folder.stat().st_mode & stat.S_IXOTH),
        None,
    )


def need_systemd():
    """Raise PicaptionError where systemd does not run this machine."""
    if not BOOTED.is_dir() or not shutil.which("systemctl"):
        raise PicaptionError(
            "systemd does not run this machine; start picaption live by whatever starts its services"
        )


def need_root(path, *command):
    """Raise PicaptionError, which tells how to run the `command` of `picaption service`, where `path` may not be changed."""
    if not os.access(path.parent, os.W_OK):
        line = shlex.join(map(str, ("sudo", program(), "service", *command)))
        raise PicaptionError(f"{path} may be changed by root only: {line}")


def systemctl(*arguments):
    """Run systemctl; raises PicaptionError where it fails."""
    done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True)
    if done.returncode:
        raise PicaptionError(
            f"systemctl {' '.join(arguments)} failed: {done.stderr.strip() or done.returncode}"
        )


def _write(path, text):
    """Write a text to `path`, whole or not at all; raises PicaptionError where that cannot be."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise PicaptionError(f"{path} cannot be written ({error.strerror})") from None


def _keep_secret(path):
    """Let root and the service's group alone read a file that may come to hold passwords."""
    with contextlib.suppress(
        LookupError, PermissionError
    ):  # no such group here; not root, in a test
        shutil.chown(path, group="video")
        path.chmod(0o640)


def _ours(path):
    """Return whether the file at `path` is a unit of ours; None where there is none."""
    try:
        return path.read_text(encoding="utf-8").startswith(MARK)
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return False


@click.group()
def service():
    """Run picaption live as a service, from the start of the system on."""


@service.command()
@click.option(
    "--config",
    "settings",
    type=click.Path(path_type=Path),
    default=SETTINGS,
    show_default=True,
    metavar="FILE",
    help="The service's file of settings; one to begin with is written where there is none.",
)
@click.option("--force", is_flag=True, help=f"Replace a {UNIT} that is not ours.")
def install(settings, force):
    """Write the unit, and start it now and with the system."""
    path, settings = UNITS / UNIT, settings.absolute()
    need_systemd()
    need_root(path, "install", "--config", settings, *["--force"] * force)
    if _ours(path) is False and not force:
        raise PicaptionError(f"{path} is there and not ours; --force replaces it")
    found = program()
    text = unit(found, settings)
    if settings.exists():
        load_config({}, settings)
    else:
        _write(settings, FIRST_SETTINGS)
        _keep_secret(settings)
    for folder in {
        closed(needed) for needed in (found, Path(sys.executable).resolve(), settings)
    } - {None}:
        print(
            f"picaption: the service's own user may not enter {folder}, which it needs: sudo chmod o+x "
            f"{shlex.quote(str(folder))}",
            file=sys.stderr,
        )
    _write(path, text)
    systemctl("daemon-reload")
    systemctl("enable", UNIT)
    systemctl("restart", UNIT)
    print(
        f"{path}: written, enabled and started; its settings are in {settings}\n"
        "picaption service status, or logs --follow, tells how it does"
    )


@service.command()
def status():
    """Show how the service does."""
    _become("systemctl", "status", "--no-pager", UNIT)


@service.command()
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
def logs(follow, lines):
    """Show the service's log."""
    _become(
        "journalctl",
        "--unit",
        UNIT,
        "--no-pager",
        f"--lines={lines}",
        *(["--follow"] if follow else []),
    )


@service.command()
def remove():
    """Stop the service and remove its unit; settings and what it wrote stay."""
    path = UNITS / UNIT
    need_systemd()
    ours = _ours(path)
    if ours is None:
        raise PicaptionError(f"there is no {path}: nothing to remove")
    if not ours:
        raise PicaptionError(f"{path} is not ours; remove it by hand")
    need_root(path, "remove")
    systemctl("disable", "--now", UNIT)
    path.unlink()
    systemctl("daemon-reload")
    print(f"{path}: stopped and removed; {SETTINGS} and /var/lib/picaption are left as they are")


def _become(name, *arguments):
    """Go on as the program `name`; raises PicaptionError where there is none, or systemd does not run this machine."""
    need_systemd()
    found = shutil.which(name)
    if not found:
        raise PicaptionError(f"there is no {name} here: sudo apt install systemd")
    sys.stdout.flush()
    os.execv(found, [name, *arguments])
