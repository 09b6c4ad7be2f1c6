"""Bookworm's way to set up a Pi: a script on the boot partition that the kernel's command line has systemd run, once."""

import shlex

from ..errors import PicaptionError
from .card import BOOT, FOLDER
from .seed import COMMAND, UNIT

SCRIPT = f"{BOOT}/{FOLDER}/firstrun.sh"
#: The script of Raspberry Pi Imager, which is run too where it is there.
OTHERS = f"{BOOT}/firstrun.sh", "/boot/firstrun.sh"
RUN = "systemd.run="
WORDS = [
    RUN + SCRIPT,
    "systemd.run_success_action=reboot",
    "systemd.unit=kernel-command-line.target",
]
MODS, USERCONF = "/usr/lib/raspberrypi-sys-mods/imager_custom", "/usr/lib/userconf-pi/userconf"

UNIT_LINES = "\n".join(f"{name}={value}" for name, value in UNIT.items())
#: The service that sets up picaption comes first: after it, nothing that is cut off is lost for good.
BEGIN = f"""\
#!/bin/bash
# Run by systemd at the first boot, as cmdline.txt says, until it has come to its end.
units=/etc/systemd/system
cat > $units/.picaption-setup.partial <<'END'
[Unit]
Description=Set up picaption
{UNIT_LINES}

[Service]
ExecStart={" ".join(COMMAND)}

[Install]
WantedBy=multi-user.target
END
sync
mv $units/.picaption-setup.partial $units/picaption-setup.service
systemctl enable picaption-setup.service

# What Raspberry Pi Imager left to be done; it takes itself away.
[ ! -f {OTHERS[0]} ] || bash {OTHERS[0]}

"""
END = f"""
cd {BOOT} || exit 1
sed -e 's| systemd\\.run[^ ]*||g' -e 's| systemd\\.unit=kernel-command-line\\.target||g' cmdline.txt > cmdline.txt.partial
sync
mv cmdline.txt.partial cmdline.txt
rm -f {SCRIPT}
sync
exit 0
"""


def firstrun_seed(boot, machine):
    """Return the files of Bookworm's first run for a Machine, bytes by name, `cmdline.txt`, which arms it, last.

    Raises PicaptionError where the command line on the boot partition cannot be added to.
    """
    return {
        f"{FOLDER}/firstrun.sh": script(machine).encode(),
        "cmdline.txt": with_run(boot.read("cmdline.txt").decode()).encode(),
    }


def script(machine):
    """Return the first run's script for a Machine, which leaves the work to the system's own tools."""
    lines = []
    if machine.hostname:
        lines.append((MODS, "set_hostname", machine.hostname))
    if machine.ssh_keys:
        lines.append((MODS, "enable_ssh", "-k", *machine.ssh_keys))
    elif machine.user:
        lines.append((MODS, "enable_ssh"))
    if machine.user:
        lines.append((USERCONF, machine.user, machine.password))
    if machine.wifi:
        lines.append((MODS, "set_wlan", machine.wifi.ssid, machine.wifi.key, machine.wifi.country))
    if machine.timezone:
        lines.append((MODS, "set_timezone", machine.timezone))
    return BEGIN + "".join(f"{shlex.join(line)}\n" for line in lines) + END


def with_run(text):
    """Return a kernel's command line, one line, that has systemd run our script; raises PicaptionError where it runs another."""
    if len(text.splitlines()) != 1:
        raise PicaptionError(
            "cmdline.txt: not one line, as the kernel's command line has to be; mend it, or write the card anew"
        )
    words = text.split()
    ran = next((word.removeprefix(RUN).strip('"') for word in words if word.startswith(RUN)), None)
    if ran not in (None, SCRIPT, *OTHERS):
        raise PicaptionError(
            f"cmdline.txt has systemd run {ran} at boot: boot the Pi once, or write the card anew"
        )
    kept = [
        word
        for word in words
        if not word.startswith(("systemd.run", "systemd.unit=kernel-command-line"))
    ]
    return " ".join(kept + WORDS) + "\n"
