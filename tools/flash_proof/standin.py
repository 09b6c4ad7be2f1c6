"""A stand-in for Raspberry Pi OS Lite (64-bit, Trixie): Debian's arm64 packages, laid out alike.

An MBR; a FAT partition `bootfs` with config.txt, cmdline.txt, kernel, initramfs and device trees,
mounted at /boot/firmware; an ext4 partition behind it; cloud-init that reads its seed from the
former. Nothing is mounted; mmdebstrap needs root, and Arm programs that can be run (qemu-user with
binfmt).
"""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

SUITE = "trixie"
ARCHIVE = "http://deb.debian.org/debian"
#: The size of the card: a power of two, as QEMU asks for.
CARD_MEBIBYTES = 4096
#: Where the boot partition begins.
BOOT_MEBIBYTES = 8
#: Where the boot partition ends and the root file system begins.
ROOT_MEBIBYTES = 520
DISK_ID = "70696361"
#: Less than Raspberry Pi OS Lite has, so that nothing is missed there; no pip, no ensurepip, no
#: compiler.
PACKAGES = (
    "systemd-sysv",
    "udev",
    "dbus",
    "libpam-systemd",
    "systemd-timesyncd",
    "linux-image-arm64",
    "initramfs-tools",
    "zstd",
    "kmod",
    "cloud-init",
    "netplan.io",
    "network-manager",
    "iproute2",
    "procps",
    "sudo",
    "e2fsprogs",
    "dosfstools",
    "ca-certificates",
    "tzdata",
    "python3",
)
#: What the initramfs finds the card with, in both machines: as small as can be, since each boot
#: unpacks it.
MODULES = (
    "ext4",
    "mmc_block",
    "sdhci_iproc",
    "bcm2835",
    "bcm2835_dma",
    "virtio_blk",
    "virtio_mmio",
    "virtio_net",
)

CONFIG = """\
# For more options and information see http://rptl.io/configtxt
arm_64bit=1
auto_initramfs=1
"""
CMDLINE = (
    f"console=serial0,115200 root=PARTUUID={DISK_ID}-02 rootfstype=ext4 fsck.repair=yes rootwait "
    "quiet\n"
)
ISSUE = f"Stand-in for Raspberry Pi OS: Debian {SUITE} arm64, stage2\n"
META = "dsmode: local\ninstance_id: rpios-image\n"
CLOUD_CONFIG = """\
datasource_list: [ NoCloud, None ]
datasource:
  NoCloud:
    seedfrom: file:///boot/firmware/
ssh_deletekeys: false
ssh_genkeytypes: []
"""
NETPLAN = "usr/lib/netplan/00-network-manager-all.yaml"
#: Files of the root file system.
FILES = {
    "etc/fstab": (
        f"PARTUUID={DISK_ID}-01 /boot/firmware vfat defaults 0 2\n"
        f"PARTUUID={DISK_ID}-02 / ext4 defaults,noatime 0 1\n"
    ),
    "etc/hostname": "raspberrypi\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 raspberrypi\n",
    "etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg": CLOUD_CONFIG,
    "etc/systemd/system/cloud-init-local.service.d/boot.conf": (
        "[Unit]\nRequiresMountsFor=/boot/firmware\n"
    ),
    NETPLAN: "network:\n  version: 2\n  renderer: NetworkManager\n",
    # Empty: the first boot gives the machine an identity, and asks nobody anything.
    "etc/machine-id": "",
}
#: Text files of the boot partition.
BOOT_FILES = {
    "config.txt": CONFIG,
    "cmdline.txt": CMDLINE,
    "issue.txt": ISSUE,
    "meta-data": META,
    "user-data": "",
    "network-config": "",
}

#: Runs a program with arguments; raises if it fails.
Run = Callable[..., None]


def build(work: Path, run: Run) -> Path:
    """Return the path of the stand-in's image in the folder `work`, built if it is missing.

    Args:
        work: the folder.
        run: called with a program and its arguments; raises if it fails.
    """
    image = work / "base.img"
    root = work / "root"
    if image.exists():
        return image
    if not (work / "root.done").exists():
        shutil.rmtree(root, ignore_errors=True)
        _bootstrap(root, run)
        (work / "root.done").touch()
    for name, text in FILES.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / NETPLAN).chmod(0o600)
    (root / "boot/firmware").mkdir(exist_ok=True)
    partial = work / "base.img.partial"
    _lay_out(partial, root, _make_boot_files(root, work / "boot"), run)
    partial.rename(image)
    return image


def _bootstrap(root: Path, run: Run) -> None:
    """Make the root file system."""
    initramfs = "$1/etc/initramfs-tools"
    modules = " ".join(MODULES)
    hook = (
        f'mkdir -p "{initramfs}/conf.d"; '
        r'printf "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n" '
        f'> "{initramfs}/conf.d/card.conf"; '
        rf'printf "%s\n" {modules} > "{initramfs}/modules"'
    )
    excluded = [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("man", "locale", "doc")]
    run(
        "mmdebstrap",
        "--variant=minbase",
        "--architectures=arm64",
        f"--include={','.join(PACKAGES)}",
        *excluded,
        f"--essential-hook={hook}",
        SUITE,
        root,
        ARCHIVE,
    )


def _make_boot_files(root: Path, folder: Path) -> Path:
    """Return `folder`, filled with what the boot partition holds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    (initramfs,) = (root / "boot").glob("initrd.img-*")
    shutil.copy(kernel, folder / "kernel8.img")
    shutil.copy(initramfs, folder / "initramfs8")
    for path in root.glob("usr/lib/linux-image-*/broadcom/bcm2*-rpi-*.dtb"):
        shutil.copy(path, folder / path.name)
    for name, text in BOOT_FILES.items():
        (folder / name).write_text(text)
    return folder


def _lay_out(image: Path, root: Path, boot: Path, run: Run) -> None:
    """Write the card's image: partitions, and the file systems in them."""
    with open(image, "wb") as file:
        file.truncate(CARD_MEBIBYTES << 20)
    boot_size = ROOT_MEBIBYTES - BOOT_MEBIBYTES
    table = (
        f"label: dos\nlabel-id: 0x{DISK_ID}\n"
        f"start={BOOT_MEBIBYTES}MiB, size={boot_size}MiB, type=c\n"
        f"start={ROOT_MEBIBYTES}MiB, type=83\n"
    )
    subprocess.run(["sfdisk", "--quiet", image], input=table, text=True, check=True)
    # Its offset is in sectors, its size in KiB.
    offset = f"--offset={BOOT_MEBIBYTES * 2048}"
    run("mkfs.vfat", "-F", "32", "-n", "bootfs", offset, image, boot_size << 10)
    run("mcopy", "-s", "-i", f"{image}@@{BOOT_MEBIBYTES}M", *sorted(boot.iterdir()), "::")
    options = [
        "-q",
        "-t",
        "ext4",
        "-L",
        "rootfs",
        "-d",
        root,
        "-E",
        f"offset={ROOT_MEBIBYTES << 20}",
    ]
    run("mke2fs", *options, image, f"{CARD_MEBIBYTES - ROOT_MEBIBYTES}M")
