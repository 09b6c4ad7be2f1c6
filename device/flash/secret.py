"""What is asked for and never stands on a card as it was typed: a password, hashed, and a network's key in place of its passphrase."""

import hashlib
import re
import subprocess
import sys

import click

from device.errors import PicaptionError
from device.flash.card import FOLDER


def ask(what):
    """Return a secret: typed twice, unseen, on a terminal; otherwise the next line of standard input.

    Raises PicaptionError where there is none.
    """
    if sys.stdin.isatty():
        return click.prompt(what, hide_input=True, confirmation_prompt=True, err=True)
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise PicaptionError(f"no {what.lower()} on standard input: give it on a line of its own, or call this on a terminal")
    return line


def hash_password(password, boot):
    """Return a password as crypt(5) hashes it, by SHA-512: as the files of an earlier call on a boot partition have it, if it is
    the same.

    Raises PicaptionError where openssl, which does it, is lacking or does not know how.
    """
    there = b"".join(boot.read(name) or b"" for name in ("user-data", f"{FOLDER}/firstrun.sh")).decode(errors="replace")
    for before, salt in re.findall(r"(\$6\$([./0-9A-Za-z]{1,16})\$[./0-9A-Za-z]{86})", there):
        if _hashed(password, "-salt", salt) == before:
            return before
    return _hashed(password)


def _hashed(password, *salt):
    try:
        done = subprocess.run(["openssl", "passwd", "-6", "-stdin", *salt], input=password + "\n", capture_output=True, text=True)
    except FileNotFoundError:
        raise PicaptionError("there is no openssl here to hash the password: sudo apt install openssl, or give --ssh-key") from None
    if done.returncode or not done.stdout.startswith("$6$"):
        raise PicaptionError(f"openssl cannot hash the password ({done.stderr.strip()}); install OpenSSL 1.1.1 or later, or give "
                             "--ssh-key")
    return done.stdout.strip()


def wifi_key(ssid, passphrase):
    """Return the key of a WPA network, 64 hexadecimal digits; raises PicaptionError for what is no name or passphrase of one."""
    if not 1 <= len(ssid.encode()) <= 32:
        raise PicaptionError(f"--wifi {ssid!r}: a network's name has 1 to 32 bytes")
    if re.fullmatch(r"[0-9A-Fa-f]{64}", passphrase):
        return passphrase.lower()
    if not re.fullmatch(r"[ -~]{8,63}", passphrase):
        raise PicaptionError("the Wi-Fi passphrase has 8 to 63 characters, all of them of ASCII")
    return hashlib.pbkdf2_hmac("sha1", passphrase.encode(), ssid.encode(), 4096, 32).hex()
