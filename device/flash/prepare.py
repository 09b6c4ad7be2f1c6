"""Puts what makes a Pi caption onto a boot partition.

Everything is checked before anything is written, and what arms the first boot is written last.
"""

import os
import secrets
import tempfile
from dataclasses import replace
from pathlib import Path

from ..config.checks import is_loopback
from ..config.settings import Config
from ..config.toml import LoadedConfig, load_config, plain_toml
from ..errors import PicaptionError
from ..parsing import MalformedError, parse_toml
from ..signing.keys import read_ring, ring_bytes
from ..signing.signature import checked_copy
from .card import FOLDER, BootPartition, System, identify
from .firstrun import firstrun_seed
from .installer import (
    BUNDLE,
    CARD_KEYS,
    HOME,
    KEYS,
    PAYLOAD,
    PROGRAM,
    InstallError,
    read_manifest,
    unpack,
)
from .machine import Machine, hash_password
from .payload import ARCHITECTURE, collect
from .seed import cloud_seed

#: A file of the card that would change is backed up under its name and this.
BACKUP_SUFFIX = ".before-picaption"
#: Bytes that stay free on the boot partition.
RESERVED_BYTES = 4_000_000


def prepare(
    boot: BootPartition,
    machine: Machine,
    settings: LoadedConfig,
    payload: Path | None = None,
    bundle: Path | None = None,
    architecture: str = ARCHITECTURE,
    public_keys: Path | None = None,
) -> None:
    """Write the payload, the settings and what sets up a Machine to a boot partition.

    Args:
        boot: the boot partition.
        machine: how the Pi is set up.
        settings: those of the service, see `card_settings`.
        payload: the path of a payload; None to make one.
        bundle: the path of a bundle for the payload that is made; None for the shipped one.
        architecture: the Pi's processor, as platform.machine() names it.
        public_keys: the path of the ring of keys that the Pi trusts; None: it takes what is not
            signed.

    Raises:
        PicaptionError: something does not fit; nothing has been written.
    """
    system = identify(boot)
    ring = read_ring(public_keys) if public_keys else None
    if machine.password:
        hashed = hash_password(machine.password, _earlier_seed(boot))
        machine = replace(machine, password=hashed)
    make_seed = cloud_seed if system.cloud_init else firstrun_seed
    seed = make_seed(boot, machine)
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as copies:
        if ring is not None:
            payload = payload and checked_copy(payload, ring, Path(copies))
            bundle = bundle and checked_copy(bundle, ring, Path(copies))
        if payload:
            if bundle:
                raise PicaptionError(
                    "--payload has its bundle in it: give --bundle to picaption flash payload"
                )
            check_payload(payload, system, architecture, Path(folder))
        else:
            payload = Path(folder, PAYLOAD)
            collect(system.python, payload, bundle, architecture=architecture)
        files: dict[str, bytes | Path] = {
            f"{FOLDER}/{PAYLOAD}": payload,
            f"{FOLDER}/picaption.toml": plain_toml(settings).encode(),
            f"{FOLDER}/{PROGRAM}": Path(__file__).with_name("installer.py").read_bytes(),
        }
        if ring is not None:
            files[f"{FOLDER}/{CARD_KEYS}"] = ring_bytes(ring)
        if machine.user:
            # Has the system start its SSH server.
            files["ssh"] = b""
        files.update(backups(boot, seed))
        # Last, what arms the first boot.
        files.update(seed)
        write(boot, files)


def write(boot: BootPartition, files: dict[str, bytes | Path]) -> None:
    """Write files by name, in their order, to a boot partition; leave equal ones alone.

    Raises PicaptionError if there is not enough room for all of them.
    """
    needed = RESERVED_BYTES + sum(_size(content) for content in files.values())
    if boot.free() < needed:
        raise PicaptionError(
            f"{boot.path}: {needed / 1e6:.0f} MB are needed, and {boot.free() / 1e6:.0f} are free: "
            "write the card again, or remove what does not belong there"
        )
    for name, content in files.items():
        if isinstance(content, Path) or boot.read(name) != content:
            boot.write(name, content)
    boot.close()


def _size(content: bytes | Path) -> int:
    return len(content) if isinstance(content, bytes) else content.stat().st_size


def backups(boot: BootPartition, seed: dict[str, bytes]) -> dict[str, bytes]:
    """Return copies of the files that a seed would change and that have no backup yet, by name."""
    names = boot.names()
    copies = {}
    for name, content in seed.items():
        backup = f"{name}{BACKUP_SUFFIX}"
        if "/" in name or name not in names or backup in names:
            continue
        current = boot.read(name)
        if current is not None and current != content:
            copies[backup] = current
    return copies


def check_payload(payload: Path, system: System, architecture: str, folder: Path) -> None:
    """Raise PicaptionError if the payload at a path is damaged or for another card.

    Args:
        payload: the path of the payload.
        system: what the card holds.
        architecture: the Pi's processor, as platform.machine() names it.
        folder: an empty folder, into which it is unpacked to check it.
    """
    try:
        manifest = read_manifest(payload)
        unpack(payload, manifest, folder)
    except InstallError as error:
        raise PicaptionError(str(error)) from None
    if (manifest.python, manifest.architecture) != (system.python, architecture):
        raise PicaptionError(
            f"{payload}: for Python {manifest.python} on {manifest.architecture}, and this card "
            f"has {system.python} on {architecture}: picaption flash payload --python "
            f"{system.python}"
        )


def card_settings(
    path: Path | None,
    source: str | None,
    mqtt: str | None,
    web: bool,
    earlier_token: str,
    has_keys: bool = False,
) -> LoadedConfig:
    """Return the settings of a card.

    Args:
        path: the file of settings to start from; None for the defaults.
        source: the camera; None for the file's.
        mqtt: the MQTT broker; None for the file's.
        web: whether to serve the page to the network, with a token.
        earlier_token: the page's token if the file has none; "" for a new one.
        has_keys: whether the card brings public keys, by which what it takes is signed.

    Raises:
        PicaptionError: a setting is not valid.
    """
    # os.devnull: no settings of the user that runs this.
    path = path or Path(os.devnull)
    overrides: dict[str, str | bool | None] = {
        "source": source,
        "mqtt": mqtt,
        "bundle": str(HOME / "current" / BUNDLE),
    }
    if has_keys:
        overrides["public_keys"] = f"/{KEYS}"
    if web:
        token = load_config({}, path, {}).config.token
        overrides["web"] = True
        overrides["host"] = "0.0.0.0"
        overrides["token"] = token or earlier_token or secrets.token_urlsafe()
    return load_config(overrides, path, {})


def earlier_token(boot: BootPartition) -> str:
    """Return the page's token that an earlier call has put onto a boot partition; "" without."""
    settings = boot.read(f"{FOLDER}/picaption.toml") or b""
    try:
        return parse_toml(settings.decode("utf-8-sig")).get("token", "")
    except (UnicodeDecodeError, MalformedError):
        # The card was pulled out while it was written.
        return ""


def page_address(config: Config, hostname: str) -> str | None:
    """Return the address, with its token, of the page of a card; None if it serves none."""
    if not config.web or is_loopback(config.host):
        return None
    return f"http://{hostname or 'raspberrypi'}.local:{config.port}/?token={config.token}"


def _earlier_seed(boot: BootPartition) -> str:
    """Return the text of the seed that is on a boot partition."""
    names = ("user-data", f"{FOLDER}/firstrun.sh")
    return b"".join(boot.read(name) or b"" for name in names).decode(errors="replace")
