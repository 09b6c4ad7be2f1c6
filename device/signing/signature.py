"""Signatures of files, each in a file of its own beside it: cat.tflite.sig of cat.tflite.

It is JSON in one spelling, with the file's size and SHA-256, the day, the key's id, and the Ed25519
signature (RFC 8032) of all that. So files of any size are signed without being held in memory.
"""

import hashlib
import shutil
from pathlib import Path
from typing import Any

from ..atomic import read_file, write_bytes
from ..errors import PicaptionError
from .canonical import canonical_bytes, decode_base64, encode_base64, parse_canonical
from .keys import SIGNATURE_BYTES, KeyRing, PrivateKey, key_id, today

FORMAT = "picaption signature 1"
#: What stands behind a file's name in that of its signature.
SUFFIX = ".sig"
#: Bytes of a signature's file at most.
MAX_BYTES = 1024


def signature_path(path: str | Path) -> Path:
    """Return where the signature of a file is."""
    return Path(f"{path}{SUFFIX}")


def sign_digest(private: PrivateKey, sha256: str, size: int) -> bytes:
    """Return the bytes of a signature's file.

    Args:
        private: The key that signs.
        sha256: The file's SHA-256, as hexadecimal digits.
        size: Its bytes.
    """
    fields: dict[str, Any] = {
        "format": FORMAT,
        "key": key_id(private.public),
        "sha256": sha256,
        "signed": today(),
        "size": size,
    }
    signature = private.sign(canonical_bytes(fields))
    return canonical_bytes({**fields, "signature": encode_base64(signature)})


def check_digest(ring: KeyRing, signature: bytes, sha256: str, size: int, what: str) -> None:
    """Check that a file of this hash and size is signed.

    Args:
        ring: The keys that are trusted.
        signature: The bytes of the signature's file.
        sha256: The file's SHA-256, as hexadecimal digits.
        size: Its bytes.
        what: What errors call the file.

    Raises:
        PicaptionError: It is not.
    """
    fields = parse_canonical(signature, f"{what}{SUFFIX}")
    if fields.get("format") != FORMAT:
        raise PicaptionError(
            f"{what}{SUFFIX}: it is not a signature; picaption fleet sign makes one"
        )
    value = decode_base64(fields.pop("signature", None), SIGNATURE_BYTES)
    ring.verify(fields.get("key"), value, canonical_bytes(fields), what)
    if (fields.get("sha256"), fields.get("size")) != (sha256, size):
        raise PicaptionError(
            f"{what}: it is not the file that was signed: it was altered; copy it again"
        )


def sign_file(path: Path, private: PrivateKey) -> Path:
    """Write the signature of a file beside it; return its path.

    Raises:
        PicaptionError: The file cannot be read, or the signature not written.
    """
    target = signature_path(path)
    sha256, size = file_digest(path)
    try:
        write_bytes(target, sign_digest(private, sha256, size))
    except OSError as error:
        raise PicaptionError(f"{target} cannot be written ({error.strerror})") from None
    return target


def check_file(path: str | Path, ring: KeyRing) -> None:
    """Raise PicaptionError unless a file has a signature of the ring beside it."""
    sha256, size = file_digest(path)
    check_digest(ring, read_signature(path), sha256, size, f"{path}")


def checked_copy(path: Path, ring: KeyRing, folder: Path) -> Path:
    """Copy a signed file, and return the copy's path: what was checked is then what is used.

    Args:
        path: The file, its signature beside it. Others may be able to write there.
        ring: The keys that are trusted.
        folder: Where the copy goes; nobody else may write there.

    Raises:
        PicaptionError: It is not signed by a key of the ring, or cannot be copied.
    """
    signature = read_signature(path)
    _require_file(path)
    copy = folder / path.name
    try:
        shutil.copyfile(path, copy)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be copied to {folder}: {error.strerror}") from None
    sha256, size = file_digest(copy)
    check_digest(ring, signature, sha256, size, f"{path}")
    return copy


def check_data(data: bytes, path: str | Path, ring: KeyRing) -> None:
    """Raise PicaptionError unless a file's bytes, read from `path`, have a signature there."""
    digest = hashlib.sha256(data).hexdigest()
    check_digest(ring, read_signature(path), digest, len(data), f"{path}")


def read_signature(path: str | Path) -> bytes:
    """Return the signature beside a file.

    Raises:
        PicaptionError: There is none that can be read.
    """
    try:
        return read_file(signature_path(path), MAX_BYTES)
    except FileNotFoundError:
        raise PicaptionError(
            f"{path}: it is not signed, and public_keys is set: put {signature_path(path).name} "
            "beside it, which picaption fleet sign makes"
        ) from None
    except OSError as error:
        raise PicaptionError(f"{signature_path(path)}: cannot be read: {error.strerror}") from None


def file_digest(path: str | Path) -> tuple[str, int]:
    """Return a file's SHA-256, as hexadecimal digits, and its size in bytes.

    Raises:
        PicaptionError: It cannot be read.
    """
    _require_file(path)
    try:
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            return sha256, file.tell()
    except OSError as error:
        raise PicaptionError(f"{path}: cannot be read: {error.strerror}; check the path") from None


def _require_file(path: str | Path) -> None:
    """Raise PicaptionError if something else than a file is there; it may be missing."""
    if Path(path).exists() and not Path(path).is_file():
        raise PicaptionError(f"{path}: it is not a file; give a file's path")
