"""`picaption fleet keys`, `sign` and `verify`: who may say what devices take."""

from collections.abc import Sequence
from pathlib import Path

import click

from ..cli import PathType
from ..errors import PicaptionError
from ..log import printable, say
from ..signing.keys import (
    KeyRing,
    PrivateKey,
    key_id,
    make_private_key,
    need_cryptography,
    public_key,
    read_private_key,
    read_ring,
    with_key,
    without_key,
    write_private_key,
    write_ring,
)
from ..signing.signature import check_file, sign_file

_FILE = PathType(path_type=Path)

private_option = click.option(
    "--private",
    "private_path",
    required=True,
    type=_FILE,
    metavar="FILE",
    help="The private key that signs.",
)
ring_option = click.option(
    "--ring",
    "ring_path",
    required=True,
    type=_FILE,
    metavar="FILE",
    help="The ring of public keys.",
)
_name_option = click.option(
    "--name", default="fleet", show_default=True, metavar="NAME", help="What the key is called."
)
_files = click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_FILE)


@click.group("keys")
def keys() -> None:
    """Make, rotate and revoke signing keys."""


@keys.command("make")
@click.option(
    "--private",
    "private_path",
    required=True,
    type=_FILE,
    metavar="FILE",
    help="Where to write the private key, which nobody else may have.",
)
@ring_option
@_name_option
def make_command(private_path: Path, ring_path: Path, name: str) -> None:
    """Make a key, and the ring that devices trust.

    The ring goes onto the devices (picaption flash prepare --public-keys, or the setting
    public_keys).
    """
    need_cryptography()
    if ring_path.exists():
        raise PicaptionError(
            f"{ring_path} is there already: picaption fleet keys rotate adds a key to it"
        )
    _require_two_files(private_path, ring_path)
    private = make_private_key()
    ring = KeyRing((public_key(private, name),))
    write_private_key(private_path, private)
    try:
        write_ring(ring_path, ring)
    except PicaptionError:
        private_path.unlink()  # Nobody trusts it.
        raise
    say(f"{private_path}: the private key {ring.keys[0].id}; keep it off the devices")
    say(f"{ring_path}: the public key, for the devices")


@keys.command("rotate")
@private_option
@click.option(
    "--new",
    "new_path",
    required=True,
    type=_FILE,
    metavar="FILE",
    help="Where to write the new private key.",
)
@ring_option
@_name_option
def rotate_command(private_path: Path, new_path: Path, ring_path: Path, name: str) -> None:
    """Add a new key to a ring.

    The ring is signed by the old key, so that devices take it: picaption update RING. Once they
    have, revoke the old one.
    """
    signer = read_private_key(private_path)
    ring = read_ring(ring_path)
    need_valid(signer, ring, private_path)
    private = make_private_key()
    changed = with_key(ring, public_key(private, name))
    write_private_key(new_path, private)
    _write_signed(ring_path, changed, signer)
    say(f"{new_path}: the private key {changed.keys[-1].id}")


@keys.command("revoke")
@click.argument("identity", metavar="ID")
@private_option
@ring_option
def revoke_command(identity: str, private_path: Path, ring_path: Path) -> None:
    """Revoke a key: nothing it has signed is taken.

    The ring is signed by another key, so that devices take it: picaption update RING.
    """
    signer = read_private_key(private_path)
    ring = read_ring(ring_path)
    changed = without_key(ring, identity)
    need_valid(signer, changed, private_path)
    _write_signed(ring_path, changed, signer)


@keys.command("list")
@click.argument("ring_path", metavar="RING", type=_FILE)
def list_command(ring_path: Path) -> None:
    """List the keys of a ring."""
    ring = read_ring(ring_path)
    for key in ring.keys:
        state = f"revoked {key.revoked}" if key.revoked else "holds"
        say(f"{key.id}  {key.made}  {state:18}  {printable(key.name)}")


@click.command("sign")
@_files
@private_option
def sign_command(files: Sequence[Path], private_path: Path) -> None:
    """Sign bundles and payloads.

    The signature of FILE is written to FILE.sig, and goes where FILE goes.
    """
    private = read_private_key(private_path)
    for file in files:
        say(f"{sign_file(file, private)}: signed by {key_id(private.public)}")


@click.command("verify")
@_files
@ring_option
def verify_command(files: Sequence[Path], ring_path: Path) -> None:
    """Check the signatures of files."""
    ring = read_ring(ring_path)
    for file in files:
        check_file(file, ring)
        say(f"{file}: signed, and unaltered")


def _require_two_files(private_path: Path, ring_path: Path) -> None:
    """Raise PicaptionError if a private key would be written where its ring goes."""
    if private_path.resolve() == ring_path.resolve():
        raise PicaptionError(f"{private_path}: the key and its ring are two files; name another")


def need_valid(signer: PrivateKey, ring: KeyRing, path: Path) -> None:
    """Raise PicaptionError unless a private key's public half is in a ring and holds."""
    identity = key_id(signer.public)
    key = ring.find(identity)
    if key is None or key.revoked:
        raise PicaptionError(
            f"{path}: its key {identity} does not hold in that ring; give the private key of one "
            "that does"
        )


def _write_signed(path: Path, ring: KeyRing, signer: PrivateKey) -> None:
    """Write a changed ring and its signature."""
    write_ring(path, ring)
    signature = sign_file(path, signer)
    say(f"{path}: serial {ring.serial}; put it and {signature.name} onto every device, and there:")
    say(f"  sudo picaption update {path.name}")
