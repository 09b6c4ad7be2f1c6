"""Keys and rings: made, rotated, revoked, and read with care."""

import os
import stat

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.signing.keys import (
    KeyRing,
    PrivateKey,
    make_private_key,
    parse_ring,
    public_key,
    read_private_key,
    read_ring,
    ring_bytes,
    with_key,
    without_key,
    write_private_key,
    write_ring,
)

pytest.importorskip("cryptography")

#: RFC 8032, 7.1, test 2: the secret key, the public key, a message of one byte, its signature.
SEED = bytes.fromhex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
PUBLIC = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
MESSAGE = b"\x72"
SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def test_signatures_are_those_of_the_standard():
    private = PrivateKey(SEED)
    assert private.public == PUBLIC and private.sign(MESSAGE) == SIGNATURE
    ring = KeyRing((public_key(private, "rfc"),))
    ring.verify(ring.keys[0].id, SIGNATURE, MESSAGE, "it")
    with pytest.raises(PicaptionError, match="its signature is not right"):
        ring.verify(ring.keys[0].id, SIGNATURE, b"\x73", "it")


def test_a_ring_comes_back_from_its_file_with_what_was_revoked(tmp_path):
    first = make_private_key()
    second = make_private_key()
    ring = with_key(KeyRing((public_key(first, "old"),)), public_key(second, "new"))
    ring = without_key(ring, ring.keys[0].id)
    write_ring(tmp_path / "keys.json", ring)
    assert read_ring(tmp_path / "keys.json") == ring
    assert ring.serial == 3 and [bool(key.revoked) for key in ring.keys] == [True, False]
    with pytest.raises(PicaptionError, match="which was revoked on 20"):
        ring.verify(ring.keys[0].id, first.sign(b"it"), b"it", "it")
    ring.verify(ring.keys[1].id, second.sign(b"it"), b"it", "it")


def test_the_last_key_that_holds_is_not_revoked():
    ring = KeyRing((public_key(make_private_key(), "one"),))
    with pytest.raises(PicaptionError, match="is the only key that holds"):
        without_key(ring, ring.keys[0].id)
    with pytest.raises(PicaptionError, match="no key 0123 holds in the ring"):
        without_key(ring, "0123")
    with pytest.raises(PicaptionError, match="in the ring already"):
        with_key(ring, ring.keys[0])


def test_a_private_key_is_its_owners_alone_and_never_written_over(tmp_path):
    path = tmp_path / "fleet.key"
    private = make_private_key()
    write_private_key(path, private)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert read_private_key(path) == private
    with pytest.raises(PicaptionError, match="no key is written over it"):
        write_private_key(path, private)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: b"",
        lambda data: b"[" * 100_000,
        lambda data: data + b"\n",
        lambda data: data.replace(b'"serial":1', b'"serial":-1'),
        lambda data: data.replace(b'"serial":1', b'"serial":1.0'),
        lambda data: data.replace(b'"name":"one"', b'"name":"\\u001b[2J"'),
        lambda data: data.replace(b'"revoked":""', b'"revoked":"never"'),
        lambda data: data.replace(b'"keys":[', b'"keys":[7,'),
    ],
)
def test_what_is_no_ring_is_one_line(change):
    data = ring_bytes(KeyRing((public_key(make_private_key(), "one"),)))
    assert parse_ring(data, "keys.json").serial == 1
    with pytest.raises(PicaptionError, match="^keys.json: it is ") as error:
        parse_ring(change(data), "keys.json")
    assert "\n" not in str(error.value)
