"""What the proof runs with: Debian's programs, and QEMU 10 of Debian Trixie in its own folder."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import IO

from .standin import ARCHIVE, SUITE

#: Programs and the packages that bring them.
PACKAGES = {
    "mmdebstrap": "mmdebstrap",
    "arch-test": "arch-test",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "sfdisk": "fdisk",
    "mke2fs": "e2fsprogs",
    "qemu-aarch64-static": "qemu-user-static",
    "update-binfmts": "binfmt-support",
}
BINFMT_MISC = Path("/proc/sys/fs/binfmt_misc")


def run(*command: object, cwd: Path | None = None, stdout: IO[str] | int | None = None) -> None:
    """Run a program; raises subprocess.CalledProcessError if it fails.

    Args:
        command: the program and its arguments.
        cwd: the folder that it runs in; None for this one.
        stdout: where its output goes; None for where this program's goes.
    """
    subprocess.run([str(word) for word in command], check=True, cwd=cwd, stdout=stdout)


def install_programs(work: Path) -> None:
    """Install what is missing: packages, what runs Arm programs, and QEMU in the folder `work`."""
    os.environ["PATH"] += ":/usr/sbin:/sbin"
    missing = [package for program, package in PACKAGES.items() if not shutil.which(program)]
    if missing:
        run("apt-get", "install", "--yes", "--no-install-recommends", *missing)
    if not (BINFMT_MISC / "status").exists():
        run("mount", "-t", "binfmt_misc", "binfmt_misc", BINFMT_MISC)
    if not (BINFMT_MISC / "qemu-aarch64").exists():
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
