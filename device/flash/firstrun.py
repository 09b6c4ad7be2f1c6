"""Bookworm's set-up of a Pi: a script on the boot partition that systemd runs at the first boot.

The kernel's command line names it (systemd-run-generator(8)).
"""

import shlex

from ..errors import PicaptionError
from .card import BOOT, FOLDER, BootPartition
from .machine import Machine
from .seed import INSTALL_COMMAND, SETUP_UNIT

SCRIPT = f"{BOOT}/{FOLDER}/firstrun.sh"
#: The script of Raspberry Pi Imager, which ours runs too.
IMAGER_SCRIPT = f"{BOOT}/firstrun.sh"
#: The scripts that the kernel's command line may name already: Imager's, by its two paths.
_IMAGER_SCRIPTS = (IMAGER_SCRIPT, "/boot/firstrun.sh")
_RUN = "systemd.run="
WORDS = [
    _RUN + SCRIPT,
    "systemd.run_success_action=reboot",
    "systemd.unit=kernel-command-line.target",
]
#: The system's own tools, which set up the machine.
IMAGER_CUSTOM = "/usr/lib/raspberrypi-sys-mods/imager_custom"
USERCONF = "/usr/lib/userconf-pi/userconf"

_UNIT_LINES = "\n".join(f"{name}={value}" for name, value in SETUP_UNIT.items())
#: The service that sets up picaption comes first: a power cut after it loses nothing for good.
_SCRIPT_HEAD = f"""\
#!/bin/bash
# Run by systemd at the first boot, as cmdline.txt says, until it has come to its end.
units=/etc/systemd/system
cat > $units/.picaption-setup.partial <<'END'
[Unit]
Description=Set up picaption
{_UNIT_LINES}

[Service]
ExecStart={" ".join(INSTALL_COMMAND)}

[Install]
WantedBy=multi-user.target
END
sync
mv $units/.picaption-setup.partial $units/picaption-setup.service
systemctl enable picaption-setup.service

# What Raspberry Pi Imager left to be done; it takes itself away.
[ ! -f {IMAGER_SCRIPT} ] || bash {IMAGER_SCRIPT}

"""
_SCRIPT_TAIL = f"""
cd {BOOT} || exit 1
sed -e 's| systemd\\.run[^ ]*||g' -e 's| systemd\\.unit=kernel-command-line\\.target||g' \\
    cmdline.txt > cmdline.txt.partial
sync
mv cmdline.txt.partial cmdline.txt
rm -f {SCRIPT}
sync
exit 0
"""


def firstrun_seed(boot: BootPartition, machine: Machine) -> dict[str, bytes]:
    """Return the files of the first run for a Machine by name.

    `cmdline.txt`, which arms the first run, is last. Raises PicaptionError if the command line on
    the boot partition cannot be extended.
    """
    command_line = boot.read("cmdline.txt") or b""
    return {
        f"{FOLDER}/firstrun.sh": script(machine).encode(),
        "cmdline.txt": with_run(command_line.decode("utf-8-sig")).encode(),
    }


def script(machine: Machine) -> str:
    """Return the first run's script for a Machine, which calls the system's own tools."""
    commands: list[list[str]] = []
    if machine.hostname:
        commands.append([IMAGER_CUSTOM, "set_hostname", machine.hostname])
    if machine.ssh_keys:
        commands.append([IMAGER_CUSTOM, "enable_ssh", "-k", *machine.ssh_keys])
    elif machine.user:
        commands.append([IMAGER_CUSTOM, "enable_ssh"])
    if machine.user:
        commands.append([USERCONF, machine.user, machine.password])
    if machine.wifi:
        wifi = machine.wifi
        commands.append([IMAGER_CUSTOM, "set_wlan", wifi.ssid, wifi.key, wifi.country])
    if machine.timezone:
        commands.append([IMAGER_CUSTOM, "set_timezone", machine.timezone])
    lines = "".join(f"{shlex.join(command)}\n" for command in commands)
    return _SCRIPT_HEAD + lines + _SCRIPT_TAIL


def with_run(command_line: str) -> str:
    """Return a kernel's command line, one line, that has systemd run our script.

    Raises PicaptionError if it is not one line or runs another script.
    """
    if len(command_line.splitlines()) != 1:
        raise PicaptionError(
            "cmdline.txt: not one line, as the kernel's command line has to be; fix it, or write "
            "the card again"
        )
    words = command_line.split()
    scripts = [word.removeprefix(_RUN).strip('"') for word in words if word.startswith(_RUN)]
    if scripts and scripts[0] not in (SCRIPT, *_IMAGER_SCRIPTS):
        raise PicaptionError(
            f"cmdline.txt has systemd run {scripts[0]} at boot: boot the Pi once, or write the "
            "card again"
        )
    ours = ("systemd.run", "systemd.unit=kernel-command-line")
    return " ".join([word for word in words if not word.startswith(ours)] + WORDS) + "\n"
