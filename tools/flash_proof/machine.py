"""An emulated Raspberry Pi 3 or a generic Arm machine that boots from a card's image, spoken to over its serial line."""

import os
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from card import forget, get

#: Devices may take their time to appear, as nothing here is as fast as a Pi.
PATIENT = "loglevel=3 systemd.show_status=false systemd.default_device_timeout_sec=900"


class MachineError(Exception):
    """A machine did not do in time what it was waited for, or a command in it failed."""


@dataclass(frozen=True)
class Board:
    """One of QEMU's machines: its `arguments`, what its `serial` line is called inside, the device `tree` on the boot partition
    that it needs, how it gets the `card`, and whether it has a `network`."""

    name: str
    arguments: tuple[str, ...]
    serial: str
    tree: str
    card: tuple[str, ...]
    network: bool


BOARDS = {
    board.name: board
    for board in (
        # Its first line is Bluetooth's; the second one is what a Pi calls serial0.
        Board(
            "raspi3b",
            ("-M", "raspi3b", "-serial", "null"),
            "ttyS1",
            "bcm2837-rpi-3-b.dtb",
            ("-device", "sd-card,drive=card"),
            network=False,
        ),
        Board(
            "virt",
            ("-M", "virt", "-cpu", "cortex-a76", "-m", "1G"),
            "ttyAMA0",
            "",
            ("-device", "virtio-blk-device,drive=card"),
            network=True,
        ),
    )
}


class Machine:
    """A machine that runs from the moment this is made until it is switched off, cut, or the context ends.

    work: the folder with QEMU; card: the image it boots from, and writes to; log: the file that its serial line is added to;
    port: of this computer, behind which its port 8080 is, where the board has a network; rough: whether the card forgets some of
    what was not flushed when it is cut.
    """

    def __init__(self, work, card, board, log, port=None, rough=False):
        self.board, self.started, self._count, self._card, self._rough = (
            board,
            time.monotonic(),
            0,
            card,
            rough,
        )
        self._heard, self._changed = bytearray(), threading.Condition()
        self._log = open(log, "ab", buffering=0)
        disk = _rough_disk(work, card) if rough else f"driver=file,filename={card}"
        self._qemu = subprocess.Popen(
            _command(work, card, disk, board, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()
        self._log.close()

    @property
    def seconds(self):
        """How long it has been on."""
        return time.monotonic() - self.started

    def shell(self, timeout=300):
        """Wait until root's shell on the serial line is there, for `timeout` seconds at most; make it one that edits nothing."""
        # What is typed before, a driver that is not ready yet never gets.
        self._wait(rb"root@[^\r\n]*# ", 0, timeout, "its power: there is no shell")
        self._send("stty -echo; PS1= exec sh\n")
        self.run("dmesg -n 1")

    def run(self, command, timeout=60):
        """Return what the shell `command` prints; raises MachineError where it fails or takes longer than `timeout` seconds."""
        self._count += 1
        mark = f"{self._count}.{os.getpid()}"
        start = len(self._heard)
        # In two parts, so that the line as the terminal gives it back is not taken for the answer.
        self._send(
            f"printf '\\n<<%s>>\\n' '{mark}'; {command}\nprintf '\\n<<%s/%d>>\\n' '{mark}' $?\n"
        )
        found = self._wait(
            rb"<<%s>>\r?\n(.*?)\r?\n<<%s/(\d+)>>" % (mark.encode(), mark.encode()),
            start,
            timeout,
            command,
        )
        text = found[1].decode(errors="replace").replace("\r", "").strip("\n")
        if found[2] != b"0":
            raise MachineError(f"{command}: exit code {found[2].decode()}: {text[-500:]}")
        return text

    def wait(self, command, timeout, every=0.5):
        """Wait until the shell `command` succeeds, and return for how many seconds the machine has been on then."""
        self.run(f"until {{ {command}; }} >/dev/null 2>&1; do sleep {every}; done", timeout)
        return self.seconds

    def off(self, timeout=120):
        """Switch it off as its system does it."""
        self._send("systemctl poweroff\n")
        try:
            self._qemu.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(f"{self.board.name}: not off within {timeout} s") from None

    def cut(self):
        """Take its power away; return how many writes its card has forgotten, and of how many, where it is rough."""
        if self._qemu.poll() is None:
            self._qemu.send_signal(signal.SIGKILL)
        self._qemu.wait()
        if self._rough:
            self._rough = False
            return forget(self._card, f"{self._card}.log")

    def _send(self, text):
        try:
            self._qemu.stdin.write(text.encode())
            self._qemu.stdin.flush()
        except OSError:
            raise MachineError(
                f"{self.board.name}: has ended: {self._heard[-500:].decode(errors='replace')}"
            ) from None

    def _wait(self, pattern, start, timeout, what):
        """Return the match of `pattern` in what was heard since `start`."""
        until = time.monotonic() + timeout
        with self._changed:
            while not (found := re.search(pattern, self._heard[start:], re.DOTALL)):
                left = until - time.monotonic()
                if left <= 0 or self._qemu.poll() is not None:
                    raise MachineError(
                        f"{self.board.name}: no answer within {timeout} s to: {what}"
                    )
                self._changed.wait(min(left, 1))
        return found

    def _listen(self):
        """Take what the serial line says, in a thread of its own."""
        while data := os.read(self._qemu.stdout.fileno(), 65536):
            self._log.write(data)
            with self._changed:
                self._heard += data
                self._changed.notify_all()


def _rough_disk(work, card):
    """Return QEMU's block device that leaves a card as it is, and keeps a log of what is written and flushed."""
    overlay, log = f"{card}.overlay", f"{card}.log"
    subprocess.run(
        [
            *emulator(work, "qemu-img"),
            "create",
            "-q",
            "-f",
            "qcow2",
            "-F",
            "raw",
            "-b",
            card,
            overlay,
        ],
        check=True,
    )
    open(log, "wb").close()
    return (
        f"driver=blklogwrites,log.driver=file,log.filename={log},"
        f"file.driver=qcow2,file.file.driver=file,file.file.filename={overlay}"
    )


def _command(work, card, disk, board, port):
    """Return QEMU's command line. It does what the Pi's firmware would: reads kernel, initramfs, device tree and command line
    from the boot partition, names the serial line, and adds a shell of root's on it (systemd-debug-generator(8))."""
    boot = get(
        card, "kernel8.img", "initramfs8", "cmdline.txt", *([board.tree] if board.tree else [])
    )
    line = (boot / "cmdline.txt").read_text().strip().replace("serial0", board.serial)
    tree = ["-dtb", boot / board.tree] if board.tree else []
    net = ["-nic", "none"]
    if board.network:
        forward = f",hostfwd=tcp:127.0.0.1:{port}-:8080" if port else ""
        net = [
            "-netdev",
            f"user,id=net,restrict=on{forward}",
            "-device",
            "virtio-net-device,netdev=net",
        ]
    return [
        *emulator(work, "qemu-system-aarch64"),
        "-L",
        Path(work, "qemu/usr/share/qemu"),
        *board.arguments,
        "-serial",
        "stdio",
        "-display",
        "none",
        "-monitor",
        "none",
        "-no-reboot",
        "-blockdev",
        f"node-name=card,{disk}",
        *board.card,
        *net,
        "-kernel",
        boot / "kernel8.img",
        "-initrd",
        boot / "initramfs8",
        *tree,
        "-append",
        f"{line} {PATIENT} systemd.debug_shell={board.serial} systemd.mask=serial-getty@{board.serial}.service",
    ]


def emulator(work, program):
    """Return how a program of QEMU of Debian Trixie, unpacked in `work`, is called: with its own libraries."""
    root = Path(work, "qemu")
    (loader,) = root.glob("usr/lib*/ld-linux-*.so.2")
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    return [
        loader,
        "--library-path",
        f"{libraries}:{libraries}/pulseaudio",
        root / "usr/bin" / program,
    ]
