"""Puts onto a boot partition what makes a Pi caption: everything is checked, then written, what arms the first boot last."""

import os
import secrets
import tempfile
import tomllib
from dataclasses import replace
from pathlib import Path

from ..config.toml import is_loopback, load_config, plain_toml
from ..errors import PicaptionError
from .card import FOLDER, identify
from .firstrun import firstrun_seed
from .installer import BUNDLE, HOME, PROGRAM, InstallError, read_manifest, unpack
from .machine import hash_password
from .payload import MACHINE, collect
from .seed import cloud_seed

#: What is there besides and would be changed is kept under its name and this.
KEPT = ".before-picaption"
#: Bytes that are left free.
ROOM = 4_000_000


def prepare(boot, machine, settings, payload=None, bundle=None):
    """Write the payload, the settings (see `card_settings`) and what sets up a Machine to a boot partition.

    payload: the path of one, made now where there is none, with the bundle at the path `bundle` or the shipped one. Raises
    PicaptionError where something is not as it should be, before anything is written.
    """
    system = identify(boot)
    if machine.password:
        machine = replace(machine, password=hash_password(machine.password, _seed_before(boot)))
    seed = cloud_seed(boot, machine) if system.cloud_init else firstrun_seed(boot, machine)
    with tempfile.TemporaryDirectory() as folder:
        if payload:
            check_payload(payload, system, bundle, Path(folder))
        else:
            payload = collect(system.python, Path(folder, "payload.tar"), bundle)
        files = {
            f"{FOLDER}/payload.tar": payload,
            f"{FOLDER}/picaption.toml": plain_toml(settings).encode(),
            f"{FOLDER}/{PROGRAM}": Path(__file__).with_name("installer.py").read_bytes(),
        }
        if machine.user:
            files["ssh"] = b""  # has the system start its SSH server
        write(boot, files | kept(boot, seed) | seed)


def write(boot, files):
    """Write files, bytes or paths by name, in their order; raises PicaptionError where there is no room for all."""
    needed = (
        sum(
            len(content) if isinstance(content, bytes) else content.stat().st_size
            for content in files.values()
        )
        + ROOM
    )
    if boot.free() < needed:
        raise PicaptionError(
            f"{boot.path}: {needed / 1e6:.0f} MB are needed, and {boot.free() / 1e6:.0f} are free: write the card "
            "anew, or remove what does not belong there"
        )
    for name, content in files.items():
        if isinstance(content, Path) or boot.read(name) != content:
            boot.write(name, content)
    boot.close()


def kept(boot, seed):
    """Return the files that a seed would change, by the names they are kept under, where none is kept yet."""
    names, found = boot.names(), {}
    for name, content in seed.items():
        if (
            "/" not in name
            and name in names
            and f"{name}{KEPT}" not in names
            and (before := boot.read(name)) != content
        ):
            found[f"{name}{KEPT}"] = before
    return found


def check_payload(payload, system, bundle, folder):
    """Raise PicaptionError where the payload at a path is none for such a System, or damaged, for which it is unpacked into a
    folder."""
    if bundle:
        raise PicaptionError(
            "--payload has its bundle in it: give --bundle to picaption flash payload"
        )
    try:
        manifest = read_manifest(payload)
        unpack(payload, manifest, folder)
    except InstallError as error:
        raise PicaptionError(str(error)) from None
    if (manifest.python, manifest.machine) != (system.python, MACHINE):
        raise PicaptionError(
            f"{payload}: for Python {manifest.python} on {manifest.machine}, and this card has {system.python} on "
            f"{MACHINE}: picaption flash payload --python {system.python}"
        )


def card_settings(path, told, web, token):
    """Return the Effective settings of a card: those of the file at `path`, if any, what is `told`, and with `web` the page.

    Its token is that of the file, or `token`, or a new one. Raises PicaptionError where they are not valid.
    """
    path = path or Path(os.devnull)
    told = told | {"bundle": str(HOME / "current" / BUNDLE)}
    if web:
        told |= {
            "web": True,
            "host": "0.0.0.0",
            "token": load_config({}, path, {}).config.token or token or secrets.token_urlsafe(),
        }
    return load_config(told, path, {})


def token_before(boot):
    """Return the token that an earlier call has put onto a boot partition, "" where there is none."""
    try:
        return tomllib.loads((boot.read(f"{FOLDER}/picaption.toml") or b"").decode()).get(
            "token", ""
        )
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):  # cut off
        return ""


def page_address(config, hostname):
    """Return where the page of a card with that Config will be, with its token; None where it has none for the network."""
    if not config.web or is_loopback(config.host):
        return None
    return f"http://{hostname or 'raspberrypi'}.local:{config.port}/?token={config.token}"


def _seed_before(boot):
    return b"".join(
        boot.read(name) or b"" for name in ("user-data", f"{FOLDER}/firstrun.sh")
    ).decode(errors="replace")
