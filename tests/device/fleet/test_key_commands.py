"""`picaption fleet keys`, `sign` and `verify`, as an operator types them."""

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.flash.update import has_keys, trusted_keys, update_keys
from picaption.device.signing.keys import read_ring
from picaption.device.signing.signature import sign_file

pytest.importorskip("cryptography")


@pytest.fixture
def workshop(tmp_path, call):
    """A folder with a key and its ring; returns what runs `picaption fleet keys` there."""

    def run(*arguments):
        return call("fleet", "keys", *arguments)

    made = run("make", "--private", tmp_path / "a.key", "--ring", tmp_path / "keys.json")
    assert made[0] == 0 and "the private key" in made[1]
    return run


def test_files_are_signed_and_verified(tmp_path, workshop, call):
    file = tmp_path / "payload.tar"
    file.write_bytes(b"wheels")
    code, _, errors = call("fleet", "verify", file, "--ring", tmp_path / "keys.json")
    assert code == 2 and "it is not signed" in errors
    assert call("fleet", "sign", file, "--private", tmp_path / "a.key")[0] == 0
    assert call("fleet", "verify", file, "--ring", tmp_path / "keys.json")[0] == 0
    file.write_bytes(b"Wheels")
    code, _, errors = call("fleet", "verify", file, "--ring", tmp_path / "keys.json")
    assert (code, errors.count("\n")) == (2, 1) and "it was altered" in errors


def test_keys_are_rotated_and_revoked_and_devices_follow(tmp_path, workshop, call):
    ring_path = tmp_path / "keys.json"
    first = read_ring(ring_path).keys[0].id
    # A device trusts the first key.
    device = tmp_path / "device"
    device.mkdir()
    (device / "keys.json").write_bytes(ring_path.read_bytes())
    settings = device / "picaption.toml"
    settings.write_text(f'public_keys = "{device}/keys.json"\n')
    rotated = workshop(
        *("rotate", "--private", tmp_path / "a.key"),
        *("--new", tmp_path / "b.key", "--ring", ring_path),
    )
    assert rotated[0] == 0 and "sudo picaption update keys.json" in rotated[1]
    assert has_keys(ring_path) and not has_keys(tmp_path / "a.key")
    update_keys(ring_path, settings)
    code, _, errors = workshop(
        *("revoke", first, "--private", tmp_path / "a.key", "--ring", ring_path)
    )
    assert code == 2 and "does not hold in that ring" in errors
    assert workshop("revoke", first, "--private", tmp_path / "b.key", "--ring", ring_path)[0] == 0
    listed = workshop("list", ring_path)[1].splitlines()
    assert listed[0].startswith(f"{first}  ") and "revoked 20" in listed[0] and "holds" in listed[1]
    second = read_ring(ring_path).keys[1].id
    assert update_keys(ring_path, settings) == f"trusted from now on: {second}"
    # What is not newer, and what the revoked key signs, is not taken any more.
    with pytest.raises(PicaptionError, match="its serial 3 is not beyond 3"):
        update_keys(ring_path, settings)
    from picaption.device.signing.keys import read_private_key

    sign_file(ring_path, read_private_key(tmp_path / "a.key"))
    with pytest.raises(PicaptionError, match="was revoked on"):
        update_keys(ring_path, settings)
    assert [key.id for key in trusted_keys(settings).keys] == [first, second]


def test_nothing_is_written_over(tmp_path, workshop):
    before = (tmp_path / "a.key").read_bytes()
    code, _, errors = workshop(
        *("make", "--private", tmp_path / "a.key", "--ring", tmp_path / "other.json")
    )
    assert code == 2 and "no key is written over it" in errors
    assert not (tmp_path / "other.json").exists()
    code, _, errors = workshop(
        *("make", "--private", tmp_path / "b.key", "--ring", tmp_path / "keys.json")
    )
    assert code == 2 and "picaption fleet keys rotate adds a key" in errors
    assert (tmp_path / "a.key").read_bytes() == before and not (tmp_path / "b.key").exists()
    # A ring that cannot be written leaves no key behind, and none goes where its ring goes.
    missing = tmp_path / "missing" / "keys.json"
    assert workshop("make", "--private", tmp_path / "b.key", "--ring", missing)[0] == 2
    code, _, errors = workshop("make", "--private", tmp_path / "c", "--ring", tmp_path / "c")
    assert code == 2 and "the key and its ring are two files" in errors
    assert not (tmp_path / "b.key").exists() and not (tmp_path / "c").exists()
