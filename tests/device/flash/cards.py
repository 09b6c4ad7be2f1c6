"""Boot partitions as Raspberry Pi OS has them."""

import hashlib
import shutil

import pytest

needs_openssl = pytest.mark.skipif(
    not shutil.which("openssl"), reason="openssl is not installed, which hashes passwords"
)

ISSUE = "Raspberry Pi reference 2025-11-24\nGenerated using pi-gen\n"
COMMAND_LINE = (
    "console=serial0,115200 console=tty1 root=PARTUUID=4b1c25a5-02 rootfstype=ext4 "
    "fsck.repair=yes rootwait\n"
)
BOOKWORM = {
    "config.txt": "arm_64bit=1\n",
    "cmdline.txt": COMMAND_LINE,
    "issue.txt": ISSUE,
    "kernel8.img": "a kernel",
    "kernel_2712.img": "another",
    "bcm2710-rpi-3-b.dtb": "a tree",
}
TRIXIE = BOOKWORM | {
    "user-data": "#cloud-config\n# keyboard:\n#   layout: gb\n",
    "network-config": "# network:\n",
    "meta-data": "dsmode: local\ninstance_id: rpios-image\n",
}
#: What the payload's picaption does: it "captions" by its bundle, prints its version, and records
#: what else it is asked for.
PROGRAM = """
import json, os, pathlib, sys
def main():
    if sys.argv[1] == "image":
        bundle = pathlib.Path(sys.argv[sys.argv.index("--bundle") + 1]).read_bytes()
        assert bundle.endswith(b"captions"), bundle
        print(json.dumps({"caption": {"text": "VERSION"}}))
    else:
        with open(os.environ["RECORD"], "a") as file:
            print(*sys.argv, file=file)
"""

#: A systemd with the one service: a version with the file `works` comes up, one with `fails`
#: fails, any other never gets ready.
SYSTEMCTL = """#!/bin/sh
cd {home}
case "$1" in
restart) echo $(basename $(readlink current)) >> restarts; date +%N > started ;;
show)
    if [ -e current/works ]; then state=active
    elif [ -e current/fails ]; then state=failed
    else state=activating; fi
    echo ActiveState=$state; echo InvocationID=$(cat started) ;;
esac
"""


def write_program(path, text):
    """Write a program that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def make_boot(folder, files):
    """Write files, text by name, into a new folder and return it."""
    folder.mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def contents(folder):
    """Return the SHA-256 of all files of a folder, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
