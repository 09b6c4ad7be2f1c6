"""The bundle as a file: a TFLite graph, and behind it a zip archive with its words and metadata.

The archive's members are metadata.json, labels.txt, vocabulary.txt, names.tsv where the bundle has
names (picaption.device.bundle.names), examples.bin where it keeps what it was taught by
(picaption.device.bundle.examples), and sha256.txt, the hash of all others and of the graph. Any
interpreter opens the file as a graph, and `unzip -l` as an archive.
"""

import hashlib
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..atomic import read_file, require_no_device, write_bytes
from ..errors import PicaptionError
from ..log import printable
from .examples import KeptExamples, examples_bytes, parse_examples
from .metadata import Metadata, from_json, to_json
from .names import NamedClass, names_text, parse_names
from .vocabulary import Vocabulary

MEMBERS = ("metadata.json", "labels.txt", "vocabulary.txt")
#: The members that not every bundle has: names, and examples that it was taught by.
NAMES = "names.tsv"
EXAMPLES = "examples.bin"
HASH = "sha256.txt"
#: No archive member of an honest bundle is larger.
MAX_MEMBER_BYTES = 4 << 20
#: The most characters of a label or word.
MAX_TEXT_LENGTH = 1000
#: The first bytes of an archive member, and the flatbuffer's own file identifier.
ZIP_MAGIC = b"PK\x03\x04"
GRAPH_MAGIC = b"TFL3"

#: The archive's dates, so that equal contents make equal files.
_DATE = (1980, 1, 1, 0, 0, 0)
#: What zipfile raises for an archive that is cut short, altered or absent.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    KeyError,
    ValueError,
    OSError,
    EOFError,
    RuntimeError,
    zlib.error,
)


@dataclass(frozen=True)
class Contents:
    """A bundle's parts as stored.

    Attributes:
        graph: The flatbuffer.
        metadata: Its Metadata.
        labels: The names of the classes; none without a classifier.
        vocabulary: The captioner's words; None without a captioner.
        names: The classes of the signature `name`; none without it.
        examples: What it was taught by; None where it does not keep that.
    """

    graph: bytes
    metadata: Metadata
    labels: tuple[str, ...]
    vocabulary: Vocabulary | None
    names: tuple[NamedClass, ...] = ()
    examples: KeptExamples | None = None


@dataclass(frozen=True)
class Identity:
    """What tells a bundle from every other: the hash of its content, and where its graph ends."""

    sha256: str
    graph_bytes: int


def content_hash(graph: bytes, members: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of a bundle's graph and of its members' names and bytes, as hex digits."""
    total = hashlib.sha256(graph)
    for name in sorted(members):
        total.update(f"\0{name}\0{len(members[name])}\0".encode() + members[name])
    return total.hexdigest()


def write_bundle(path: str | Path, contents: Contents) -> None:
    """Write a bundle, completely or not at all; equal contents make equal files.

    Raises:
        PicaptionError: The file cannot be written, or holds something else.
    """
    require_bundle_or_none(path)
    with write_errors(path):
        write_bytes(path, bundle_bytes(contents))


def require_bundle_or_none(path: str | Path) -> None:
    """Check that a bundle may be written to a path: it replaces nothing but .tflite files.

    Raises:
        PicaptionError: There is a file that is none, such as a picture or a Keras model.
    """
    path = Path(path)
    require_no_device(path)
    if not path.is_file():
        return
    with write_errors(path), open(path, "rb") as file:
        start = file.read(8)
    if start and start[4:] != GRAPH_MAGIC:
        raise PicaptionError(
            f"{path} holds something else than a bundle, which would be lost; give another path"
        )


def read_bundle(path: str | Path) -> Contents:
    """Return the contents of a bundle.

    Raises:
        PicaptionError: It cannot be read, or is not a complete and unaltered bundle.
    """
    return parse_bundle(read_bytes(path, "the bundle"), path)


def parse_bundle(data: bytes, path: str | Path) -> Contents:
    """Return the contents of a bundle's bytes; errors begin with `path`.

    Raises:
        PicaptionError: They are not a complete and unaltered bundle.
    """
    if data[4:8] != GRAPH_MAGIC:
        raise PicaptionError(f"{path}: not a bundle: it does not begin as a .tflite file does")
    try:
        graph, members = split_bundle(data)
    except _ARCHIVE_ERRORS:
        if ZIP_MAGIC not in data:
            raise PicaptionError(
                f"{path}: a .tflite file, but no bundle, or one cut short: copy it again, or make "
                "one with picaption convert"
            ) from None
        raise PicaptionError(f"{path}: the bundle is cut short or damaged; copy it again") from None
    # The version comes first: a newer format may hash otherwise.
    metadata = from_json(members["metadata.json"], path)
    if members.pop(HASH).decode("ascii", "replace").strip() != content_hash(graph, members):
        raise PicaptionError(
            f"{path}: the bundle was altered: its content does not match its hash; copy it again"
        )
    try:
        words = split_lines(members["vocabulary.txt"].decode())
        labels = split_lines(members["labels.txt"].decode())
        vocabulary = Vocabulary(words) if words else None
        names = parse_names(members[NAMES].decode()) if NAMES in members else ()
        for text in (*labels, *words):
            need_readable(text)
        examples = None
        if EXAMPLES in members:
            examples = parse_examples(members[EXAMPLES], len(labels), len(words))
    except ValueError as error:  # UnicodeDecodeError is one.
        raise PicaptionError(f"{path}: its words are not valid: {error}") from None
    return Contents(graph, metadata, labels, vocabulary, names, examples)


def need_readable(text: str) -> None:
    """Raise ValueError for a label or word that a terminal or a page would obey or choke on.

    The message completes a sentence about where the text is from.
    """
    if len(text) > MAX_TEXT_LENGTH or printable(text) != text:
        raise ValueError(
            f"{text[:60]!r} has control characters, or more than {MAX_TEXT_LENGTH} characters"
        )


def read_identity(file: str | Path | BinaryIO) -> Identity:
    """Return the Identity that stands in a bundle, which parse_bundle has accepted.

    Raises:
        PicaptionError: There is no archive in the file.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            start = min(info.header_offset for info in archive.infolist())
            return Identity(archive.read(HASH).decode("ascii").strip(), start)
    except _ARCHIVE_ERRORS:
        raise PicaptionError(f"{file}: the bundle is cut short or damaged; copy it again") from None


def stored_hash(data: bytes) -> str:
    """Return the hash that stands in a bundle's bytes, which parse_bundle has accepted."""
    return read_identity(io.BytesIO(data)).sha256


def read_bytes(path: str | Path, description: str = "it") -> bytes:
    """Return the bytes of a file.

    Raises:
        PicaptionError: It cannot be read; the error calls it by its `description`.
    """
    try:
        return read_file(path)
    except OSError as error:
        raise PicaptionError(
            f"{path}: cannot read {description}: {error.strerror}; check the path"
        ) from None


def split_lines(text: str) -> tuple[str, ...]:
    """Return the lines of a text; only a line feed ends one."""
    if not text:
        return ()
    return tuple(text.removesuffix("\n").split("\n"))


@contextmanager
def write_errors(path: str | Path) -> Iterator[None]:
    """Raise an OSError as a PicaptionError about the bundle at `path`."""
    try:
        yield
    except OSError as error:
        raise PicaptionError(f"{path}: cannot write the bundle: {error.strerror}") from None


def bundle_bytes(contents: Contents) -> bytes:
    """Return a bundle as the bytes of its file; equal contents make equal bytes."""
    words = contents.vocabulary.words if contents.vocabulary else ()
    members = {
        "metadata.json": to_json(contents.metadata).encode(),
        "labels.txt": "".join(f"{label}\n" for label in contents.labels).encode(),
        "vocabulary.txt": "".join(f"{word}\n" for word in words).encode(),
    }
    if contents.names:
        members[NAMES] = names_text(contents.names).encode()
    if contents.examples is not None:
        members[EXAMPLES] = examples_bytes(contents.examples)
    members[HASH] = content_hash(contents.graph, members).encode()
    return zip_bundle(contents.graph, members)


def zip_bundle(graph: bytes, members: Mapping[str, bytes]) -> bytes:
    """Return a graph with an archive of these members behind it."""
    file = io.BytesIO(graph)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), data, zipfile.ZIP_DEFLATED)
    return file.getvalue()


def split_bundle(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return a bundle's graph and its archive's members."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = {name: archive.getinfo(name) for name in (*MEMBERS, HASH)}
        for name in {NAMES, EXAMPLES}.intersection(archive.namelist()):
            infos[name] = archive.getinfo(name)
        if any(info.file_size > MAX_MEMBER_BYTES for info in infos.values()):
            raise ValueError("a member is too large")
        start = min(info.header_offset for info in archive.infolist())
        return data[:start], {name: archive.read(info) for name, info in infos.items()}
