"""Addresses of cameras and servers: what is wrong with one, and how to show it without a secret."""

import re
from urllib.parse import urlsplit

from .errors import PicaptionError

#: The schemes of the streams that OpenCV's FFmpeg reads.
STREAM_SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "udp", "tcp", "rtp", "srt")
#: Those that may listen, and then have no host: udp://:1234.
_LISTENING_SCHEMES = ("udp", "tcp", "rtp", "srt")

#: A host name, an IPv4 address, or an IPv6 address in brackets; and a port.
_HOST = re.compile(r"(?P<name>\[[\da-fA-F:.]+(?:%\w+)?\]|[^\[\]:]*)(?::(?P<port>\d{0,5}))?")
_PASSWORD_HINT = (
    "in a user name or password write / as %2F, ? as %3F, # as %23, [ as %5B, ] as %5D "
    "and a space as %20"
)


def scheme_of(address: str) -> str:
    """Return the scheme of an address in small letters: "rtsp" of "RTSP://..."; "" without one."""
    match = re.match(r"([a-z][a-z\d+.-]*)://", address, re.IGNORECASE)
    return match[1].lower() if match else ""


def without_secrets(address: str) -> str:
    """Return an address to show: without user and password, query and fragment.

    What stands before the last @ is left out, also where the password has characters in it that
    should be escaped. A text that is no address is returned as it is.
    """
    if not scheme_of(address):
        return address
    scheme, _, rest = address.partition("://")
    rest = rest.rpartition("@")[2]
    return f"{scheme}://{re.split('[?#]', rest, maxsplit=1)[0]}"


def check_address(address: str) -> None:
    """Check that an address with a scheme can be one.

    Raises:
        PicaptionError: It cannot; a password in it is not repeated.
    """
    shown = without_secrets(address)
    scheme, _, rest = address.partition("://")
    authority = re.split("[/?#]", rest, maxsplit=1)[0]
    login, _, host = authority.rpartition("@")
    match = _HOST.fullmatch(host)
    is_cut_short = match is None and "@" in rest[len(authority) :]
    if re.search(r"[\[\]\s]", login) or is_cut_short:
        raise PicaptionError(f"{shown}: no address: {_PASSWORD_HINT}")
    if not re.fullmatch("[^\x00-\x20\x7f\ud800-\udfff]+", address):
        raise PicaptionError(
            f"{shown!r}: no address: it has a space, a control character or bytes that are not "
            "UTF-8; write a space as %20"
        )
    is_host_missing = match and not match["name"] and scheme_of(address) not in _LISTENING_SCHEMES
    if match is None or is_host_missing or int(match["port"] or 1) not in range(1, 65536):
        raise PicaptionError(
            f"{shown}: no address: write it as {scheme}://HOST or {scheme}://HOST:PORT, "
            f"an IPv6 address in brackets; {_PASSWORD_HINT}"
        )
    try:
        urlsplit(address)
    except ValueError:  # letters of Unicode that stand for a / or an @
        raise PicaptionError(f"{shown}: no address: its host is not a name; check it") from None
