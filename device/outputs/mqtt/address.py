"""Where a broker is, and whom an encrypted connection trusts."""

import re
import ssl
from typing import NamedTuple

from ...errors import PicaptionError

#: The ports of MQTT without and with TLS.
PORT = 1883
TLS_PORT = 8883

_ADDRESS = re.compile(
    r"(?:(mqtts?)://)?(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?/?", re.ASCII | re.IGNORECASE
)


class Address(NamedTuple):
    """Where a broker is, and whether the connection is encrypted."""

    host: str
    port: int
    tls: bool


def parse_address(text: str) -> Address:
    """Return the Address of HOST, HOST:PORT, [IPv6]:PORT, mqtt:// or mqtts://HOST[:PORT].

    Raises:
        PicaptionError: It is anything else; a password in it is not repeated.
    """
    if "@" in text:
        raise PicaptionError(
            "mqtt: no user or password in the address, please: set mqtt_user and mqtt_password"
        )
    match = _ADDRESS.fullmatch(text)
    if not match or (match[4] and not 1 <= int(match[4]) <= 65535):
        raise PicaptionError(
            f"mqtt = {text!r}: write it as HOST, HOST:PORT, [IPv6]:PORT or mqtts://HOST"
        )
    tls = (match[1] or "").lower() == "mqtts"
    default_port = TLS_PORT if tls else PORT
    return Address(match[2] or match[3], int(match[4] or default_port), tls)


def tls_context(authority: str) -> ssl.SSLContext:
    """Return a context that trusts the authority at that path, "" for the system's."""
    try:
        return ssl.create_default_context(cafile=authority or None)
    except ssl.SSLError:
        raise PicaptionError(
            f"mqtt_ca: {authority} holds no certificate; it is to be a PEM file"
        ) from None
    except OSError as error:
        raise PicaptionError(f"mqtt_ca: {authority} cannot be read: {error.strerror}") from None
