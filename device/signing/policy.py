"""Which bundles this process, and every child of it, may open: all, or only those that are signed.

It stands in the environment, which children inherit: those that answer requests, teach and search
open the live loop's bundle by themselves.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from ..atomic import read_file
from .keys import need_cryptography, read_ring
from .signature import check_data

#: The ring's path, and the folders of what this device has made itself.
KEYS_VARIABLE = "PICAPTION_PUBLIC_KEYS"
OWN_VARIABLE = "PICAPTION_OWN_BUNDLES"
#: Where a card's versions are: each has been checked on its way in, and root alone may write there.
INSTALLED = Path("/opt/picaption/versions")


def require_signatures(public_keys: str, own_folders: Sequence[str | Path] = ()) -> None:
    """Have this process and its children open signed bundles only.

    Args:
        public_keys: The path of the ring of trusted keys; empty: all bundles may be opened.
        own_folders: Where bundles lie that this device has taught itself.

    Raises:
        PicaptionError: The ring cannot be used.
    """
    if not public_keys:
        os.environ.pop(KEYS_VARIABLE, None)
        os.environ.pop(OWN_VARIABLE, None)
        return
    # Before it is read: with a ring that cannot be used no bundle is taken either.
    os.environ[KEYS_VARIABLE] = os.path.abspath(os.path.expanduser(public_keys))
    os.environ[OWN_VARIABLE] = os.pathsep.join(os.path.abspath(path) for path in own_folders)
    need_cryptography()
    read_ring(os.environ[KEYS_VARIABLE])


def need_signed_bundle(data: bytes, path: str | Path, shipped: Path | None) -> None:
    """Raise PicaptionError if only signed bundles may be opened, and one is not.

    What came with picaption, was installed by it or was taught here needs no signature.

    Args:
        data: The bundle's bytes.
        path: Where they were read.
        shipped: The path of the bundle that came with picaption.
    """
    keys = os.environ.get(KEYS_VARIABLE)
    if not keys:
        return
    real = Path(os.path.realpath(path))
    if _is_exempt(real, shipped) and _holds(real, data):
        return
    check_data(data, path, read_ring(keys))


def _is_exempt(real: Path, shipped: Path | None) -> bool:
    """Return whether what lies at a path without links needs no signature."""
    if shipped is not None and real == Path(os.path.realpath(shipped)):
        return True
    own = [folder for folder in os.environ.get(OWN_VARIABLE, "").split(os.pathsep) if folder]
    return any(real.is_relative_to(os.path.realpath(folder)) for folder in (*own, str(INSTALLED)))


def _holds(real: Path, data: bytes) -> bool:
    """Return whether a file holds these bytes: a link may have pointed elsewhere meanwhile."""
    try:
        return read_file(real) == data
    except OSError:
        return False
