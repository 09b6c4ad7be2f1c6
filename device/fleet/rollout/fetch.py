"""Fetches a file that a manifest names: of the schemes that the settings allow, and bounded."""

import hashlib
import os
import time
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException
from pathlib import Path
from typing import IO, Any
from urllib.error import URLError
from urllib.parse import unquote, urlsplit

from ...addresses import scheme_of, without_secrets
from ...atomic import atomic_write
from ...errors import PicaptionError, TemporaryError

#: Seconds that a server may be silent, and that a file may take in all.
SILENCE_SECONDS = 20.0
FETCH_SECONDS = 1800.0
_CHUNK_BYTES = 1 << 16


class _SameScheme(urllib.request.HTTPRedirectHandler):
    """Follows redirects to the schemes that are allowed only."""

    def __init__(self, schemes: Sequence[str]) -> None:
        self._schemes = schemes

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """Return the request of a redirect; raises PicaptionError for another scheme."""
        need_scheme(newurl, [scheme for scheme in self._schemes if scheme != "file"])
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def need_scheme(url: str, schemes: Sequence[str]) -> None:
    """Raise PicaptionError unless an address has one of these schemes."""
    if scheme_of(url) not in schemes:
        raise PicaptionError(
            f"{without_secrets(url)}: only {', '.join(schemes)} is taken here (fleet_schemes)"
        )


def fetch(
    url: str,
    target: Path,
    sha256: str,
    size: int,
    schemes: Sequence[str],
    is_closing: Callable[[], bool] = bool,
) -> None:
    """Write the file at an address to a path, completely or not at all.

    Args:
        url: The address.
        target: The path.
        sha256: The file's SHA-256, as hexadecimal digits.
        size: Its bytes.
        schemes: The schemes that are allowed.
        is_closing: Returns whether to give up.

    Raises:
        TemporaryError: It cannot be fetched now.
        PicaptionError: It is not what it should be.
    """
    need_scheme(url, schemes)
    shown = without_secrets(url)
    try:
        with atomic_write(target) as partial, _open(url, schemes) as source:
            with open(partial, "wb") as file:
                actual = _copy(source, file, size, is_closing)
                file.flush()
                os.fsync(file.fileno())
            if actual != (sha256, size):
                raise PicaptionError(
                    f"{shown}: it is not the file that was rolled out: it was altered; refused"
                )
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        raise TemporaryError(f"{shown}: cannot be fetched: {reason}") from None


def _open(url: str, schemes: Sequence[str]) -> IO[bytes]:
    if scheme_of(url) == "file":
        path = Path(unquote(urlsplit(url).path))
        if not path.is_file():
            raise FileNotFoundError(f"there is no file {path}")
        return open(path, "rb")
    # Without proxies' and users' own settings; file:// has no handler here.
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPDefaultErrorHandler(),
        _SameScheme(schemes),
    ):
        opener.add_handler(handler)
    return opener.open(url, timeout=SILENCE_SECONDS)


def _copy(
    source: IO[bytes], target: IO[bytes], size: int, is_closing: Callable[[], bool]
) -> tuple[str, int]:
    """Copy so many bytes, or one piece more; return their SHA-256, and how many they are."""
    digest = hashlib.sha256()
    end = time.monotonic() + FETCH_SECONDS
    copied = 0
    while chunk := source.read(_CHUNK_BYTES):
        copied += len(chunk)
        if copied > size:
            break
        if time.monotonic() > end or is_closing():
            raise TimeoutError("it takes too long")
        digest.update(chunk)
        target.write(chunk)
    return digest.hexdigest(), copied
