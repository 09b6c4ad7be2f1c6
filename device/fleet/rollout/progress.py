"""What a device knows of roll-outs, kept on its disk, and what a manifest has it do next."""

import enum
import re
from dataclasses import asdict, dataclass
from pathlib import Path

from ...atomic import read_text, write_text
from ...errors import PicaptionError
from ...parsing import MalformedError, parse_json
from ...signing.canonical import canonical_bytes
from .manifest import ARTIFACTS, BUNDLE, VERSION, Manifest

#: What a device says of the roll-out that it knows.
WAITING = "waiting"
TAKING = "taking"
TAKEN = "taken"
FAILED = "failed"
SKIPPED = "skipped"
WENT_BACK = "went back"
_STATES = (WAITING, TAKING, TAKEN, FAILED, SKIPPED, WENT_BACK)
#: The file in a device's folder that holds it.
FILE = "rollout.json"
_MAX_BYTES = 65_536
_ID = re.compile(r"([0-9a-f]{16})?", re.ASCII)


class Action(enum.Enum):
    """What a manifest has a device do."""

    NOTHING = enum.auto()
    TAKE = enum.auto()
    GO_BACK = enum.auto()


@dataclass(frozen=True)
class Progress:
    """What a device knows of roll-outs.

    Attributes:
        serial: Of the newest manifest.
        id: Of the roll-out that it took, or tried to, last; empty: of none.
        artifact: What that rolls out.
        state: What has become of it.
        line: Why it has failed or was skipped; empty: it was not.
        bundle: The id of the roll-out whose bundle is in use; empty: none is.
        bundle_before: The id of the one whose bundle was in use before; empty: none was.
        version: The id of the roll-out whose version is in use; empty: none is.
    """

    serial: int = 0
    id: str = ""
    artifact: str = BUNDLE
    state: str = WAITING
    line: str = ""
    bundle: str = ""
    bundle_before: str = ""
    version: str = ""


def next_action(manifest: Manifest, progress: Progress, name: str) -> Action:
    """Return what a device does next.

    Args:
        manifest: The newest one.
        progress: What the device knows.
        name: What it is called.
    """
    if withdrawn_artifact(manifest, progress) is not None:
        return Action.GO_BACK
    if manifest.id != progress.id and manifest.is_due(name):
        return Action.TAKE
    return Action.NOTHING


def withdrawn_artifact(manifest: Manifest, progress: Progress) -> str | None:
    """Return what of all that a device uses was withdrawn; None: nothing."""
    for artifact, identity in ((BUNDLE, progress.bundle), (VERSION, progress.version)):
        if identity and manifest.withdraws(identity):
            return artifact
    return None


def read_progress(folder: Path) -> Progress:
    """Return what a device has noted in its folder; nothing, if there is no such note."""
    try:
        fields = parse_json(read_text(folder / FILE, _MAX_BYTES))
        progress = Progress(**fields)
    except (OSError, MalformedError, UnicodeDecodeError, TypeError):
        return Progress()
    return progress if _is_sound(progress) else Progress()


def write_progress(folder: Path, progress: Progress) -> None:
    """Note what a device knows.

    Raises:
        PicaptionError: It cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / FILE, canonical_bytes(asdict(progress)).decode())
    except OSError as error:
        raise PicaptionError(
            f"{folder}: cannot be written: {error.strerror}; set fleet_folder"
        ) from None


def _is_sound(progress: Progress) -> bool:
    texts = {name: value for name, value in asdict(progress).items() if name != "serial"}
    if type(progress.serial) is not int or any(type(text) is not str for text in texts.values()):
        return False
    identities = (progress.id, progress.bundle, progress.bundle_before, progress.version)
    return (
        progress.state in _STATES
        and progress.artifact in ARTIFACTS
        and all(_ID.fullmatch(text) for text in identities)
    )
