"""What the proof runs with: Debian's programs on this machine, and QEMU 10 of Debian Trixie in a folder of its own."""

import os
import shutil
import subprocess
from pathlib import Path

from standin import ARCHIVE, SUITE

#: Programs and the packages that bring them.
NEEDED = {
    "mmdebstrap": "mmdebstrap",
    "arch-test": "arch-test",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "qemu-aarch64-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
}
FORMATS = Path("/proc/sys/fs/binfmt_misc")


def run(*command, **how):
    """Run a program; raises subprocess.CalledProcessError where it fails."""
    subprocess.run([str(part) for part in command], check=True, **how)


def ready(work):
    """See to it that all is there: packages are installed, Arm programs can be run, and QEMU lies in the folder `work`."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    if missing := [package for program, package in NEEDED.items() if not shutil.which(program)]:
        run("apt-get", "install", "--yes", "--no-install-recommends", *missing)
    if not (FORMATS / "status").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", FORMATS)
    if not (FORMATS / "qemu-aarch64").exists():
        run("update-binfmts", "--enable", "qemu-aarch64")
    if not (work / "qemu").exists():
        partial = work / "qemu.partial"
        shutil.rmtree(partial, ignore_errors=True)
        run(
            "mmdebstrap",
            "--quiet",
            "--variant=extract",
            "--include=qemu-system-arm,qemu-utils",
            SUITE,
            partial,
            ARCHIVE,
        )
        partial.rename(work / "qemu")
