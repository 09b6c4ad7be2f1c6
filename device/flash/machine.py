"""How a Pi is to be set up, checked before anything is written."""

import re
import zoneinfo
from dataclasses import dataclass
from difflib import get_close_matches

from device.errors import PicaptionError


@dataclass(frozen=True)
class Wifi:
    """A wireless network: its name, its key (see device.flash.secret), and the country it is in, such as "DE"."""

    ssid: str
    key: str
    country: str


@dataclass(frozen=True)
class Machine:
    """A Pi's host name, its user, whose password is hashed as crypt(5) has it, time zone and network; what is empty stays as the
    card has it."""

    hostname: str = ""
    user: str = ""
    password: str = ""
    ssh_keys: tuple[str, ...] = ()
    timezone: str = ""
    wifi: Wifi | None = None


def check(machine):
    """Raise PicaptionError where a Machine cannot be as it says."""
    if machine.hostname and not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", machine.hostname):
        raise PicaptionError(f"--hostname {machine.hostname!r}: letters, digits and hyphens, at most 63, no hyphen at an end")
    if machine.user and (not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", machine.user) or machine.user == "root"):
        raise PicaptionError(f"--user {machine.user!r}: lower-case letters, digits, hyphens, at most 32; and not root")
    if machine.user and not (machine.password or machine.ssh_keys):
        raise PicaptionError(f"--user {machine.user}: give --password or --ssh-key too, or nobody can log in")
    if not machine.user and (machine.password or machine.ssh_keys):
        raise PicaptionError("--password and --ssh-key need --user, whose they are")
    zones = zoneinfo.available_timezones()
    if machine.timezone and zones and machine.timezone not in zones:
        near = "".join(f"; did you mean {zone}?" for zone in get_close_matches(machine.timezone, zones, 1))
        raise PicaptionError(f"--timezone {machine.timezone!r}: no such time zone{near or ', give one such as Europe/Berlin'}")
    if machine.wifi and not re.fullmatch(r"[A-Z]{2}", machine.wifi.country):
        raise PicaptionError("--wifi needs --country, two letters such as DE: which channels are allowed depends on it")


def read_ssh_keys(path):
    """Return the public keys in a file, a line each; raises PicaptionError where it holds none, or a private one."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise PicaptionError(f"--ssh-key {path}: cannot be read ({error})") from None
    if any("PRIVATE KEY" in line for line in lines):
        raise PicaptionError(f"--ssh-key {path}: a private key, which belongs on no card: give {path}.pub")
    keys = [line for line in lines if line and not line.startswith("#")]
    kind = r"(ssh-(rsa|ed25519)|ecdsa-sha2-nistp\d+|sk-(ssh|ecdsa)-[a-z0-9@.-]+) [A-Za-z0-9+/]+=*( .*)?"
    if not keys or not all(re.fullmatch(kind, key) and key.isprintable() for key in keys):
        raise PicaptionError(f"--ssh-key {path}: no public keys of SSH in it; give a file such as ~/.ssh/id_ed25519.pub")
    return tuple(keys)
