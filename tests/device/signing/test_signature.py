"""Signatures of files: altered in any single bit, the file or the signature is refused."""

import re

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.signing.keys import KeyRing, make_private_key, public_key
from picaption.device.signing.signature import check_data, check_file, sign_file, signature_path

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def private():
    return make_private_key()


@pytest.fixture(scope="module")
def ring(private):
    return KeyRing((public_key(private, "one"),))


def flip(data, bit):
    """Return bytes with one bit altered."""
    altered = bytearray(data)
    altered[bit // 8] ^= 1 << (bit % 8)
    return bytes(altered)


def test_a_signed_file_is_taken_and_one_without_a_signature_is_not(tmp_path, private, ring):
    path = tmp_path / "a.tflite"
    path.write_bytes(b"what a bundle holds")
    with pytest.raises(PicaptionError, match="it is not signed, .* put a.tflite.sig beside it"):
        check_file(path, ring)
    assert sign_file(path, private) == tmp_path / "a.tflite.sig"
    check_file(path, ring)


def test_every_bit_of_a_file_counts(tmp_path, private, ring):
    path = tmp_path / "a.tflite"
    data = bytes(range(256))
    path.write_bytes(data)
    sign_file(path, private)
    for bit in range(8 * len(data)):
        with pytest.raises(PicaptionError, match="it is not the file that was signed"):
            check_data(flip(data, bit), path, ring)


def test_every_bit_of_a_signature_counts(tmp_path, private, ring):
    path = tmp_path / "a.tflite"
    data = b"what a bundle holds"
    path.write_bytes(data)
    signature = sign_file(path, private).read_bytes()
    for bit in range(8 * len(signature)):
        signature_path(path).write_bytes(flip(signature, bit))
        with pytest.raises(PicaptionError) as error:
            check_data(data, path, ring)
        assert "\n" not in str(error.value) and str(error.value).isprintable()
    signature_path(path).write_bytes(signature)
    check_data(data, path, ring)


def test_a_signature_of_another_file_or_another_key_is_refused(tmp_path, private, ring):
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode())
        sign_file(tmp_path / name, private)
    (tmp_path / "b.sig").write_bytes((tmp_path / "a.sig").read_bytes())
    with pytest.raises(PicaptionError, match="it is not the file that was signed"):
        check_file(tmp_path / "b", ring)
    sign_file(tmp_path / "a", make_private_key())
    with pytest.raises(PicaptionError, match=r"by the key [0-9a-f]{16}, which is not trusted"):
        check_file(tmp_path / "a", ring)


def test_a_signature_that_is_no_small_file_is_refused(tmp_path, ring):
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "a.sig").write_bytes(b"x" * 5000)
    with pytest.raises(PicaptionError, match=re.escape(f"{tmp_path}/a.sig: cannot be read")):
        check_file(tmp_path / "a", ring)
    with pytest.raises(PicaptionError, match="it is not a file"):
        check_file(tmp_path, ring)
