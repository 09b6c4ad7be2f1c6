"""Payloads for cards and updates, with a manifest that fits what was changed, or does not."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from random import Random

from picaption.device.errors import PicaptionError
from picaption.device.flash import payload
from picaption.device.flash.installer import MANIFEST, InstallError, read_manifest, unpack

from .kind import Kind
from .mutation import mutate_bytes, mutate_text

_OUTSIDE = "outside"
_NAMES = (
    "../outside",
    "/tmp/outside",
    "wheels/../../outside",
    "wheels/a-1-py3-none-any.whl/b",
    "wheels/",
    "",
    ".",
    "wheels/\0",
    "wheels/" + "a" * 300,
    MANIFEST,
)
_TYPES = (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.DIRTYPE, tarfile.CHRTYPE)


def _seeds(folder: Path) -> list[bytes]:
    wheel = folder / "wheel"
    wheel.write_bytes(b"no wheel")
    target = folder / "payload.tar"
    payload.write(target, "3.13", {"wheels/a-1-py3-none-any.whl": wheel, "bundle.tflite": wheel})
    return [target.read_bytes()]


def _mutate(seed: bytes, random: Random) -> bytes:
    """Return a mutated archive, an archive of a mutated manifest, or one of other members."""
    action = random.randrange(3)
    if action == 0:
        return mutate_bytes(seed, random)
    with tarfile.open(fileobj=io.BytesIO(seed)) as archive:
        members = [(member, archive.extractfile(member)) for member in archive]
        contents = {member.name: file.read() for member, file in members if file}
    manifest = contents.pop(MANIFEST)
    if action == 1:
        return _archive(mutate_text(manifest, random), contents)
    name = random.choice(list(contents))
    fields = json.loads(manifest)
    content = contents.pop(name)
    other = random.choice((name, *_NAMES))
    del fields["files"][name]
    fields["files"][other] = hashlib.sha256(content).hexdigest()
    contents[other] = content
    kind = random.choice((tarfile.REGTYPE, *_TYPES))
    return _archive(json.dumps(fields).encode(), contents, {other: kind})


def _archive(
    manifest: bytes, contents: dict[str, bytes], types: dict[str, bytes] | None = None
) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in {MANIFEST: manifest, **contents}.items():
            member = tarfile.TarInfo(name)
            member.type = (types or {}).get(name, tarfile.REGTYPE)
            member.size = len(content) if member.isreg() else 0
            member.linkname = f"../../{_OUTSIDE}"
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def _use(content: bytes, folder: Path) -> None:
    """Unpack a payload, and see that nothing came to lie outside its folder."""
    path = folder / "payload.tar"
    path.write_bytes(content)
    inside = folder / "versions" / "one"
    inside.mkdir(parents=True, exist_ok=True)
    before = set(folder.iterdir()) | set(inside.parent.iterdir())
    try:
        unpack(path, read_manifest(path), inside)
    except InstallError as error:
        raise PicaptionError(str(error)) from None
    finally:
        after = set(folder.iterdir()) | set(inside.parent.iterdir())
        if after != before:
            raise AssertionError("it wrote outside of its folder")


KINDS = (Kind("payloads", _seeds, _use, _mutate),)
