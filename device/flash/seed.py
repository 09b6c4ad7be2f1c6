"""cloud-init's seed on a boot partition, merged with what is there.

It sets up the Pi and starts what sets up picaption.
"""

import codecs
from typing import Any

import yaml

from ..errors import PicaptionError
from .card import BOOT, FOLDER, BootPartition
from .machine import Machine, Wifi

INSTALLER = f"{BOOT}/{FOLDER}/firstboot.py"
INSTALL_COMMAND = ["/usr/bin/python3", "-I", INSTALLER]
#: The unit of the set-up, which runs at each boot until its program is gone, once the system has
#: grown to the size of the card.
SETUP_UNIT = {
    "RequiresMountsFor": BOOT,
    "ConditionPathExists": INSTALLER,
    "After": "rpi-resize.service resize2fs_once.service systemd-growfs-root.service",
}
#: Starts it as a transient unit, for which nothing is written.
SETUP_COMMAND = [
    "systemd-run",
    "--no-block",
    "--unit=picaption-setup",
    "--description=Set up picaption",
    *(f"--property={name}={value}" for name, value in SETUP_UNIT.items()),
    *INSTALL_COMMAND,
]
#: cloud-init notes that a module has run before it runs. If power failed before the last of them,
#: this has all of them run again.
RERUN_COMMAND = [
    "sh",
    "-c",
    "cd /var/lib/cloud/instance/sem && { test -e config_scripts_user || rm -f config_*; }",
]
GROUPS = "users,adm,dialout,audio,netdev,video,plugdev,input,gpio,spi,i2c,render,sudo"

#: What a YAML file of cloud-init holds.
YamlMapping = dict[str, Any]


def cloud_seed(boot: BootPartition, machine: Machine) -> dict[str, bytes]:
    """Return the files of cloud-init's seed for a Machine by name.

    `user-data`, which arms the first boot, is last. Raises PicaptionError if those on the boot
    partition cannot be extended.
    """
    files = {}
    meta_data = _read_mapping(boot, "meta-data")
    if not {"instance-id", "instance_id"} & meta_data.keys():
        files["meta-data"] = _to_yaml(meta_data | {"instance-id": "picaption"})
    if machine.wifi:
        network = with_wifi(_read_mapping(boot, "network-config"), machine.wifi)
        files["network-config"] = _to_yaml(network)
    user_data = with_machine(_read_mapping(boot, "user-data"), machine)
    files["user-data"] = b"#cloud-config\n" + _to_yaml(user_data)
    return files


def with_machine(user_data: YamlMapping, machine: Machine) -> YamlMapping:
    """Return a cloud-config with what sets up a Machine, and picaption, added to it."""
    user_data = dict(user_data)
    if machine.hostname:
        user_data["hostname"] = machine.hostname
        user_data["manage_etc_hosts"] = True
    if machine.timezone:
        user_data["timezone"] = machine.timezone
    if machine.user:
        users = _read_list(user_data, "users")
        users = [user for user in users if _user_name(user) != machine.user]
        user_data["users"] = [*users, _user(machine)]
        user_data["ssh_pwauth"] = not machine.ssh_keys
    commands = [
        command
        for command in _read_list(user_data, "bootcmd")
        if command != RERUN_COMMAND and INSTALLER not in command
    ]
    user_data["bootcmd"] = [RERUN_COMMAND, *commands, SETUP_COMMAND]
    return user_data


def with_wifi(network_config: YamlMapping, wifi: Wifi) -> YamlMapping:
    """Return a network-config of version 2 with a wireless network added to it.

    Raises PicaptionError if it is of another version.
    """
    network = dict(network_config.get("network", network_config))
    if not network:
        network = {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}
    if network.get("version") != 2:
        raise PicaptionError(
            "network-config: not of version 2; add the wireless network to it by hand, and leave "
            "out --wifi"
        )
    interfaces = dict(network.get("wifis") or {})
    interface = {"dhcp4": True, "optional": True} | (interfaces.get("wlan0") or {})
    access_points = dict(interface.get("access-points") or {})
    access_points[wifi.ssid] = {"password": wifi.key}
    interface["regulatory-domain"] = wifi.country
    interface["access-points"] = access_points
    interfaces["wlan0"] = interface
    network["wifis"] = interfaces
    return {"network": network}


def _user(machine: Machine) -> YamlMapping:
    user: YamlMapping = {
        "name": machine.user,
        "groups": GROUPS,
        "shell": "/bin/bash",
        "sudo": "ALL=(ALL) NOPASSWD:ALL",
        "lock_passwd": not machine.password,
    }
    if machine.password:
        # `passwd` would skip a user that exists already, as after a power failure.
        user["hashed_passwd"] = machine.password
    if machine.ssh_keys:
        user["ssh_authorized_keys"] = list(machine.ssh_keys)
    return user


def _user_name(user: str | YamlMapping) -> str | None:
    return user.get("name") if isinstance(user, dict) else user


def _read_list(user_data: YamlMapping, name: str) -> list[Any]:
    """Return a list of a cloud-config; raises PicaptionError if it is something else."""
    value = user_data.get(name) or []
    if not isinstance(value, list):
        raise PicaptionError(
            f"user-data: {name} is not a list there; make it one, or write the card again"
        )
    return value


def _read_mapping(boot: BootPartition, name: str) -> YamlMapping:
    """Return what a YAML file of the boot partition holds; {} if it is empty or missing."""
    content = (boot.read(name) or b"").removeprefix(codecs.BOM_UTF8)
    if name == "user-data" and content.strip() and not content.startswith(b"#cloud-config"):
        raise PicaptionError(
            "user-data: no #cloud-config, nothing can be added to it; make it one, or write the "
            "card again"
        )
    try:
        mapping = yaml.safe_load(content)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{name}, line {mark.line + 1}" if mark else name
        raise PicaptionError(f"{where}: not YAML; fix it, or write the card again") from None
    if mapping is not None and not isinstance(mapping, dict):
        raise PicaptionError(
            f"{name}: it holds no names and values; fix it, or write the card again"
        )
    return mapping or {}


def _to_yaml(mapping: YamlMapping) -> bytes:
    return yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True, width=1000).encode()
