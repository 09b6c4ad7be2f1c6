"""Keys: the private one of whoever signs, and the ring of public ones that devices trust."""

import contextlib
import hashlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..atomic import MAX_SETTINGS_BYTES, read_file, require_no_device, write_bytes
from ..errors import PicaptionError
from ..log import printable
from .canonical import canonical_bytes, decode_base64, encode_base64, parse_canonical

RING_FORMAT = "picaption key ring 1"
PRIVATE_FORMAT = "picaption private key 1"
#: Bytes of a key, and of a signature (RFC 8032, 5.1).
KEY_BYTES = 32
SIGNATURE_BYTES = 64
#: Hexadecimal digits of a key's id, the beginning of the SHA-256 of the public key.
ID_DIGITS = 16
#: Keys of a ring at most, and characters of a key's name.
MAX_KEYS = 100
MAX_NAME = 64
_MAX_SERIAL = 1 << 53


@dataclass(frozen=True)
class PublicKey:
    """A key by which signatures are checked.

    Attributes:
        public: Its 32 bytes.
        name: What its owner calls it.
        made: The day on which it was made, as 2026-11-28.
        revoked: The day from which nothing signed by it is taken; empty: it holds.
    """

    public: bytes
    name: str
    made: str
    revoked: str = ""

    @property
    def id(self) -> str:
        """What tells it from others."""
        return key_id(self.public)


@dataclass(frozen=True)
class KeyRing:
    """The keys that a device trusts.

    Attributes:
        keys: The keys, those that were revoked too.
        serial: Grows with every change, so that no older ring takes its place.
    """

    keys: tuple[PublicKey, ...]
    serial: int = 1

    def find(self, identity: str) -> PublicKey | None:
        """Return the key of an id, None if there is none."""
        return next((key for key in self.keys if key.id == identity), None)

    def verify(self, identity: Any, signature: bytes | None, message: bytes, what: str) -> None:
        """Check a signature.

        Args:
            identity: The id of the key that has signed, as is claimed.
            signature: The signature; None: there is none that could be one.
            message: What was signed.
            what: What errors call it.

        Raises:
            PicaptionError: It is not signed by a key of this ring that holds.
        """
        key = self.find(identity) if isinstance(identity, str) else None
        if key is None:
            shown = printable(str(identity))[:ID_DIGITS]
            raise PicaptionError(
                f"{what}: it is signed by the key {shown}, which is not trusted here; sign it by "
                "a key of public_keys"
            )
        if key.revoked:
            raise PicaptionError(
                f"{what}: it is signed by the key {key.id}, which was revoked on {key.revoked}; "
                "sign it by another"
            )
        if signature is None or not _is_signature(key.public, signature, message):
            raise PicaptionError(f"{what}: its signature is not right: it was altered; refused")


@dataclass(frozen=True)
class PrivateKey:
    """A key that signs; its 32 bytes are secret."""

    seed: bytes

    @property
    def public(self) -> bytes:
        """The 32 bytes of the public key."""
        return _signer(self.seed).public_key().public_bytes_raw()

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of a signature."""
        return _signer(self.seed).sign(message)


def need_cryptography() -> None:
    """Raise PicaptionError unless `cryptography` is installed."""
    try:
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: F401
    except ImportError:
        raise PicaptionError(
            "signatures need cryptography: pip install 'picaption[fleet]'"
        ) from None


def key_id(public: bytes) -> str:
    """Return the id of a public key."""
    return hashlib.sha256(public).hexdigest()[:ID_DIGITS]


def make_private_key() -> PrivateKey:
    """Return a new key of the system's random numbers."""
    return PrivateKey(os.urandom(KEY_BYTES))


def public_key(private: PrivateKey, name: str) -> PublicKey:
    """Return the public half of a key, made today.

    Raises:
        PicaptionError: The name cannot be one.
    """
    if not is_name(name):
        raise PicaptionError(
            f"a key's name has 1 to {MAX_NAME} printable characters; {name[:MAX_NAME]!r} does not"
        )
    return PublicKey(private.public, name, today())


def today() -> str:
    """Return the day, of UTC."""
    return datetime.fromtimestamp(time.time(), UTC).date().isoformat()


def with_key(ring: KeyRing, key: PublicKey) -> KeyRing:
    """Return a ring with one key more.

    Raises:
        PicaptionError: It is there already, or there is no room.
    """
    if ring.find(key.id) is not None:
        raise PicaptionError(f"the key {key.id} is in the ring already")
    if len(ring.keys) == MAX_KEYS:
        raise PicaptionError(f"a ring has at most {MAX_KEYS} keys; begin a new one")
    return KeyRing((*ring.keys, key), ring.serial + 1)


def without_key(ring: KeyRing, identity: str) -> KeyRing:
    """Return a ring in which a key is revoked.

    Raises:
        PicaptionError: There is no such key that holds, or no other one.
    """
    key = ring.find(identity)
    valid = [key.id for key in ring.keys if not key.revoked]
    if key is None or key.revoked:
        raise PicaptionError(
            f"no key {printable(identity)} holds in the ring; there are {', '.join(valid)}"
        )
    if valid == [identity]:
        raise PicaptionError(
            f"{identity} is the only key that holds: devices would take nothing any more; first "
            "make another by picaption fleet keys rotate"
        )
    keys = tuple(replace(key, revoked=today()) if key.id == identity else key for key in ring.keys)
    return KeyRing(keys, ring.serial + 1)


def is_name(text: Any) -> bool:
    """Return whether something is a text that a key may be called."""
    return isinstance(text, str) and 0 < len(text) <= MAX_NAME and printable(text) == text


def ring_bytes(ring: KeyRing) -> bytes:
    """Return a ring as the bytes of its file."""
    keys = [
        {
            "id": key.id,
            "made": key.made,
            "name": key.name,
            "public": encode_base64(key.public),
            "revoked": key.revoked,
        }
        for key in ring.keys
    ]
    return canonical_bytes({"format": RING_FORMAT, "keys": keys, "serial": ring.serial})


def parse_ring(data: bytes, path: str | Path) -> KeyRing:
    """Return the ring of a file's bytes; errors begin with `path`.

    Raises:
        PicaptionError: They are no ring.
    """
    fields = parse_canonical(data, f"{path}")
    entries = fields.get("keys")
    serial = fields.get("serial")
    keys: list[PublicKey] = []
    if fields.get("format") == RING_FORMAT and isinstance(entries, list) and type(serial) is int:
        keys = [key for key in map(_parse_key, entries[: MAX_KEYS + 1]) if key is not None]
        ring = KeyRing(tuple(keys), serial)
        is_unique = len({key.id for key in keys}) == len(keys) <= MAX_KEYS
        if keys and is_unique and 0 < serial < _MAX_SERIAL and ring_bytes(ring) == data:
            return ring
    raise PicaptionError(f"{path}: it is not a key ring; picaption fleet keys make writes one")


def is_ring(data: bytes) -> bool:
    """Return whether a file that begins so is meant to be a ring."""
    return data.startswith(b'{"format":"picaption key ring')


def read_ring(path: str | Path) -> KeyRing:
    """Return the ring of a file.

    Raises:
        PicaptionError: It cannot be read, or is none.
    """
    return parse_ring(read_ring_bytes(path), path)


def read_ring_bytes(path: str | Path) -> bytes:
    """Return the bytes of a ring's file; raises PicaptionError if it cannot be read."""
    return _read(path, "the public keys")


def read_private_key(path: str | Path) -> PrivateKey:
    """Return the private key of a file.

    Raises:
        PicaptionError: It cannot be read, or is none.
    """
    need_cryptography()
    fields = parse_canonical(_read(path, "the private key"), f"{path}")
    seed = decode_base64(fields.get("private"), KEY_BYTES)
    if fields.get("format") != PRIVATE_FORMAT or seed is None:
        raise PicaptionError(
            f"{path}: it is not a private key; picaption fleet keys make writes one"
        )
    private = PrivateKey(seed)
    if fields.get("id") != key_id(private.public):
        raise PicaptionError(f"{path}: it is damaged or was altered; copy it again")
    return private


def write_private_key(path: Path, private: PrivateKey) -> None:
    """Write a private key to a new file that its owner alone may read.

    Raises:
        PicaptionError: There is a file already, or it cannot be written.
    """
    fields = {
        "format": PRIVATE_FORMAT,
        "id": key_id(private.public),
        "private": encode_base64(private.seed),
    }
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(path, flags, 0o600)
    except FileExistsError:
        raise PicaptionError(f"{path} is there already; no key is written over it") from None
    except OSError as error:
        raise PicaptionError(f"{path} cannot be written ({error.strerror})") from None
    try:
        with open(descriptor, "wb") as file:
            file.write(canonical_bytes(fields))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise PicaptionError(f"{path} cannot be written ({error.strerror})") from None


def write_ring(path: Path, ring: KeyRing) -> None:
    """Write a ring, completely or not at all.

    Raises:
        PicaptionError: It cannot be written.
    """
    require_no_device(path)
    try:
        write_bytes(path, ring_bytes(ring))
    except OSError as error:
        raise PicaptionError(f"{path} cannot be written ({error.strerror})") from None


def _read(path: str | Path, description: str) -> bytes:
    try:
        return read_file(path, MAX_SETTINGS_BYTES)
    except OSError as error:
        raise PicaptionError(
            f"{path}: cannot read {description}: {error.strerror}; check the path"
        ) from None


def _parse_key(fields: Any) -> PublicKey | None:
    """Return a key of a ring's file; None if it is none."""
    if not isinstance(fields, dict):
        return None
    public = decode_base64(fields.get("public"), KEY_BYTES)
    made = fields.get("made")
    revoked = fields.get("revoked")
    name = fields.get("name")
    if public is None or not is_name(name) or not _is_day(made):
        return None
    if revoked != "" and not _is_day(revoked):
        return None
    return PublicKey(public, str(name), str(made), str(revoked))


def _is_day(text: Any) -> bool:
    return isinstance(text, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII))


def _signer(seed: bytes) -> Any:
    need_cryptography()
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def _is_signature(public: bytes, signature: bytes, message: bytes) -> bool:
    need_cryptography()
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    verify: Callable[[bytes, bytes], None] = Ed25519PublicKey.from_public_bytes(public).verify
    try:
        verify(signature, message)
    except InvalidSignature:
        return False
    return True
