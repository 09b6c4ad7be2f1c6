"""The bundle: one .tflite file that holds everything picaption needs to say what a picture shows.

A TFLite flatbuffer with up to three signatures,

    encode    image uint8 [1, H, W, 3]                        -> features [1, F], context [1, C], tags [1, T]
    next_word history int32 [beam, order-1], context [1, C]   -> logits [beam, V]
    classify  features [1, F], caption [1, V]                 -> scores [1, classes]

with a zip archive behind it: metadata.json, labels.txt, vocabulary.txt, sha256.txt. Any interpreter opens
the file as a graph, and `unzip -l` as an archive. With attention over G places of the picture, the context is
[1, G, C]; the classifier's caption is the words' evidence (picaption.device.bundle.word_evidence); with activations of 16 bits,
the history is float32. Without a captioner there is no `next_word`, `encode` gives features alone and `classify` takes
them alone, as others' classifiers do beside a captioner; without labels there is no `classify`.
"""

import hashlib
import importlib.util
import io
import os
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..atomic import atomic_write
from ..errors import PicaptionError
from .metadata import Metadata, from_json, to_json
from .prompts import encode_prompts
from .runtime import make_interpreter
from .vocabulary import Vocabulary

MEMBERS = ("metadata.json", "labels.txt", "vocabulary.txt")
HASH = "sha256.txt"
#: No archive member of an honest bundle is larger.
MAX_MEMBER = 4 << 20
#: The first bytes of an archive member, and the flatbuffer's own file identifier.
ZIP_MAGIC, GRAPH_MAGIC = b"PK\x03\x04", b"TFL3"


@dataclass(frozen=True)
class Encoded:
    """What `encode` gives for one picture: float32 features [1, F], the captioner's context and the
    tags' probabilities [T]; the last two are None without a captioner."""

    features: np.ndarray
    context: np.ndarray | None
    tags: np.ndarray | None


@dataclass(frozen=True)
class Contents:
    """A bundle's parts as stored; vocabulary is None without a captioner."""

    graph: bytes
    metadata: Metadata
    labels: tuple[str, ...]
    vocabulary: Vocabulary | None


def log_softmax(logits):
    """Turn logits, float32 [..., V], into log-probabilities in place, and return them."""
    logits -= logits.max(axis=-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits


def default_bundle():
    """Return the path of the shipped bundle; raises PicaptionError where it is not installed."""
    package = importlib.util.find_spec(
        "picaption.models"
    )  # Located, not imported: models needs TensorFlow.
    for folder in package.submodule_search_locations if package else ():
        path = Path(folder, "pretrained", "everyday.tflite")
        if path.is_file():
            return path
    raise PicaptionError(
        "the shipped bundle is not installed: reinstall picaption, or name a bundle with --bundle"
    )


def content_hash(graph, members):
    """Return the SHA-256 of a bundle's graph and of its members' names and bytes, in hexadecimal."""
    total = hashlib.sha256(graph)
    for name in sorted(members):
        total.update(f"\0{name}\0{len(members[name])}\0".encode() + members[name])
    return total.hexdigest()


def archive_members(contents):
    """Return the archive's members of Contents as bytes by name, but for their hash."""
    words = contents.vocabulary.words if contents.vocabulary else ()
    return {
        "metadata.json": to_json(contents.metadata).encode(),
        "labels.txt": "".join(f"{label}\n" for label in contents.labels).encode(),
        "vocabulary.txt": "".join(f"{word}\n" for word in words).encode(),
    }


def write_bundle(path, contents):
    """Write Contents to `path`, whole or not at all; equal contents give equal bytes."""
    with _writing(path):
        _write(path, contents)


@contextmanager
def _writing(path):
    """A context in which what the system refuses becomes a PicaptionError about the bundle at `path`."""
    try:
        yield
    except OSError as error:
        raise PicaptionError(f"{path}: cannot write the bundle: {error.strerror}") from None


def _write(path, contents):
    members = archive_members(contents)
    file = io.BytesIO(contents.graph)
    with zipfile.ZipFile(file, "a", zipfile.ZIP_DEFLATED) as archive:
        for name, data in (
            members | {HASH: content_hash(contents.graph, members).encode()}
        ).items():
            archive.writestr(
                zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED
            )
    with atomic_write(path) as partial:
        partial.write_bytes(file.getbuffer())


def write_checked(path, contents, check=None):
    """Write Contents to `path` as write_bundle does, once they have been opened as a Bundle and `check`, given it, raised
    nothing."""
    unchecked = Path(f"{path}.unchecked")
    try:
        with _writing(path):
            _write(unchecked, contents)
        bundle = Bundle(unchecked)
        if check:
            check(bundle)
        with _writing(path):
            os.replace(unchecked, path)
    finally:
        unchecked.unlink(missing_ok=True)


def read_bundle(path):
    """Return the Contents of the bundle at `path`; raises PicaptionError where it is not whole and unaltered."""
    path = Path(path)
    data = read_bytes(path, "the bundle")
    if data[4:8] != GRAPH_MAGIC:
        raise PicaptionError(f"{path}: not a bundle: it does not begin as a .tflite file does")
    try:
        graph, members = _split(data)
    except (
        zipfile.BadZipFile,
        KeyError,
        ValueError,
        OSError,
        EOFError,
        RuntimeError,
        zipfile.zlib.error,
    ):
        if ZIP_MAGIC not in data:
            raise PicaptionError(
                f"{path}: a .tflite file, but no bundle, or one cut short: copy it again, or make one "
                "with picaption convert"
            ) from None
        raise PicaptionError(f"{path}: the bundle is cut short or damaged; copy it again") from None
    # The version comes first: a newer format may hash otherwise.
    metadata = from_json(members["metadata.json"], path)
    if members.pop(HASH).decode("ascii", "replace").strip() != content_hash(graph, members):
        raise PicaptionError(
            f"{path}: the bundle was altered: its content does not match its hash; copy it again"
        )
    try:
        words, labels = (
            split_lines(members[name].decode()) for name in ("vocabulary.txt", "labels.txt")
        )
        vocabulary = Vocabulary(words) if words else None
    except ValueError as error:  # UnicodeDecodeError is one
        raise PicaptionError(f"{path}: its words are not valid: {error}") from None
    return Contents(graph, metadata, labels, vocabulary)


def read_bytes(path, what="it"):
    """Return the bytes of the file at `path`; raises PicaptionError where `what` cannot be read."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise PicaptionError(
            f"{path}: cannot read {what}: {error.strerror}; check the path"
        ) from None


def split_lines(text):
    """Return the lines of a text as a tuple; only a line feed ends one."""
    return tuple(text.removesuffix("\n").split("\n")) if text else ()


def _split(data):
    """Return a bundle's graph and its archive's members as bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        infos = {name: archive.getinfo(name) for name in (*MEMBERS, HASH)}
        if any(info.file_size > MAX_MEMBER for info in infos.values()):
            raise ValueError("a member is too large")
        start = min(info.header_offset for info in archive.infolist())
        return data[:start], {name: archive.read(info) for name, info in infos.items()}


class Bundle:
    """A bundle, opened and checked: its metadata, labels and vocabulary, and its signatures as methods.

    Raises PicaptionError where the file is not a whole, unaltered bundle of a format that is known here, or
    its graph does not fit its words.
    """

    def __init__(self, path, threads=None):
        contents = read_bundle(path)
        self.path, self.metadata = Path(path), contents.metadata
        self.labels, self.vocabulary = contents.labels, contents.vocabulary
        try:
            self.interpreter = make_interpreter(contents.graph, threads)
            names = self.interpreter.get_signature_list()
            self._runners = {name: self.interpreter.get_signature_runner(name) for name in names}
        except (ValueError, RuntimeError) as error:
            raise PicaptionError(
                f"{path}: its graph cannot be used here: {str(error).partition(chr(10))[0]}"
            ) from None
        history = self._tensor("next_word", "history")
        self._numbers = np.float32 if history and history["dtype"] == np.float32 else np.int32
        self._listens = self._tensor("classify", "caption") is not None
        self._check()

    def encode(self, image):
        """Return the Encoded of one picture, uint8 [height, width, 3] of the shape in the metadata."""
        outputs = self._runners["encode"](image=image[None])
        tags = outputs.get("tags")
        return Encoded(
            outputs["features"], outputs.get("context"), tags if tags is None else tags[0]
        )

    def next_word(self, history, context):
        """Return log-probabilities float32 [beam, V] of the word after each history, int32 [beam, order-1]."""
        history = history.astype(self._numbers, copy=False)
        # Not in the graph: there, int8 log-probabilities would come in steps of 1/16.
        return log_softmax(self._runners["next_word"](history=history, context=context)["logits"])

    def classify(self, features, evidence):
        """Return the classes' probabilities, float32 [classes]; evidence: the words', float32 [V], of
        picaption.device.bundle.word_evidence, or None without a captioner."""
        said = {"caption": evidence[None]} if self._listens else {}
        return self._runners["classify"](features=features, **said)["scores"][0]

    def _check(self):
        """Raise PicaptionError where signatures, shapes or dtypes are not what metadata and words promise."""
        wanted = self.metadata.input
        shapes = {
            "encode": {
                "image": (np.uint8, (1, wanted.height, wanted.width, 3)),
                "features": (np.float32, None),
            }
        }
        if self.vocabulary:
            words = len(self.vocabulary)
            shapes["encode"] |= {
                "context": (np.float32, None),
                "tags": (np.float32, (1, len(self.metadata.tags))),
            }
            shapes["next_word"] = {
                "history": (self._numbers, (None, self.metadata.order - 1)),
                "context": (np.float32, self._shape("encode", "context")),
                "logits": (np.float32, (None, words)),
            }
        if self.labels:
            shapes["classify"] = {
                "features": (np.float32, self._shape("encode", "features")),
                "scores": (np.float32, (1, len(self.labels))),
            }
            if self.vocabulary and self._listens:
                shapes["classify"]["caption"] = (np.float32, (1, words))
        self._need(
            bool(self.vocabulary) == ("next_word" in self._runners),
            "it has a vocabulary without a captioner, or a captioner without a vocabulary",
        )
        for signature, tensors in shapes.items():
            for name, (dtype, shape) in tensors.items():
                found = self._tensor(signature, name)
                self._need(found is not None, f"its graph has no {name} in a signature {signature}")
                actual = tuple(found["shape_signature"].tolist())
                fits = (
                    shape is None
                    or len(actual) == len(shape)
                    and all(expected in (None, size) for size, expected in zip(actual, shape))
                )
                self._need(
                    found["dtype"] == dtype and fits,
                    f"{signature}'s {name} is {np.dtype(found['dtype']).name} {list(actual)}, its metadata, "
                    f"labels and vocabulary promise {np.dtype(dtype).name} {list(shape or ())}",
                )

        if self.vocabulary:
            try:
                encode_prompts(self.vocabulary, self.metadata.prompts, self.metadata.order)
            except ValueError as error:
                self._need(False, str(error))
            self._need(self.metadata.prompts, "it has a captioner, and no prompts to ask it by")

    def _need(self, condition, what):
        if not condition:
            raise PicaptionError(
                f"{self.path}: the bundle contradicts itself: {what}; convert it again"
            )

    def _tensor(self, signature, name):
        runner = self._runners.get(signature)
        return runner and (runner.get_input_details() | runner.get_output_details()).get(name)

    def _shape(self, signature, name):
        found = self._tensor(signature, name)
        return found and tuple(found["shape_signature"].tolist())
