"""How a Pi is to be set up, checked before anything is written; no secret stands on a card as it was typed."""

import hashlib
import re
import subprocess
import sys
import zoneinfo
from dataclasses import dataclass
from difflib import get_close_matches

import click

from ..errors import PicaptionError


@dataclass(frozen=True)
class Wifi:
    """A wireless network: its name, its key (see wifi_key), and the country it is in, such as "DE"."""

    ssid: str
    key: str
    country: str


@dataclass(frozen=True)
class Machine:
    """A Pi's host name, its user, time zone and network; what is empty stays as the card has it.

    The password is the one that was typed until picaption.device.flash.prepare has hashed it.
    """

    hostname: str = ""
    user: str = ""
    password: str = ""
    ssh_keys: tuple[str, ...] = ()
    timezone: str = ""
    wifi: Wifi | None = None


def check(machine, with_password=False):
    """Raise PicaptionError where a Machine, which may get a password later, cannot be as it says."""
    if machine.hostname and not re.fullmatch(
        r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", machine.hostname
    ):
        raise PicaptionError(
            f"--hostname {machine.hostname!r}: letters, digits and hyphens, at most 63, no hyphen at an end"
        )
    if machine.user and (
        not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", machine.user) or machine.user == "root"
    ):
        raise PicaptionError(
            f"--user {machine.user!r}: lower-case letters, digits, hyphens, at most 32; and not root"
        )
    if machine.user and not (with_password or machine.ssh_keys):
        raise PicaptionError(
            f"--user {machine.user}: give --password or --ssh-key too, or nobody can log in"
        )
    if not machine.user and (with_password or machine.ssh_keys):
        raise PicaptionError("--password and --ssh-key need --user, whose they are")
    zones = zoneinfo.available_timezones()
    if (
        machine.timezone and zones and machine.timezone not in zones
    ):  # some systems have no list of them
        near = "".join(
            f"; did you mean {zone}?" for zone in get_close_matches(machine.timezone, zones, 1)
        )
        raise PicaptionError(
            f"--timezone {machine.timezone!r}: no such time zone{near or ', give one such as Europe/Berlin'}"
        )


def check_wifi(ssid, country):
    """Raise PicaptionError where no wireless network can be called so, or its country is not told."""
    if country and not ssid:
        raise PicaptionError("--country is for --wifi, which names the network")
    if ssid and not 1 <= len(ssid.encode()) <= 32:
        raise PicaptionError(f"--wifi {ssid!r}: a network's name has 1 to 32 bytes")
    if ssid and not re.fullmatch(r"[A-Z]{2}", country):
        raise PicaptionError(
            "--wifi needs --country, two letters such as DE: which channels are allowed depends on it"
        )


def read_ssh_keys(path):
    """Return the public keys in a file, a line each; raises PicaptionError where it holds none, or a private one."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise PicaptionError(f"--ssh-key {path}: cannot be read ({error})") from None
    if any("PRIVATE KEY" in line for line in lines):
        raise PicaptionError(
            f"--ssh-key {path}: a private key, which belongs on no card: give {path}.pub"
        )
    keys = [line for line in lines if line and not line.startswith("#")]
    kind = r"(ssh-(rsa|ed25519)|ecdsa-sha2-nistp\d+|sk-(ssh|ecdsa)-[a-z0-9@.-]+) [A-Za-z0-9+/]+=*( .*)?"
    if not keys or not all(re.fullmatch(kind, key) and key.isprintable() for key in keys):
        raise PicaptionError(
            f"--ssh-key {path}: no public keys of SSH in it; give a file such as ~/.ssh/id_ed25519.pub"
        )
    return tuple(keys)


def ask(what):
    """Return a secret: typed twice, unseen, on a terminal; otherwise the next line of standard input.

    Raises PicaptionError where there is none.
    """
    if sys.stdin.isatty():
        return click.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise PicaptionError(
            f"no {what.lower()} on standard input: give it on a line of its own, or call this on a terminal"
        )
    return line


def hash_password(password, there=""):
    """Return a password as crypt(5) hashes it, by SHA-512: as the text `there` has it, if it is in there.

    Raises PicaptionError where openssl, which does it, is lacking or does not know how.
    """
    for before, salt in re.findall(r"(\$6\$([./0-9A-Za-z]{1,16})\$[./0-9A-Za-z]{86})", there):
        if _hashed(password, "-salt", salt) == before:
            return before
    return _hashed(password)


def _hashed(password, *salt):
    try:
        done = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin", *salt],
            input=password + "\n",
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise PicaptionError(
            "there is no openssl here to hash the password: sudo apt install openssl, or give --ssh-key"
        ) from None
    if done.returncode or not done.stdout.startswith("$6$"):
        raise PicaptionError(
            f"openssl cannot hash the password ({done.stderr.strip()}); install OpenSSL 1.1.1 or later, or give "
            "--ssh-key"
        )
    return done.stdout.strip()


def wifi_key(ssid, passphrase):
    """Return the key of a WPA network, 64 hexadecimal digits, or the passphrase if it is one; raises PicaptionError for what is
    neither."""
    if re.fullmatch(r"[0-9A-Fa-f]{64}", passphrase):
        return passphrase.lower()
    if not re.fullmatch(r"[ -~]{8,63}", passphrase):
        raise PicaptionError("the Wi-Fi passphrase has 8 to 63 characters, all of them of ASCII")
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), 4096, 32).hex()
