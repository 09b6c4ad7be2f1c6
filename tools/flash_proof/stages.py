"""The stages of the proof; each returns rows: (what was looked at, what it came to)."""

import functools
import json
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from picaption.device import Recognizer, default_bundle
from picaption.device.bench.fingerprint import compare, read_lines
from picaption.device.bundle.archive import read_bundle, write_bundle
from picaption.device.flash.installer import read_manifest
from picaption.device.sources.demo_frames import DEMO_IMAGES, Demo

from . import cuts, guest, standin
from .card import copy, get, put
from .cuts import Trial
from .machine import BOARDS, Machine, MachineError
from .programs import run
from .proof import Proof, Row

DEMO = sorted(DEMO_IMAGES.glob("*.jpg"))
#: The demo's photographs on a card, as shell patterns: in the shape of the encoder, and as they
#: are.
CARD_IMAGES = {
    "ready": "/boot/firmware/ready/*.png",
    "demo": (
        "$(dirname $(readlink -f /opt/picaption/current/venv/lib/python3*/"
        "site-packages/picaption/device/__init__.py))/sources/demo/*.jpg"
    ),
}


def picaption(*arguments: object) -> None:
    """Run a command of this picaption."""
    program = "from picaption.device.cli import main; main()"
    run(sys.executable, "-c", program, *arguments, stdout=subprocess.DEVNULL)


def system(proof: Proof) -> list[Row]:
    """Build the stand-in for Raspberry Pi OS."""
    start = time.monotonic()
    image = standin.build(proof.work, run)
    seconds = time.monotonic() - start
    (kernel,) = (proof.work / "root/boot").glob("vmlinuz-*")
    return [
        (
            "stand-in for Raspberry Pi OS",
            f"Debian {standin.SUITE} arm64, {kernel.name}, on a card of {standin.CARD_MEBIBYTES} "
            f"MiB, {image.stat().st_blocks >> 11} MiB of them used; built in {seconds:.0f} s",
        )
    ]


def flash(proof: Proof) -> list[Row]:
    """Prepare its card by picaption flash image, and take the fingerprints of the demo here."""
    work = proof.work
    start = time.monotonic()
    settings = work / "settings.toml"
    settings.write_text(guest.SETTINGS)
    files = ["--from", work / "base.img", "--out", work / "card.img", "--config", settings]
    picaption("flash", "image", *files, "--hostname", "proof", "--source", "demo", "--web")
    seconds = time.monotonic() - start

    ready = work / "ready"
    ready.mkdir(exist_ok=True)
    _write_fingerprints(work / "here.demo.jsonl", "--ready", ready, default_bundle(), *DEMO)
    images = [ready / f"{path.stem}.png" for path in DEMO]
    _write_fingerprints(work / "here.ready.jsonl", default_bundle(), *images)
    put(work / "card.img", ready)

    payload = get(work / "card.img", "picaption/payload.tar") / "payload.tar"
    megabytes = payload.stat().st_size / 1e6
    return [
        ("`picaption flash image`", f"{seconds:.0f} s; its payload has {megabytes:.0f} MB"),
    ]


def _write_fingerprints(path: Path, *arguments: object) -> None:
    with open(path, "w") as file:
        run(sys.executable, "-m", "picaption.device.bench.fingerprint", *arguments, stdout=file)


def boots(proof: Proof, name: str) -> list[Row]:
    """Boot the prepared card twice, and compare its captions with those of this machine."""
    board = BOARDS[name]
    card = proof.work / f"{name}.img"
    copy(proof.work / "card.img", card)
    with Machine(proof.work, card, board, proof.log(name)) as machine:
        first, _ = guest.wait_for_caption(machine, guest.FIRST_BOOT_SECONDS)
        last_scene = f"""grep -q '"scene": {len(DEMO)}' {guest.CAPTIONS}"""
        machine.wait(last_scene, guest.LATER_BOOT_SECONDS)
        live = guest.json_lines(machine, f"cat {guest.CAPTIONS}")
        ready = _compare_fingerprints(proof, machine, "ready", name)
        demo = _compare_fingerprints(proof, machine, "demo", name)
        machine.off()
    with Machine(proof.work, card, board, proof.log(name)) as machine:
        second, _ = guest.wait_for_caption(machine, guest.LATER_BOOT_SECONDS)
        machine.off()
    proof.write_notes(name, {"first": first, "again": second})
    equal, scenes = _count_equal_captions(live)
    return [
        (
            f"{name}: first caption, from power on",
            f"{first:.0f} s at the first boot, {second:.0f} s at the next",
        ),
        (
            f"{name}: captions of the demo pictures in the encoder's shape, word for word as here",
            ready,
        ),
        (f"{name}: captions of the demo pictures as they are, resized there", demo),
        (
            f"{name}: captions that the service began its scenes of the demo with, against those "
            "here of the same frames",
            f"{equal} of {scenes} equal",
        ),
    ]


def _compare_fingerprints(proof: Proof, machine: Machine, images: str, name: str) -> str:
    """Return how many captions of CARD_IMAGES are equal there and here."""
    there_path = proof.work / f"{name}.{images}.jsonl"
    fingerprints = guest.fingerprints(machine, CARD_IMAGES[images])
    there_path.write_text("".join(json.dumps(line) + "\n" for line in fingerprints))
    here = read_lines(proof.work / f"here.{images}.jsonl")
    there = read_lines(there_path)
    table, is_equal = compare(here, there)
    (proof.work / f"{name}.{images}.md").write_text("\n".join(table) + "\n")
    pairs = zip(here[1:], there[1:], strict=True)
    count = sum(left["caption"] == right["caption"] for left, right in pairs)
    result = f"{count} of {len(here) - 1}"
    return f"{result}; all that is quantized equal to the bit" if is_equal else result


def _count_equal_captions(live: list[dict[str, Any]]) -> tuple[int, int]:
    """Compare the first captions of the service's scenes with those of the same frames here.

    Args:
        live: the service's JSON lines.

    Returns:
        How many are equal, and out of how many.
    """
    recognizer = Recognizer(default_bundle())
    demo = Demo()
    first_lines: dict[int, dict[str, Any]] = {}
    for line in live:
        first_lines.setdefault(line["scene"], line)
    equal = 0
    for line in first_lines.values():
        caption = recognizer(demo.frame(line["frame"])).caption
        equal += caption is not None and caption.text == line["caption"]["text"]
    return equal, len(first_lines)


def service(proof: Proof) -> list[Row]:
    """Look at the page, at systemd's view of the service, and at a V4L2 camera of Linux' own."""
    card = proof.work / "virt.img"
    with Machine(proof.work, card, BOARDS["virt"], proof.log("service"), proof.port) as machine:
        guest.wait_for_caption(machine, guest.LATER_BOOT_SECONDS)
        settings = machine.run("cat /etc/picaption.toml")
        match = re.search(r'^token = "(.*)"', settings, re.MULTILINE)
        if not match:
            raise MachineError("the settings have no token")
        statuses = {
            "its token": _http_status(proof.port, match[1]),
            "none": _http_status(proof.port, ""),
            "another": _http_status(proof.port, "x" * 32),
        }
        time.sleep(60)
        properties = guest.service_properties(machine)
        machine.run("modprobe vivid && sleep 2 && test -c /dev/video0")
        before = guest.change_source(machine, "usb:0")
        lines = guest.json_lines(machine, f"tail -c +{before + 1} {guest.CAPTIONS}")
        opened = machine.run(
            "ls -l /proc/$(systemctl show --property=MainPID --value picaption)/fd "
            "| grep -c /dev/video0"
        )
        guest.change_source(machine, "demo")
        machine.off()
    return [
        (
            "the page through a forwarded port",
            ", ".join(f"with {token}: {status}" for token, status in statuses.items()),
        ),
        (
            "systemd's view after a minute",
            ", ".join(f"{name} {value}" for name, value in properties.items()),
        ),
        (
            "a V4L2 camera (vivid)",
            f"open {opened} time by the service, which says {lines[-1]['caption']['text']!r} of "
            f"frame {lines[-1]['frame']}",
        ),
    ]


def _http_status(port: int, token: str) -> int:
    """Return the HTTP status of a machine's page for a token; "" for none."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


def rough_first(proof: Proof) -> list[Row]:
    """Cut first boots."""
    card = proof.work / "rough_first.img"

    def make_card() -> Path:
        copy(proof.work / "card.img", card)
        return card

    # A boot that starts over takes as long, and on a machine as busy as now.
    seconds = [trial.recovery.seconds for trial in proof.read_trials("rough_first") if trial]
    longest = max([proof.read_notes("virt")["first"], *seconds])
    trials = cuts.cut_first_boots(proof.work, make_card, proof.log("rough_first"), longest)
    return [run_trials(proof, "rough_first", "power cut in a first boot", trials)]


def rough_update(proof: Proof) -> list[Row]:
    """Cut updates, after one that is not disturbed."""
    summary = run_trials(proof, "rough_update", "power cut in an update", _cut_updates(proof))
    longest = proof.read_notes("rough_update")["longest"]
    outcomes = Counter(
        (trial.cut.since, trial.update_outcome())
        for trial in proof.read_trials("rough_update")
        if trial
    )
    return [
        ("an undisturbed update", f"{longest:.0f} s"),
        summary,
        *(
            (f"what the cuts after {since} left", f"{count} times {outcome}")
            for (since, outcome), count in sorted(outcomes.items())
        ),
    ]


def _cut_updates(proof: Proof) -> Iterator[Trial]:
    """Yield Trials of updates, for ever."""
    if not proof.notes_path("rough_update").exists():
        proof.write_notes("rough_update", _make_updates(proof))
    notes = proof.read_notes("rough_update")
    done = len(proof.read_trials("rough_update"))
    disturb = cuts.updating(notes["versions"], notes["longest"], done)
    card = proof.work / "rough_update.img"
    yield from cuts.cut_boots(proof.work, card, proof.log("rough_update"), disturb)


def _make_updates(proof: Proof) -> dict[str, Any]:
    """Make two updates and a card that has them, and let one of them come to its end.

    Returns:
        `versions`, what they are called where they are installed, and `longest`, the seconds that
        one takes.
    """
    work = proof.work
    card = work / "rough_update.img"
    copy(work / "virt.img", card)
    shipped = read_bundle(default_bundle())
    versions = {}
    for name in cuts.UPDATES:
        # Another bundle makes another version; the same picaption is in both.
        bundle = work / name.replace(".tar", ".tflite")
        metadata = replace(shipped.metadata, name=bundle.stem)
        write_bundle(bundle, replace(shipped, metadata=metadata))
        picaption("flash", "payload", "--bundle", bundle, "--out", work / name)
        versions[name] = read_manifest(work / name).name
        put(card, work / name)
    with Machine(work, card, BOARDS["virt"], proof.log("rough_update")) as machine:
        before = cuts.recover(machine, guest.LATER_BOOT_SECONDS).runs
        start = machine.seconds
        cuts.start_update(machine, before, versions)
        machine.wait("! systemctl is-active --quiet update", guest.FIRST_BOOT_SECONDS)
        longest = machine.seconds - start
        after = cuts.recover(machine, guest.LATER_BOOT_SECONDS).runs
        if after == before:
            raise MachineError(
                f"an update that nothing disturbed has left {after}: journalctl -u update, in "
                f"{card}, tells why"
            )
        machine.off()
    print(f"  an undisturbed update took {longest:.0f} s", file=sys.stderr, flush=True)
    return {"versions": versions, "longest": longest}


def rough_running(proof: Proof) -> list[Row]:
    """Cut a machine that captions."""
    card = proof.work / "rough_running.img"
    copy(proof.work / "virt.img", card)
    trials = cuts.cut_boots(proof.work, card, proof.log("rough_running"), cuts.let_caption)
    return [run_trials(proof, "rough_running", "power cut in a minute of captioning", trials)]


def run_trials(proof: Proof, stage: str, subject: str, trials: Iterator[Trial]) -> Row:
    """Add trials to those of a stage until there are enough, and return the row that sums them up.

    One after which the machine does not come up captioning is stored too, and raises MachineError;
    the card is left as it is.
    """
    while len(done := proof.read_trials(stage)) < proof.cuts:
        try:
            trial = next(trials)
        except MachineError:
            proof.add_trial(stage, None)
            raise
        proof.add_trial(stage, trial)
        print(f"  {trial}", file=sys.stderr, flush=True)
    good = [trial for trial in done if trial]
    seconds = [trial.recovery.seconds for trial in good] or [0.0]
    lost = sum(trial.cut.lost for trial in good)
    unflushed = sum(trial.cut.unflushed for trial in good)
    return (
        subject,
        f"{len(good)} of {len(done)} times it came up captioning, {min(seconds):.0f} to "
        f"{max(seconds):.0f} s after power on; {lost} of {unflushed} unflushed writes were lost",
    )


ROUGH: dict[str, Callable[[Proof], list[Row]]] = {
    "rough_first": rough_first,
    "rough_update": rough_update,
    "rough_running": rough_running,
}
ALL: dict[str, Callable[[Proof], list[Row]]] = {
    "system": system,
    "flash": flash,
    "raspi3b": functools.partial(boots, name="raspi3b"),
    "virt": functools.partial(boots, name="virt"),
    "service": service,
    **ROUGH,
}
