"""How a Pi is set up, checked before anything is written; no secret reaches a card as typed."""

import hashlib
import re
import subprocess
import sys
import zoneinfo
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import click

from ..atomic import read_text
from ..errors import PicaptionError

_PUBLIC_KEY = (
    r"(ssh-(rsa|ed25519)|ecdsa-sha2-nistp\d+|sk-(ssh|ecdsa)-[a-z0-9@.-]+) [A-Za-z0-9+/]+=*( .*)?"
)
#: A password as crypt(5) hashes it by SHA-512, and its salt.
_SHA512_CRYPT = r"(\$6\$([./0-9A-Za-z]{1,16})\$[./0-9A-Za-z]{86})"
#: How often WPA hashes a passphrase (IEEE 802.11i, H.4).
_WPA_ITERATIONS = 4096
_WPA_KEY_BYTES = 32


@dataclass(frozen=True)
class Wifi:
    """A wireless network: its name, its key (see wifi_key), and its country, such as "DE"."""

    ssid: str
    key: str
    country: str


@dataclass(frozen=True)
class Machine:
    """A Pi's host name, user, time zone and network; what is empty stays as the card has it.

    The password is as typed until picaption.device.flash.prepare hashes it.
    """

    hostname: str = ""
    user: str = ""
    password: str = ""
    ssh_keys: tuple[str, ...] = ()
    timezone: str = ""
    wifi: Wifi | None = None


def check(machine: Machine, with_password: bool = False) -> None:
    """Raise PicaptionError if a Machine, which may get a password later, is not possible."""
    if machine.hostname:
        _check_hostname(machine.hostname)
    _check_user(machine, with_password)
    if machine.timezone:
        _check_timezone(machine.timezone)


def _check_hostname(hostname: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?", hostname):
        raise PicaptionError(
            f"--hostname {hostname!r}: letters, digits and hyphens, at most 63, no hyphen at an end"
        )


def _check_user(machine: Machine, with_password: bool) -> None:
    user = machine.user
    has_login = with_password or bool(machine.ssh_keys)
    if user and (user == "root" or not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", user)):
        raise PicaptionError(
            f"--user {user!r}: lower-case letters, digits, hyphens, at most 32; and not root"
        )
    if user and not has_login:
        raise PicaptionError(
            f"--user {user}: give --password or --ssh-key too, or nobody can log in"
        )
    if has_login and not user:
        raise PicaptionError("--password and --ssh-key need --user, whose they are")


def _check_timezone(timezone: str) -> None:
    zones = zoneinfo.available_timezones()
    # Some systems have no list of them.
    if not zones or timezone in zones:
        return
    advice = ", give one such as Europe/Berlin"
    if matches := get_close_matches(timezone, zones, 1):
        advice = f"; did you mean {matches[0]}?"
    raise PicaptionError(f"--timezone {timezone!r}: no such time zone{advice}")


#: Codes that are often taken for a country's.
_MISTAKEN = {"UK": "GB", "EN": "GB", "EL": "GR", "SP": "ES", "SW": "SE", "JA": "JP"}


def check_wifi(ssid: str | None, country: str) -> None:
    """Raise PicaptionError if no wireless network has such a name, or it has no country."""
    if not ssid:
        if country:
            raise PicaptionError("--country is for --wifi, which names the network")
        return
    if len(ssid.encode()) > 32:
        raise PicaptionError(f"--wifi {ssid!r}: a network's name has 1 to 32 bytes")
    if not re.fullmatch(r"[A-Z]{2}", country):
        raise PicaptionError(
            "--wifi needs --country, two letters such as DE: which channels are allowed depends on "
            "it"
        )
    countries = _countries()
    if countries and country not in countries:
        advice = f"; did you mean {_MISTAKEN[country]}?" if country in _MISTAKEN else ""
        raise PicaptionError(
            f"--country {country}: no country of ISO 3166 has this code, and without one the Pi's "
            f"Wi-Fi stays off{advice}"
        )


def _countries() -> set[str]:
    """Return the codes of all countries, from the time zone database; none where it is missing."""
    for folder in zoneinfo.TZPATH:
        try:
            lines = Path(folder, "iso3166.tab").read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        return {line.split("\t")[0] for line in lines if line and not line.startswith("#")}
    return set()


def read_ssh_keys(path: Path) -> tuple[str, ...]:
    """Return the public keys in a file, one a line.

    Raises PicaptionError if it holds none, or a private one.
    """
    try:
        lines = [line.strip() for line in read_text(path).splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise PicaptionError(f"--ssh-key {path}: cannot be read ({error})") from None
    if any("PRIVATE KEY" in line for line in lines):
        raise PicaptionError(
            f"--ssh-key {path}: a private key, which belongs on no card: give {path}.pub"
        )
    keys = [line for line in lines if line and not line.startswith("#")]
    if not keys or not all(re.fullmatch(_PUBLIC_KEY, key) and key.isprintable() for key in keys):
        raise PicaptionError(
            f"--ssh-key {path}: no public keys of SSH in it; give a file such as "
            "~/.ssh/id_ed25519.pub"
        )
    return tuple(keys)


def ask(label: str) -> str:
    """Return a secret: typed twice, hidden, on a terminal; else the next line of standard input.

    Raises PicaptionError if that line is empty or missing.
    """
    if sys.stdin.isatty():
        return click.prompt(label, hide_input=True, confirmation_prompt=True, err=True)
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise PicaptionError(
            f"no {label.lower()} on standard input: give it on a line of its own, or call this on "
            "a terminal"
        )
    return line


def hash_password(password: str, earlier_text: str = "") -> str:
    """Return a password as crypt(5) hashes it by SHA-512.

    Args:
        password: the password as typed.
        earlier_text: text that may hold a hash of the same password, which is then returned: a
            card that is prepared twice stays the same.

    Raises:
        PicaptionError: openssl, which hashes it, is missing or too old.
    """
    for earlier_hash, salt in re.findall(_SHA512_CRYPT, earlier_text):
        if _openssl_hash(password, "-salt", salt) == earlier_hash:
            return earlier_hash
    return _openssl_hash(password)


def _openssl_hash(password: str, *salt: str) -> str:
    try:
        result = subprocess.run(
            ["openssl", "passwd", "-6", "-stdin", *salt],
            input=password + "\n",
            capture_output=True,
            text=True,
        )
    except FileNotFoundError:
        raise PicaptionError(
            "there is no openssl here to hash the password: sudo apt install openssl, or give "
            "--ssh-key"
        ) from None
    if result.returncode or not result.stdout.startswith("$6$"):
        raise PicaptionError(
            f"openssl cannot hash the password ({result.stderr.strip()}); install OpenSSL 1.1.1 or "
            "later, or give --ssh-key"
        )
    return result.stdout.strip()


def wifi_key(ssid: str, passphrase: str) -> str:
    """Return the key of a WPA network, 64 hexadecimal digits; a passphrase may be one already.

    PBKDF2 of the passphrase, salted with the network's name (IEEE 802.11i, H.4). Raises
    PicaptionError for what is neither a key nor a passphrase.
    """
    if re.fullmatch(r"[0-9A-Fa-f]{64}", passphrase):
        return passphrase.lower()
    if not re.fullmatch(r"[ -~]{8,63}", passphrase):
        raise PicaptionError("the Wi-Fi passphrase has 8 to 63 characters, all of them of ASCII")
    key = hashlib.pbkdf2_hmac(
        "sha1", passphrase.encode(), ssid.encode(), _WPA_ITERATIONS, _WPA_KEY_BYTES
    )
    return key.hex()
