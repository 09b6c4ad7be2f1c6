"""What is rolled out, to whom and how far: a signed message that the broker retains."""

import fnmatch
import hashlib
import math
import re
from dataclasses import asdict, dataclass, fields
from typing import Any

from ...addresses import check_address, scheme_of
from ...errors import PicaptionError
from ...log import printable
from ...signing.canonical import canonical_bytes, decode_base64, encode_base64, parse_canonical
from ...signing.keys import SIGNATURE_BYTES, KeyRing, PrivateKey, key_id
from .health import Rules

FORMAT = "picaption manifest 1"
#: Where it is published, below the fleet's topic, and where the last one of each roll-out stays.
TOPIC = "rollout"
HISTORY_TOPIC = "rollouts"
RUNNING = "running"
PAUSED = "paused"
ABORTED = "aborted"
DONE = "done"
STATES = (RUNNING, PAUSED, ABORTED, DONE)
#: What can be rolled out.
BUNDLE = "bundle"
VERSION = "version"
ARTIFACTS = (BUNDLE, VERSION)
#: Bytes of a manifest, and of what it names, at most.
MAX_BYTES = 32_768
MAX_FILE_BYTES = 1 << 30
#: Roll-outs that are named as withdrawn at most.
MAX_WITHDRAWN = 100
_MAX_WHO = 100
_MAX_TEXT = 2000
_MAX_INTEGER = 1 << 53
_WHAT = "the roll-out's manifest"
_ID = re.compile(r"[0-9a-f]{16}", re.ASCII)


@dataclass(frozen=True)
class Manifest:
    """A roll-out.

    Attributes:
        id: 16 hexadecimal digits, its own.
        serial: Grows with every manifest of a fleet: a device takes none that is older.
        begun: When the roll-out began, in seconds since the epoch.
        state: One of STATES.
        artifact: One of ARTIFACTS.
        label: What people call the file.
        url: Where it is.
        sha256: Its SHA-256.
        size: Its bytes.
        signature: The text of its signature.
        who: Patterns of the names of the devices that it is for; none: for all.
        share: How many of 100 of them get it.
        rules: When it stops itself.
        note: Why it is in its state, for people.
        withdrawn: The ids of those before it that were aborted: who was offline learns of it here.
    """

    id: str
    serial: int
    begun: int
    state: str
    artifact: str
    label: str
    url: str
    sha256: str
    size: int
    signature: str
    who: tuple[str, ...] = ()
    share: float = 0.0
    rules: Rules = Rules()
    note: str = ""
    withdrawn: tuple[str, ...] = ()

    def is_for(self, name: str) -> bool:
        """Return whether a device is one of those that it is for, sooner or later."""
        return not self.who or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.who)

    def is_due(self, name: str) -> bool:
        """Return whether a device is to have it by now."""
        is_open = self.state in (RUNNING, DONE)
        return is_open and self.is_for(name) and position(self.id, name) < self.share

    def withdraws(self, identity: str) -> bool:
        """Return whether those that have taken a roll-out are to go back."""
        return identity in self.withdrawn or (self.state == ABORTED and self.id == identity)


def position(identity: str, name: str) -> float:
    """Return where a device stands in a roll-out, 0 to 100: another place in every one."""
    digest = hashlib.sha256(f"{identity}\n{name}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / (1 << 48) * 100


def sign_manifest(manifest: Manifest, private: PrivateKey) -> bytes:
    """Return a manifest as it is published."""
    signed = {"format": FORMAT, "key": key_id(private.public), "manifest": asdict(manifest)}
    signature = encode_base64(private.sign(canonical_bytes(signed)))
    return canonical_bytes({**signed, "signature": signature})


def parse_manifest(data: bytes, ring: KeyRing) -> Manifest:
    """Return the manifest of a message that anyone may have sent.

    Args:
        data: The message.
        ring: The keys that are trusted.

    Raises:
        PicaptionError: It is not signed, was altered, or makes no sense.
    """
    if len(data) > MAX_BYTES:
        raise PicaptionError(f"{_WHAT}: it is longer than {MAX_BYTES} bytes; refused")
    values = parse_canonical(data, _WHAT)
    signature = decode_base64(values.pop("signature", None), SIGNATURE_BYTES)
    ring.verify(values.get("key"), signature, canonical_bytes(values), _WHAT)
    content = values.get("manifest")
    if values.get("format") != FORMAT or not isinstance(content, dict):
        raise PicaptionError(f"{_WHAT}: it has a form that this picaption does not know")
    try:
        manifest = _from_json(content)
    except (TypeError, ValueError, KeyError, AttributeError):
        raise PicaptionError(f"{_WHAT}: its values make no sense; make it again") from None
    check_url(manifest.url)
    return manifest


def check_url(url: str) -> None:
    """Raise PicaptionError unless a file that is rolled out can be at an address."""
    if scheme_of(url) == "file":
        if not re.fullmatch(r"file:///[^\0-\x1f]+", url):
            raise PicaptionError(f"{printable(url)}: write it as file:///PATH")
        return
    if scheme_of(url) not in ("http", "https"):
        raise PicaptionError(
            f"{printable(url)}: devices fetch it from an https, http or file address; give one"
        )
    check_address(url)


def _from_json(content: dict[str, Any]) -> Manifest:
    """Return the manifest of JSON; raises one of four errors of Python's if it is none."""
    rules = content["rules"]
    if content.keys() != {field.name for field in fields(Manifest)}:
        raise KeyError("other entries")
    if rules.keys() != {field.name for field in fields(Rules)}:
        raise KeyError("other rules")
    lists = {name: content[name] for name in ("who", "withdrawn")}
    if any(type(entries) is not list for entries in lists.values()):
        raise TypeError("no lists")
    tuples = {name: tuple(entries) for name, entries in lists.items()}
    manifest = Manifest(**(content | tuples | {"rules": Rules(**rules)}))
    texts = (*manifest.who, manifest.label, manifest.url, manifest.signature, manifest.note)
    numbers = (manifest.share, *vars(manifest.rules).values())
    integers = (manifest.serial, manifest.begun, manifest.size)
    is_sound = (
        all(isinstance(text, str) and len(text) <= _MAX_TEXT for text in texts)
        and all(type(number) in (int, float) and math.isfinite(number) for number in numbers)
        and all(type(number) is int and 0 < number < _MAX_INTEGER for number in integers)
        and manifest.size <= MAX_FILE_BYTES
        and 0 <= manifest.share <= 100
        and len(manifest.who) <= _MAX_WHO
        and len(manifest.withdrawn) <= MAX_WITHDRAWN
        and manifest.state in STATES
        and manifest.artifact in ARTIFACTS
        and all(_ID.fullmatch(identity) for identity in (manifest.id, *manifest.withdrawn))
        and bool(re.fullmatch(r"[0-9a-f]{64}", manifest.sha256, re.ASCII))
    )
    if not is_sound:
        raise ValueError("out of bounds")
    return manifest
