"""The stages of the proof: each returns rows, (what was looked at, what was found)."""

import functools
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cuts
import guest
import standin
from card import copy, get, put
from machine import BOARDS, Machine, MachineError

from picaption.device import Recognizer, default_bundle
from picaption.device.bench.fingerprint import compare, read_lines
from picaption.device.bundle.bundle import read_bundle, write_bundle
from picaption.device.flash.installer import read_manifest
from picaption.device.sources.sources import Demo
from tools import run

ROOT = Path(__file__).resolve().parents[2]
DEMO = sorted((ROOT / "device/sources/demo").glob("*.jpg"))


@dataclass(frozen=True)
class Proof:
    """The folder that all is in, how often power is cut in each stage, and the port here behind which a machine's page is."""

    work: Path
    cuts: int
    port: int

    def log(self, name):
        """Return the file for the serial lines of a stage's machines."""
        (self.work / "logs").mkdir(exist_ok=True)
        return self.work / "logs" / f"{name}.txt"

    def found(self, name):
        """Return what a stage noted beside its rows."""
        return json.loads((self.work / "notes" / f"{name}.json").read_text())

    def note(self, name, what):
        """Note what later stages need to know of this one."""
        (self.work / "notes").mkdir(exist_ok=True)
        (self.work / "notes" / f"{name}.json").write_text(json.dumps(what, indent=1))


def picaption(*arguments):
    """Run a command of this picaption."""
    run(
        sys.executable,
        "-c",
        "from picaption.device.cli import main; main()",
        *arguments,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )


def system(proof):
    """Build the stand-in for Raspberry Pi OS."""
    start = time.monotonic()
    image = standin.build(proof.work, run)
    (kernel,) = (proof.work / "root/boot").glob("vmlinuz-*")
    return [
        (
            "stand-in for Raspberry Pi OS",
            f"Debian {standin.SUITE} arm64, {kernel.name}, on a card of {standin.CARD} MiB, "
            f"{image.stat().st_blocks >> 11} MiB of them used; built in {time.monotonic() - start:.0f} s",
        )
    ]


def flash(proof):
    """Prepare its card by picaption flash image, and two updates."""
    work, start = proof.work, time.monotonic()
    (work / "settings.toml").write_text(guest.SETTINGS)
    picaption(
        "flash",
        "image",
        "--from",
        work / "base.img",
        "--out",
        work / "card.img",
        "--hostname",
        "proof",
        "--source",
        "demo",
        "--web",
        "--config",
        work / "settings.toml",
    )
    spent = time.monotonic() - start
    ready = work / "ready"
    ready.mkdir(exist_ok=True)
    for name, pictures in (
        ("demo", DEMO),
        ("ready", [ready / f"{path.stem}.png" for path in DEMO]),
    ):
        options = ["--ready", ready] if name == "demo" else []
        with open(work / f"here.{name}.jsonl", "w") as file:
            run(
                sys.executable,
                "-m",
                "picaption.device.bench.fingerprint",
                *options,
                default_bundle(),
                *pictures,
                stdout=file,
                cwd=ROOT,
            )
    put(work / "card.img", ready)
    return [
        (
            "`picaption flash image`",
            f"{spent:.0f} s; its payload has "
            f"{(get(work / 'card.img', 'picaption/payload.tar') / 'payload.tar').stat().st_size / 1e6:.0f} MB",
        )
    ]


def boots(proof, name):
    """Boot the prepared card for the first time and again, and compare what is said there with what is said here."""
    board, card = BOARDS[name], proof.work / f"{name}.img"
    copy(proof.work / "card.img", card)
    with Machine(proof.work, card, board, proof.log(name)) as machine:
        first, _ = guest.captioning(machine, guest.FIRST)
        machine.wait(f"""grep -q '"scene": {len(DEMO)}' {guest.SAID}""", guest.LATER)
        live = guest.lines(machine, f"cat {guest.SAID}")
        equal, scenes = same_captions(live)
        prints = {kind: compared(proof, machine, kind, name) for kind in ("ready", "demo")}
        machine.off()
    with Machine(proof.work, card, board, proof.log(name)) as machine:
        again, _ = guest.captioning(machine, guest.LATER)
        machine.off()
    proof.note(name, {"first": first, "again": again})
    return [
        (
            f"{name}: first caption, from power on",
            f"{first:.0f} s at the first boot, {again:.0f} s at the next",
        ),
        (
            f"{name}: captions of the demo pictures in the encoder's shape, word for word as here",
            prints["ready"],
        ),
        (f"{name}: captions of the demo pictures as they are, resized there", prints["demo"]),
        (
            f"{name}: captions that the service began its scenes of the demo with, against those here of the same frames",
            f"{equal} of {scenes} equal",
        ),
    ]


def compared(proof, machine, kind, name):
    """Return how many captions and classes of pictures are equal there and here."""
    there = proof.work / f"{name}.{kind}.jsonl"
    pictures = {
        "ready": "/boot/firmware/ready/*.png",
        "demo": "$(dirname $(readlink -f /opt/picaption/current/venv/lib/python3*/"
        "site-packages/picaption/device/__init__.py))/sources/demo/*.jpg",
    }[kind]
    there.write_text(
        "".join(json.dumps(line) + "\n" for line in guest.fingerprints(machine, pictures))
    )
    here, there = read_lines(proof.work / f"here.{kind}.jsonl"), read_lines(there)
    lines, same = compare(here, there)
    (proof.work / f"{name}.{kind}.md").write_text("\n".join(lines) + "\n")
    count = sum(one["caption"] == other["caption"] for one, other in zip(here[1:], there[1:]))
    return f"{count} of {len(here) - 1}" + (
        "; all that is quantized equal to the bit" if same else ""
    )


def same_captions(live):
    """Return how many scenes of the service's JSON lines began with the caption that the same frame has here, and of how many."""
    recognizer, demo, firsts = Recognizer(default_bundle()), Demo(), {}
    for line in live:
        firsts.setdefault(line["scene"], line)
    equal = [
        recognizer(demo.frame(line["frame"])).caption.text == line["caption"]["text"]
        for line in firsts.values()
    ]
    return sum(equal), len(equal)


def service(proof):
    """Look at the page, at systemd's view of the service, and at a V4L2 camera that Linux makes up."""
    with Machine(
        proof.work, proof.work / "virt.img", BOARDS["virt"], proof.log("service"), proof.port
    ) as machine:
        guest.captioning(machine, guest.LATER)
        token = re.search(r'^token = "(.*)"', machine.run("cat /etc/picaption.toml"), re.MULTILINE)[
            1
        ]
        codes = {
            who: status(proof.port, said)
            for who, said in (("its token", token), ("none", ""), ("another", "x" * 32))
        }
        time.sleep(60)
        kept = guest.kept(machine)
        machine.run("modprobe vivid && sleep 2 && test -c /dev/video0")
        before = guest.with_source(machine, "usb:0")
        seen = guest.lines(machine, f"tail -c +{before + 1} {guest.SAID}")
        opened = machine.run(
            "ls -l /proc/$(systemctl show --property=MainPID --value picaption)/fd | grep -c /dev/video0"
        )
        guest.with_source(machine, "demo")
        machine.off()
    return [
        (
            "the page through a forwarded port",
            ", ".join(f"with {who}: {code}" for who, code in codes.items()),
        ),
        (
            "systemd's view after a minute",
            ", ".join(f"{name} {value}" for name, value in kept.items()),
        ),
        (
            "a V4L2 camera (vivid)",
            f"open {opened} time by the service, which says {seen[-1]['caption']['text']!r} of frame "
            f"{seen[-1]['frame']}",
        ),
    ]


def status(port, token):
    """Return the HTTP status of a machine's page for who says this token."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/", headers={"Authorization": f"Bearer {token}"} if token else {}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def rough_first(proof):
    """Cut first boots."""

    def fresh():
        copy(proof.work / "card.img", proof.work / "rough_first.img")
        return proof.work / "rough_first.img"

    # One that begins anew takes as long, and on a machine as busy as now.
    longest = max(
        [
            proof.found("virt")["first"],
            *(each.get("seconds", 0) for each in noted(proof, "rough_first")),
        ]
    )
    return cut(
        proof,
        "rough_first",
        "power cut in a first boot",
        cuts.first_boots(proof.work, fresh, proof.log("rough_first"), longest),
    )


def rough_update(proof):
    """Cut updates, once one has been let through."""
    rows = cut(proof, "rough_update", "power cut in an update", updates(proof))
    kinds = Counter(
        (each["since"], cuts.left(each))
        for each in noted(proof, "rough_update")
        if "failed" not in each
    )
    rows.insert(0, ("an undisturbed update", f"{proof.found('rough_update')['longest']:.0f} s"))
    return rows + [
        (f"what the cuts after {since} left", f"{count} times {left}")
        for (since, left), count in sorted(kinds.items())
    ]


def updates(proof):
    """Give Cuts of updates, for ever."""
    log = proof.log("rough_update")
    if not (proof.work / "notes/rough_update.json").exists():
        proof.note("rough_update", undisturbed(proof, log))
    found = proof.found("rough_update")
    yield from cuts.boots(
        proof.work,
        proof.work / "rough_update.img",
        log,
        cuts.updating(found["versions"], found["longest"], len(noted(proof, "rough_update"))),
    )


def undisturbed(proof, log):
    """Make two updates and a card that has them, and let one through; return what they are called where they are installed, and
    how long one takes."""
    work, card, versions = proof.work, proof.work / "rough_update.img", {}
    copy(work / "virt.img", card)
    shipped = read_bundle(default_bundle())
    for name in cuts.UPDATES:
        # Another bundle makes another version; one and the same picaption is in both.
        bundle = work / name.replace(".tar", ".tflite")
        write_bundle(bundle, replace(shipped, metadata=replace(shipped.metadata, name=bundle.stem)))
        picaption("flash", "payload", "--bundle", bundle, "--out", work / name)
        versions[name] = read_manifest(work / name).name
        put(card, work / name)
    with Machine(work, card, BOARDS["virt"], log) as machine:
        runs = cuts.up(machine, guest.LATER)["runs"]
        start = machine.seconds
        cuts.update(machine, runs, versions)
        machine.wait("! systemctl is-active --quiet update", guest.FIRST)
        longest = machine.seconds - start
        if (now := cuts.up(machine, guest.LATER)["runs"]) == runs:
            raise MachineError(
                f"an update that nothing disturbed has left {now}: journalctl -u update, in {card}, tells why"
            )
        machine.off()
    print(f"  an undisturbed update took {longest:.0f} s", file=sys.stderr, flush=True)
    return {"versions": versions, "longest": longest}


def rough_running(proof):
    """Cut a machine that captions."""
    card = proof.work / "rough_running.img"
    copy(proof.work / "virt.img", card)
    made = cuts.boots(proof.work, card, proof.log("rough_running"), cuts.running)
    return cut(proof, "rough_running", "power cut in a minute of captioning", made)


def cut(proof, name, what, made):
    """Take as many Cuts as are asked for, beside those noted before, and return the row that sums them up. One after which the
    machine does not come up captioning is noted too, and raises MachineError; the card is left as it is."""
    while len(done := noted(proof, name)) < proof.cuts:
        try:
            failure, one = None, asdict(next(made))
        except MachineError as error:
            failure, one = error, {"failed": str(error)}
        with open(proof.work / "notes" / f"{name}.jsonl", "a") as file:
            file.write(json.dumps(one) + "\n")
        if failure:
            raise failure
        print(f"  {one}", file=sys.stderr, flush=True)
    made.close()
    good = [each for each in done if "failed" not in each]
    seconds = sorted(each["seconds"] for each in good) or [0]
    return [
        (
            what,
            f"{len(good)} of {len(done)} times it came up captioning, {seconds[0]:.0f} to {seconds[-1]:.0f} s after power on; "
            f"{sum(each['lost'] for each in good)} of {sum(each['unflushed'] for each in good)} unflushed writes were lost",
        )
    ]


def noted(proof, name):
    """Return the Cuts of a stage that have been noted, as dicts."""
    path = proof.work / "notes" / f"{name}.jsonl"
    path.parent.mkdir(exist_ok=True)
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


ROUGH = {"rough_first": rough_first, "rough_update": rough_update, "rough_running": rough_running}
ALL = {
    "system": system,
    "flash": flash,
    "raspi3b": functools.partial(boots, name="raspi3b"),
    "virt": functools.partial(boots, name="virt"),
    "service": service,
} | ROUGH
