"""A stand-in for Raspberry Pi OS Lite (64-bit, Trixie), whose own archive is not needed: Debian's arm64 packages, laid out alike.

An MBR; a FAT partition `bootfs` with config.txt, cmdline.txt, kernel, initramfs and device trees, mounted at /boot/firmware; an
ext4 partition behind it; cloud-init that reads its seed from the former. Nothing is mounted; mmdebstrap needs root, and Arm
programs that can be run (qemu-user with binfmt).
"""

import shutil
import subprocess
from pathlib import Path

SUITE, ARCHIVE = "trixie", "http://deb.debian.org/debian"
#: Mebibytes: of the whole card, a power of two as QEMU asks for; where its partitions begin, and the boot partition's end.
CARD, BOOT, ROOT = 4096, 8, 520
DISK = "70696361"
#: What is asked for: less than Raspberry Pi OS Lite has, so that nothing is missed there; no pip, no ensurepip, no compiler.
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
#: What the initramfs has to find the card with, in both machines: as small as can be, since each boot unpacks it.
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
CMDLINE = f"console=serial0,115200 root=PARTUUID={DISK}-02 rootfstype=ext4 fsck.repair=yes rootwait quiet\n"
ISSUE = f"Stand-in for Raspberry Pi OS: Debian {SUITE} arm64, stage2\n"
META = "dsmode: local\ninstance_id: rpios-image\n"
FILES = {
    "etc/fstab": f"PARTUUID={DISK}-01 /boot/firmware vfat defaults 0 2\nPARTUUID={DISK}-02 / ext4 defaults,noatime 0 1\n",
    "etc/hostname": "raspberrypi\n",
    "etc/hosts": "127.0.0.1 localhost\n127.0.1.1 raspberrypi\n",
    "etc/cloud/cloud.cfg.d/99_raspberry-pi.cfg": "datasource_list: [ NoCloud, None ]\ndatasource:\n  NoCloud:\n    seedfrom: file:///boot/firmware/\n"
    "ssh_deletekeys: false\nssh_genkeytypes: []\n",
    "etc/systemd/system/cloud-init-local.service.d/boot.conf": "[Unit]\nRequiresMountsFor=/boot/firmware\n",
    "usr/lib/netplan/00-network-manager-all.yaml": "network:\n  version: 2\n  renderer: NetworkManager\n",
    # Empty: the first boot gives the machine an identity, and asks nobody anything.
    "etc/machine-id": "",
}


def build(work, run):
    """Return the path of the stand-in's image in the folder `work`, made where it is not there yet.

    run: called with a program and its arguments, and raises where it fails.
    """
    image, root = work / "base.img", work / "root"
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
    (root / "usr/lib/netplan/00-network-manager-all.yaml").chmod(0o600)
    (root / "boot/firmware").mkdir(exist_ok=True)
    partial = work / "base.img.partial"
    _lay_out(partial, root, _boot_files(root, work / "boot"), run)
    partial.rename(image)
    return image


def _bootstrap(root, run):
    """Make the root file system."""
    initramfs = (
        r'printf "MODULES=list\nCOMPRESS=zstd\nCOMPRESSLEVEL=3\n" > "$1/etc/initramfs-tools/conf.d/card.conf"; '
        rf'printf "%s\n" {" ".join(MODULES)} > "$1/etc/initramfs-tools/modules"'
    )
    run(
        "mmdebstrap",
        "--variant=minbase",
        "--architectures=arm64",
        f"--include={','.join(PACKAGES)}",
        *(f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("man", "locale", "doc")),
        '--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d"; ' + initramfs,
        SUITE,
        root,
        ARCHIVE,
    )


def _boot_files(root, folder):
    """Return `folder`, filled with what the boot partition holds."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (kernel,) = (root / "boot").glob("vmlinuz-*")
    (initramfs,) = (root / "boot").glob("initrd.img-*")
    shutil.copy(kernel, folder / "kernel8.img")
    shutil.copy(initramfs, folder / "initramfs8")
    for path in root.glob("usr/lib/linux-image-*/broadcom/bcm2*-rpi-*.dtb"):
        shutil.copy(path, folder / path.name)
    for name, text in {
        "config.txt": CONFIG,
        "cmdline.txt": CMDLINE,
        "issue.txt": ISSUE,
        "meta-data": META,
        "user-data": "",
        "network-config": "",
    }.items():
        (folder / name).write_text(text)
    return folder


def _lay_out(image, root, boot, run):
    """Write the card's image: partitions, and the file systems in them."""
    with open(image, "wb") as file:
        file.truncate(CARD << 20)
    table = f"label: dos\nlabel-id: 0x{DISK}\nstart={BOOT}MiB, size={ROOT - BOOT}MiB, type=c\nstart={ROOT}MiB, type=83\n"
    subprocess.run(["sfdisk", "--quiet", image], input=table, text=True, check=True)
    run(
        "mkfs.vfat",
        "-F",
        "32",
        "-n",
        "bootfs",
        f"--offset={BOOT * 2048}",
        image,
        (ROOT - BOOT) << 10,
    )
    run("mcopy", "-s", "-i", f"{image}@@{BOOT}M", *sorted(Path(boot).iterdir()), "::")
    run(
        "mke2fs",
        "-q",
        "-t",
        "ext4",
        "-L",
        "rootfs",
        "-d",
        root,
        "-E",
        f"offset={ROOT << 20}",
        image,
        f"{CARD - ROOT}M",
    )
