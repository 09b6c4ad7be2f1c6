"""An emulated Raspberry Pi 3, or a generic Arm machine, that boots a card's image.

It is spoken to over its serial line.
"""

import os
import random
import re
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from .card import apply_power_cut, get

#: Devices may take their time to appear, as nothing here is as fast as a Pi.
PATIENT_COMMAND_LINE = "loglevel=3 systemd.show_status=false systemd.default_device_timeout_sec=900"


class MachineError(Exception):
    """A machine did not do in time what it was waited for, or a command in it failed."""


@dataclass(frozen=True)
class Board:
    """One of QEMU's machines.

    Attributes:
        name: what this proof calls it.
        arguments: QEMU's arguments for it.
        serial: what its serial line is called inside.
        tree: the device tree on the boot partition that it needs; "" for none.
        card: QEMU's arguments that connect the card.
        network: whether it has a network.
    """

    name: str
    arguments: tuple[str, ...]
    serial: str
    tree: str
    card: tuple[str, ...]
    network: bool


BOARDS = {
    "raspi3b": Board(
        name="raspi3b",
        # Its first line is Bluetooth's; the second one is what a Pi calls serial0.
        arguments=("-M", "raspi3b", "-serial", "null"),
        serial="ttyS1",
        tree="bcm2837-rpi-3-b.dtb",
        card=("-device", "sd-card,drive=card"),
        network=False,
    ),
    "virt": Board(
        name="virt",
        arguments=("-M", "virt", "-cpu", "cortex-a76", "-m", "1G"),
        serial="ttyAMA0",
        tree="",
        card=("-device", "virtio-blk-device,drive=card"),
        network=True,
    ),
}


class Machine:
    """A machine that runs until it is switched off, cut, or the context ends.

    Args:
        work: the folder with QEMU.
        card: the path of the image that it boots from and writes to.
        board: what it is.
        log: the file that its serial line is appended to.
        port: a port of this computer that leads to its port 8080; None for none.
        rough: whether its card forgets some of what was not flushed when it is cut.
    """

    def __init__(
        self,
        work: Path,
        card: Path,
        board: Board,
        log: Path,
        port: int | None = None,
        rough: bool = False,
    ) -> None:
        self.board = board
        self.started = time.monotonic()
        self._card = card
        self._rough = rough
        self._command_count = 0
        self._output = bytearray()
        self._changed = threading.Condition()
        self._log = log
        disk = _rough_disk(work, card) if rough else f"driver=file,filename={card}"
        self._qemu = subprocess.Popen(
            _command(work, card, disk, board, port),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> "Machine":
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cut()

    @property
    def seconds(self) -> float:
        """How long it has been on."""
        return time.monotonic() - self.started

    def shell(self, timeout: float = 300) -> None:
        """Wait for root's shell on the serial line, for `timeout` seconds at most."""
        # What is typed before, a driver that is not ready yet never gets.
        self._wait(rb"root@[^\r\n]*# ", 0, timeout, "its power: there is no shell")
        # One that edits nothing.
        self._send("stty -echo; PS1= exec sh\n")
        self.run("dmesg -n 1")

    def run(self, command: str, timeout: float = 60) -> str:
        """Return what the shell `command` prints.

        Raises MachineError if it fails or takes longer than `timeout` seconds.
        """
        self._command_count += 1
        mark = f"{self._command_count}.{os.getpid()}"
        start = len(self._output)
        # In two parts, so that the line as the terminal echoes it is not taken for the answer.
        self._send(
            f"printf '\\n<<%s>>\\n' '{mark}'; {command}\nprintf '\\n<<%s/%d>>\\n' '{mark}' $?\n"
        )
        pattern = rb"<<%s>>\r?\n(.*?)\r?\n<<%s/(\d+)>>" % (mark.encode(), mark.encode())
        match = self._wait(pattern, start, timeout, command)
        text = match[1].decode(errors="replace").replace("\r", "").strip("\n")
        if match[2] != b"0":
            raise MachineError(f"{command}: exit code {match[2].decode()}: {text[-500:]}")
        return text

    def wait(self, command: str, timeout: float, every: float = 0.5) -> float:
        """Wait until a shell command succeeds.

        Args:
            command: the command.
            timeout: seconds after which MachineError is raised.
            every: seconds between two tries.

        Returns:
            The seconds that the machine has been on.
        """
        loop = f"until {{ {command}; }} >/dev/null 2>&1; do sleep {every}; done"
        self.run(loop, timeout)
        return self.seconds

    def off(self, timeout: float = 120) -> None:
        """Shut its system down."""
        self._send("systemctl poweroff\n")
        try:
            self._qemu.wait(timeout)
        except subprocess.TimeoutExpired:
            raise MachineError(f"{self.board.name}: not off within {timeout} s") from None

    def cut(self) -> tuple[int, int]:
        """Take its power away.

        Returns:
            How many writes a rough card has forgotten, and out of how many.
        """
        if self._qemu.poll() is None:
            self._qemu.send_signal(signal.SIGKILL)
        self._qemu.wait()
        if not self._rough:
            return 0, 0
        self._rough = False
        return apply_power_cut(self._card, Path(f"{self._card}.log"), random.Random())

    def _send(self, text: str) -> None:
        assert self._qemu.stdin
        try:
            self._qemu.stdin.write(text.encode())
            self._qemu.stdin.flush()
        except OSError:
            output = self._output[-500:].decode(errors="replace")
            raise MachineError(f"{self.board.name}: has ended: {output}") from None

    def _wait(self, pattern: bytes, start: int, timeout: float, purpose: str) -> re.Match[bytes]:
        """Return the match of `pattern` in the output from `start` on, as soon as there is one."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                match = re.search(pattern, bytes(self._output[start:]), re.DOTALL)
                if match:
                    return match
                remaining = deadline - time.monotonic()
                if remaining <= 0 or self._qemu.poll() is not None:
                    raise MachineError(
                        f"{self.board.name}: no answer within {timeout} s to: {purpose}"
                    )
                self._changed.wait(min(remaining, 1))

    def _listen(self) -> None:
        """Take in the output of the serial line, in a thread of its own."""
        assert self._qemu.stdout
        with open(self._log, "ab", buffering=0) as log:
            while data := os.read(self._qemu.stdout.fileno(), 65536):
                log.write(data)
                with self._changed:
                    self._output += data
                    self._changed.notify_all()


def _rough_disk(work: Path, card: Path) -> str:
    """Return QEMU's block device that leaves a card as it is.

    It keeps a log of what is written and flushed.
    """
    overlay = f"{card}.overlay"
    log = f"{card}.log"
    create: list[str | Path] = ["create", "-q", "-f", "qcow2", "-F", "raw", "-b", card, overlay]
    command = [*emulator(work, "qemu-img"), *create]
    subprocess.run(command, check=True)
    open(log, "wb").close()
    return (
        f"driver=blklogwrites,log.driver=file,log.filename={log},"
        f"file.driver=qcow2,file.file.driver=file,file.file.filename={overlay}"
    )


def _command(work: Path, card: Path, disk: str, board: Board, port: int | None) -> list[str | Path]:
    """Return QEMU's command line.

    It does what the Pi's firmware would: reads kernel, initramfs, device tree and command line from
    the boot partition and names the serial line. It adds a shell of root's on it
    (systemd-debug-generator(8)).
    """
    trees = [board.tree] if board.tree else []
    boot = get(card, "kernel8.img", "initramfs8", "cmdline.txt", *trees)
    kernel_line = (boot / "cmdline.txt").read_text().strip().replace("serial0", board.serial)
    kernel_line += (
        f" {PATIENT_COMMAND_LINE} systemd.debug_shell={board.serial}"
        f" systemd.mask=serial-getty@{board.serial}.service"
    )
    command: list[str | Path] = [*emulator(work, "qemu-system-aarch64")]
    command += ["-L", Path(work, "qemu/usr/share/qemu"), *board.arguments]
    command += ["-serial", "stdio", "-display", "none", "-monitor", "none", "-no-reboot"]
    command += ["-blockdev", f"node-name=card,{disk}", *board.card]
    command += _network_arguments(board, port)
    command += ["-kernel", boot / "kernel8.img", "-initrd", boot / "initramfs8"]
    if board.tree:
        command += ["-dtb", boot / board.tree]
    return [*command, "-append", kernel_line]


def _network_arguments(board: Board, port: int | None) -> list[str]:
    if not board.network:
        return ["-nic", "none"]
    network = "user,id=net,restrict=on"
    if port:
        network += f",hostfwd=tcp:127.0.0.1:{port}-:8080"
    return ["-netdev", network, "-device", "virtio-net-device,netdev=net"]


def emulator(work: Path, program: str) -> list[str | Path]:
    """Return the command that runs a program of the QEMU in `work` with its own libraries."""
    root = Path(work, "qemu")
    (loader,) = root.glob("usr/lib*/ld-linux-*.so.2")
    libraries = next(root.glob("usr/lib/*-linux-gnu"))
    return [
        loader,
        "--library-path",
        f"{libraries}:{libraries}/pulseaudio",
        root / "usr/bin" / program,
    ]
