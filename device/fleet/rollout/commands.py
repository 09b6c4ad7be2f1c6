"""`picaption fleet roll-out`, `pause`, `abort` and `history`: something new for all, in steps."""

import json
import secrets
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from ...cli import PathType
from ...config.options import some_options
from ...errors import PicaptionError
from ...flash.update import is_bundle
from ...log import say
from ...signing.keys import KeyRing, PrivateKey, public_key, read_private_key, read_ring
from ...signing.signature import file_digest, sign_digest
from ..key_commands import need_valid, private_option, ring_option
from ..status_command import BROKER_SETTINGS, broker_config
from .health import Rules
from .lead import Change, Leader, change_state, need_current, read_history
from .ledger import Ledger
from .manifest import (
    ABORTED,
    BUNDLE,
    DONE,
    MAX_FILE_BYTES,
    PAUSED,
    RUNNING,
    VERSION,
    Manifest,
    check_url,
)

_DEFAULTS = Rules()
_share = click.FloatRange(0, 1)
_ring_option = click.option(
    "--ring",
    "ring_path",
    type=PathType(path_type=Path),
    metavar="FILE",
    help="The ring of keys whose roll-outs count; that of --private alone by default.",
)


@click.command("roll-out")
@click.argument("file", metavar="[FILE]", required=False, type=PathType(path_type=Path))
@click.option("--url", metavar="URL", help="Where the devices fetch that file.")
@private_option
@_ring_option
@click.option(
    "--shares",
    default="5,25,100",
    show_default=True,
    metavar="LIST",
    help="The steps, in per cent of the devices.",
)
@click.option(
    "--who", multiple=True, metavar="PATTERN", help="Only devices whose names fit, such as shop-*."
)
@click.option(
    "--soak",
    type=click.FloatRange(0),
    default=_DEFAULTS.soak_seconds,
    show_default=True,
    metavar="S",
    help="Seconds that a step lasts at least.",
)
@click.option(
    "--alpha",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=_DEFAULTS.alpha,
    show_default=True,
    metavar="P",
    help="The chance of stopping something harmless, at most.",
)
@click.option(
    "--fps-loss",
    type=_share,
    default=_DEFAULTS.fps_loss,
    show_default=True,
    metavar="SHARE",
    help="Frames a second that may be lost.",
)
@click.option(
    "--unsure-gain",
    type=_share,
    default=_DEFAULTS.unsure_gain,
    show_default=True,
    metavar="SHARE",
    help="What the share of unsure frames may grow by.",
)
@some_options(*BROKER_SETTINGS)
def roll_out_command(
    file: Path | None,
    url: str | None,
    private_path: Path,
    ring_path: Path | None,
    shares: str,
    who: tuple[str, ...],
    soak: float,
    alpha: float,
    fps_loss: float,
    unsure_gain: float,
    config_path: Path | None,
    **overrides: Any,
) -> None:
    """Give a bundle or a version to all devices.

    FILE is a bundle or a payload of `picaption flash payload`; without it, the roll-out that stands
    goes on. The command leads it to its end. Where the devices that have it get worse than the
    others, it stops, and they go back. After ctrl-C, it stays at its step.
    """
    config = broker_config(config_path, overrides)
    steps = parse_shares(shares)
    private, ring = read_keys(private_path, ring_path)
    rules = Rules(alpha, fps_loss, unsure_gain, soak_seconds=soak)
    begin: Change
    if file is None:
        begin = _continued
    elif url is None:
        raise PicaptionError("name where the devices fetch FILE: --url https://HOST/PATH")
    else:
        begin = starting(make_manifest(file, url, private, who, rules))
    Leader(config, private, ring, begin, steps).lead()


@click.command("pause")
@private_option
@_ring_option
@some_options(*BROKER_SETTINGS)
def pause_command(
    private_path: Path, ring_path: Path | None, config_path: Path | None, **overrides: Any
) -> None:
    """Let no more devices have what is rolled out."""
    _change_state(private_path, ring_path, config_path, overrides, PAUSED)


@click.command("abort")
@private_option
@_ring_option
@some_options(*BROKER_SETTINGS)
def abort_command(
    private_path: Path, ring_path: Path | None, config_path: Path | None, **overrides: Any
) -> None:
    """Take back what is rolled out."""
    _change_state(private_path, ring_path, config_path, overrides, ABORTED)


@click.command("history")
@ring_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a roll-out.")
@some_options(*BROKER_SETTINGS)
def history_command(
    ring_path: Path, as_json: bool, config_path: Path | None, **overrides: Any
) -> None:
    """List the roll-outs, the oldest first."""
    config = broker_config(config_path, overrides)
    for manifest in read_history(config, read_ring(ring_path)):
        say(json.dumps(asdict(manifest)) if as_json else history_line(manifest))


def history_line(manifest: Manifest) -> str:
    """Return a line about a roll-out; its times are of UTC."""
    day = time.strftime("%Y-%m-%d %H:%M", time.gmtime(manifest.begun))
    words = [
        f"{day}  {manifest.id}  {manifest.artifact:7}  {manifest.state:7}  {manifest.share:3.0f} %",
        manifest.label,
        manifest.note,
    ]
    return "  ".join(filter(None, words))


def parse_shares(text: str) -> list[float]:
    """Return the shares of "5,25,100".

    Raises:
        PicaptionError: It is anything else.
    """
    try:
        shares = [float(part) for part in text.split(",")]
    except ValueError:
        shares = []
    if not shares or shares != sorted(set(shares)) or not 0 < shares[0] <= shares[-1] <= 100:
        raise PicaptionError(f"--shares {text}: write growing numbers up to 100, as 5,25,100")
    return shares


def read_keys(private_path: Path, ring_path: Path | None) -> tuple[PrivateKey, KeyRing]:
    """Return the key that signs, and the ring of keys whose roll-outs count.

    Raises:
        PicaptionError: One of them cannot be read, or the key does not hold in the ring.
    """
    private = read_private_key(private_path)
    if ring_path is None:
        return private, KeyRing((public_key(private, "own"),))
    ring = read_ring(ring_path)
    need_valid(private, ring, private_path)
    return private, ring


def make_manifest(
    file: Path, url: str, private: PrivateKey, who: tuple[str, ...], rules: Rules
) -> Manifest:
    """Return the manifest of a new roll-out, which nobody gets yet.

    Args:
        file: What is rolled out.
        url: Where the devices fetch it.
        private: The key that signs.
        who: Patterns of the names of the devices that it is for; none: for all.
        rules: When it stops itself.

    Raises:
        PicaptionError: The file cannot be read, or the address can be none.
    """
    check_url(url)
    artifact = BUNDLE if is_bundle(file) else VERSION
    sha256, size = file_digest(file)
    if not 0 < size <= MAX_FILE_BYTES:
        raise PicaptionError(f"{file}: it has {size} bytes; at most {MAX_FILE_BYTES} are taken")
    now = int(time.time())
    return Manifest(
        id=secrets.token_hex(8),
        serial=now,
        begun=now,
        state=RUNNING,
        artifact=artifact,
        label=file.stem,
        url=url,
        sha256=sha256,
        size=size,
        signature=sign_digest(private, sha256, size).decode(),
        who=who,
        rules=rules,
    )


def starting(manifest: Manifest) -> Change:
    """Return what makes a new roll-out follow those that stand at the broker."""

    def begin(ledger: Ledger) -> Manifest:
        newest = ledger.current.serial if ledger.current else 0
        serial = max(manifest.serial, newest)
        return replace(manifest, serial=serial, withdrawn=ledger.withdrawn())

    return begin


def _continued(ledger: Ledger) -> Manifest:
    """Return the roll-out that stands at the broker, which goes on."""
    current = need_current(ledger)
    if current.state in (ABORTED, DONE):
        raise PicaptionError(
            f"{current.label}: it is {current.state}; name a FILE to begin another"
        )
    return current


def _change_state(
    private_path: Path,
    ring_path: Path | None,
    config_path: Path | None,
    overrides: dict[str, Any],
    state: str,
) -> None:
    config = broker_config(config_path, overrides)
    private, ring = read_keys(private_path, ring_path)
    manifest = change_state(config, private, ring, state)
    say(f"{manifest.label}: {state}")
