"""What sets a Pi up at its first boot, merged with what is on the card: cloud-init's seed, or Bookworm's first-run script."""

from dataclasses import dataclass

from device.errors import PicaptionError
from device.flash.card import FOLDER

BOOT = "/boot/firmware"
PROGRAM = f"{BOOT}/{FOLDER}/firstboot.py"
#: What begins the set-up at each boot, until its program is gone: nothing has to be written for it.
START = ["systemd-run", "--no-block", "--unit=picaption-setup", f"--property=RequiresMountsFor={BOOT}",
         f"--property=ConditionPathExists={PROGRAM}", "--property=Restart=on-failure", "--property=RestartSec=30",
         "/usr/bin/python3", "-I", PROGRAM]
#: cloud-init notes that a module has run before it runs: where power failed before the last of them, all of them run again.
GO_ON = ["sh", "-c", "cd /var/lib/cloud/instance/sem && { test -e config_scripts_user || rm -f config_*; }"]
GROUPS = "users,adm,dialout,audio,netdev,video,plugdev,input,gpio,spi,i2c,render,sudo"


@dataclass(frozen=True)
class Wifi:
    """A wireless network: its name, its key (64 hexadecimal digits, see device.flash.secret), and the country it is in."""

    ssid: str
    key: str
    country: str


@dataclass(frozen=True)
class Machine:
    """How a Pi is to be set up; what is empty stays as the card has it. The password is hashed as crypt(5) has it."""

    hostname: str = ""
    user: str = ""
    password: str = ""
    ssh_keys: tuple[str, ...] = ()
    timezone: str = ""
    wifi: Wifi | None = None


def cloud_seed(boot, machine):
    """Return the files of cloud-init's seed for a Machine, bytes by name, `user-data`, which arms the first boot, last.

    Raises PicaptionError where those on the boot partition cannot be merged with.
    """
    files = {"meta-data": _dump(_mapping(boot, "meta-data") or {"instance-id": "picaption"})}
    if machine.wifi:
        files["network-config"] = _dump(with_wifi(_mapping(boot, "network-config"), machine.wifi))
    files["user-data"] = b"#cloud-config\n" + _dump(with_machine(_mapping(boot, "user-data"), machine))
    return files


def with_machine(data, machine):
    """Return the mapping of a cloud-config with what sets up a Machine, and picaption, added to it."""
    data = dict(data)
    if machine.hostname:
        data |= {"hostname": machine.hostname, "manage_etc_hosts": True}
    if machine.timezone:
        data["timezone"] = machine.timezone
    if machine.user:
        user = {"name": machine.user, "groups": GROUPS, "shell": "/bin/bash", "sudo": "ALL=(ALL) NOPASSWD:ALL",
                "lock_passwd": not machine.password}
        if machine.password:  # `passwd` would be left out where power failed between a user's making and its password
            user["hashed_passwd"] = machine.password
            data["ssh_pwauth"] = True
        if machine.ssh_keys:
            user["ssh_authorized_keys"] = list(machine.ssh_keys)
        others = data.get("users") or []
        data["users"] = [other for other in others if not (isinstance(other, dict) and other.get("name") == machine.user)] + [user]
    commands = [command for command in data.get("bootcmd") or [] if command != GO_ON and PROGRAM not in command]
    return data | {"bootcmd": [GO_ON, *commands, START]}


def with_wifi(data, wifi):
    """Return the mapping of a network-config, of version 2, with a wireless network added to it."""
    network = dict(data.get("network", data)) or {"version": 2, "ethernets": {"eth0": {"dhcp4": True, "optional": True}}}
    if network.get("version") != 2:
        raise PicaptionError("network-config: not of version 2: add the wireless network to it by hand")
    wireless = dict(network.get("wifis") or {})
    interface = {"dhcp4": True, "optional": True} | (wireless.get("wlan0") or {}) | {"regulatory-domain": wifi.country}
    interface["access-points"] = (interface.get("access-points") or {}) | {wifi.ssid: {"password": wifi.key}}
    return {"network": network | {"wifis": wireless | {"wlan0": interface}}}


def _mapping(boot, name):
    """Return what a YAML file of the boot partition holds, {} where it says nothing."""
    import yaml
    content = boot.read(name) or b""
    if name == "user-data" and content.strip() and not content.startswith(b"#cloud-config"):
        raise PicaptionError(f"{boot.path}: user-data is no #cloud-config, and nothing can be added to it; write the card anew")
    try:
        data = yaml.safe_load(content) or {}
    except yaml.YAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if getattr(error, "problem_mark", None) else ""
        raise PicaptionError(f"{boot.path}: {name}{line}: not YAML; mend it, or write the card anew") from None
    if not isinstance(data, dict):
        raise PicaptionError(f"{boot.path}: {name}: not a mapping; mend it, or write the card anew")
    return data


def _dump(data):
    import yaml
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=1000).encode()
