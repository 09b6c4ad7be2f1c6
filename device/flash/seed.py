"""cloud-init's seed on a boot partition, merged with what is there: it sets up the Pi, and starts what sets up picaption."""

import yaml

from ..errors import PicaptionError
from .card import BOOT, FOLDER

PROGRAM = f"{BOOT}/{FOLDER}/firstboot.py"
#: The unit of the set-up, which runs at each boot until its program is gone, once the system has taken all of the card.
UNIT = {
    "RequiresMountsFor": BOOT,
    "ConditionPathExists": PROGRAM,
    "After": "rpi-resize.service resize2fs_once.service systemd-growfs-root.service",
}
COMMAND = ["/usr/bin/python3", "-I", PROGRAM]
#: What begins it: nothing has to be written for it.
START = [
    "systemd-run",
    "--no-block",
    "--unit=picaption-setup",
    "--description=Set up picaption",
    *(f"--property={name}={value}" for name, value in UNIT.items()),
    *COMMAND,
]
#: cloud-init notes that a module has run before it runs: where power failed before the last of them, all of them run again.
GO_ON = [
    "sh",
    "-c",
    "cd /var/lib/cloud/instance/sem && { test -e config_scripts_user || rm -f config_*; }",
]
GROUPS = "users,adm,dialout,audio,netdev,video,plugdev,input,gpio,spi,i2c,render,sudo"


def cloud_seed(boot, machine):
    """Return the files of cloud-init's seed for a Machine, bytes by name, `user-data`, which arms the first boot, last.

    Raises PicaptionError where those on the boot partition cannot be merged with.
    """
    files = {}
    about = _mapping(boot, "meta-data")
    if not {"instance-id", "instance_id"} & about.keys():
        files["meta-data"] = _dump(about | {"instance-id": "picaption"})
    if machine.wifi:
        files["network-config"] = _dump(with_wifi(_mapping(boot, "network-config"), machine.wifi))
    return files | {
        "user-data": b"#cloud-config\n" + _dump(with_machine(_mapping(boot, "user-data"), machine))
    }


def with_machine(data, machine):
    """Return the mapping of a cloud-config with what sets up a Machine, and picaption, added to it."""
    data = dict(data)
    if machine.hostname:
        data |= {"hostname": machine.hostname, "manage_etc_hosts": True}
    if machine.timezone:
        data["timezone"] = machine.timezone
    if machine.user:
        data |= {
            "users": [other for other in _list(data, "users") if _name(other) != machine.user]
            + [_user(machine)],
            "ssh_pwauth": not machine.ssh_keys,
        }
    commands = [
        command for command in _list(data, "bootcmd") if command != GO_ON and PROGRAM not in command
    ]
    return data | {"bootcmd": [GO_ON, *commands, START]}


def with_wifi(data, wifi):
    """Return the mapping of a network-config, of version 2, with a wireless network added to it.

    Raises PicaptionError where it is of another version.
    """
    network = dict(data.get("network", data)) or {
        "version": 2,
        "ethernets": {"eth0": {"dhcp4": True, "optional": True}},
    }
    if network.get("version") != 2:
        raise PicaptionError(
            "network-config: not of version 2; add the wireless network to it by hand, and leave out --wifi"
        )
    wireless = network.get("wifis") or {}
    interface = (
        {"dhcp4": True, "optional": True}
        | (wireless.get("wlan0") or {})
        | {"regulatory-domain": wifi.country}
    )
    interface["access-points"] = (interface.get("access-points") or {}) | {
        wifi.ssid: {"password": wifi.key}
    }
    return {"network": network | {"wifis": wireless | {"wlan0": interface}}}


def _user(machine):
    user = {
        "name": machine.user,
        "groups": GROUPS,
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": not machine.password,
    }
    if (
        machine.password
    ):  # `passwd` is not for users that are there already, as after a power failure
        user["hashed_passwd"] = machine.password
    if machine.ssh_keys:
        user["ssh_authorized_keys"] = list(machine.ssh_keys)
    return user


def _name(user):
    return user.get("name") if isinstance(user, dict) else user


def _list(data, name):
    """Return a list of a cloud-config; raises PicaptionError where it is something else."""
    value = data.get(name) or []
    if not isinstance(value, list):
        raise PicaptionError(
            f"user-data: {name} is no list there; make it one, or write the card anew"
        )
    return value


def _mapping(boot, name):
    """Return what a YAML file of the boot partition holds, {} where it says nothing."""
    content = boot.read(name) or b""
    if name == "user-data" and content.strip() and not content.startswith(b"#cloud-config"):
        raise PicaptionError(
            "user-data: no #cloud-config, nothing can be added to it; make it one, or write the card anew"
        )
    try:
        data = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise PicaptionError(f"{where}: not YAML; mend it, or write the card anew") from None
    if data is not None and not isinstance(data, dict):
        raise PicaptionError(
            f"{name}: it holds no names and values; mend it, or write the card anew"
        )
    return data or {}


def _dump(data):
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000).encode()
