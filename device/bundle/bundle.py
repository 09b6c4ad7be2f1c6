"""The bundle: one .tflite file that holds everything picaption needs to describe an image.

Its graph has up to four signatures,

    encode     image uint8 [1, H, W, 3]            -> features [1, F], context [1, C], tags [1, T]
    next_word  history int32 [N, order-1], context -> logits [N, V]
    classify   features [1, F], caption [1, V]     -> scores [1, classes]
    name       features [1, F]                     -> scores [1, names]

and behind the graph are its words and metadata (picaption.device.bundle.archive). With attention
over G regions of the image, the context is [1, G, C]; the classifier's caption is the word evidence
(picaption.device.bundle.word_evidence); with 16-bit activations, the history is float32. Without a
captioner there is no `next_word`, `encode` returns features alone and `classify` takes them alone,
as imported classifiers do beside a captioner; without labels there is no `classify`; without names
(picaption.device.bundle.names) there is no `name`.
"""

import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..atomic import write_bytes
from ..errors import PicaptionError
from ..signing.policy import need_signed_bundle
from .archive import (
    Contents,
    bundle_bytes,
    parse_bundle,
    read_bytes,
    require_bundle_or_none,
    write_errors,
)
from .prompts import encode_prompts
from .runtime import make_interpreter
from .trust.trust import need_trust, remember_made_here

#: Runs a signature: inputs by name -> outputs by name.
Runner = Callable[..., dict[str, np.ndarray]]


@dataclass(frozen=True)
class Encoded:
    """What `encode` returns for an image.

    Attributes:
        features: float32 [1, F].
        context: What the captioner takes, float32 [1, C] or [1, G, C]; None without a captioner.
        tags: The tags' probabilities, float32 [T]; None without a captioner.
    """

    features: np.ndarray
    context: np.ndarray | None
    tags: np.ndarray | None


def read_trusted(path: str | Path, trusted: bool = False) -> Contents:
    """Return the contents of a bundle that may be opened: one that is known, or tried now.

    Args:
        path: Where it is.
        trusted: Whether the caller has made or tried it.

    Raises:
        PicaptionError: It is no bundle, not one that can be used here, or not signed where
            that is required.
    """
    data = read_bytes(path, "the bundle")
    if not trusted:
        need_signed_bundle(data, path, _shipped_bundle())
    contents = parse_bundle(data, path)
    if not trusted:
        need_trust(data, contents.graph, path, _shipped_bundle())
    return contents


def _shipped_bundle() -> Path | None:
    """Return the path of the shipped bundle, None if it is not installed."""
    try:
        return default_bundle()
    except PicaptionError:
        return None


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Turn logits, float32 [..., V], into log-probabilities in place, and return them."""
    logits -= logits.max(axis=-1, keepdims=True)
    logits -= np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return logits


def default_bundle() -> Path:
    """Return the path of the shipped bundle.

    Raises:
        PicaptionError: It is not installed.
    """
    # Located, not imported: picaption.models needs TensorFlow.
    package = importlib.util.find_spec("picaption.models")
    if package is not None:
        for folder in package.submodule_search_locations or ():
            path = Path(folder, "pretrained", "everyday.tflite")
            if path.is_file():
                return path
    raise PicaptionError(
        "the shipped bundle is not installed: reinstall picaption, or name a bundle with --bundle"
    )


class Bundle:
    """A bundle, opened and checked, with its signatures as methods.

    Args:
        path: The path of the file.
        threads: How many threads the runtime computes with; None: its own choice.
        wrap_runner: Takes the name and the runner of a signature, called with its inputs by name,
            and returns what is called in its place: to measure or to record it.
        trusted: Open it at once. A bundle that this machine does not know is otherwise checked
            and tried in a child process first (picaption.device.bundle.trust).

    Attributes:
        path: The path of the file.
        metadata: Its Metadata.
        labels: The names of the classes.
        vocabulary: The captioner's words; None without a captioner.
        names: The classes of a second set, by what people call them; empty without it.
        interpreter: The runtime's interpreter.

    Raises:
        PicaptionError: The file is not a complete, unaltered bundle of a format that is read here,
            or its graph does not fit its words.

    Example:
        bundle = Bundle("everyday.tflite")
        features = bundle.encode(np.zeros((224, 224, 3), np.uint8)).features
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        wrap_runner: Callable[[str, Runner], Runner] | None = None,
        trusted: bool = False,
    ) -> None:
        contents = read_trusted(path, trusted)
        self.path = Path(path)
        self.metadata = contents.metadata
        self.labels = contents.labels
        self.vocabulary = contents.vocabulary
        self.names = contents.names
        try:
            self.interpreter = make_interpreter(contents.graph, threads)
            names = self.interpreter.get_signature_list()
            self._runners: dict[str, Any] = {
                name: self.interpreter.get_signature_runner(name) for name in names
            }
        except (ValueError, RuntimeError, MemoryError) as error:
            reason = str(error).partition("\n")[0]
            raise PicaptionError(f"{path}: its graph cannot be used here: {reason}") from None
        self._history_dtype: Any = np.int32
        history = self._tensor("next_word", "history")
        if history is not None and history["dtype"] == np.float32:
            self._history_dtype = np.float32
        self._takes_words = self._tensor("classify", "caption") is not None
        self._check()
        if wrap_runner:
            self._runners = {name: wrap_runner(name, run) for name, run in self._runners.items()}

    def encode(self, image: np.ndarray) -> Encoded:
        """Encode an image.

        Args:
            image: uint8 RGB [H, W, 3] of the shape in the metadata.
        """
        outputs = self._run("encode", image=image[None])
        tags = outputs.get("tags")
        if tags is not None:
            tags = tags[0]
        return Encoded(outputs["features"], outputs.get("context"), tags)

    def next_word(self, history: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Return the log-probabilities of the word after each history.

        Args:
            history: Word ids, int32 [N, order-1].
            context: The image's context, as `encode` returns it.

        Returns:
            float32 [N, V].
        """
        history = history.astype(self._history_dtype, copy=False)
        logits = self._run("next_word", history=history, context=context)["logits"]
        # Not in the graph: there, int8 log-probabilities would come in steps of 1/16.
        return log_softmax(logits)

    def classify(self, features: np.ndarray, word_evidence: np.ndarray | None) -> np.ndarray:
        """Return the classes' probabilities.

        Args:
            features: float32 [1, F].
            word_evidence: float32 [V], or None without a captioner
                (picaption.device.bundle.word_evidence).

        Returns:
            float32 [classes].
        """
        inputs = {"features": features}
        if self._takes_words:
            assert word_evidence is not None
            inputs["caption"] = word_evidence[None]
        return self._run("classify", **inputs)["scores"][0]

    def name_scores(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of the names, float32 [names], which sum to 1.

        Args:
            features: float32 [1, F].
        """
        return self._run("name", features=features)["scores"][0]

    def _run(self, signature: str, **inputs: np.ndarray) -> dict[str, np.ndarray]:
        """Return what a signature makes of its inputs."""
        try:
            return self._runners[signature](**inputs)
        except (ValueError, RuntimeError) as error:
            reason = str(error).partition("\n")[0]
            raise PicaptionError(f"{self.path}: its {signature} fails: {reason}") from None

    def _check(self) -> None:
        """Raise PicaptionError unless the graph is what metadata and words promise."""
        self._need(
            bool(self.vocabulary) == ("next_word" in self._runners),
            "it has a vocabulary without a captioner, or a captioner without a vocabulary",
        )
        self._need(
            bool(self.names) == ("name" in self._runners),
            "it has names without a signature for them, or a signature name without names",
        )
        for signature, tensors in self._promised_tensors().items():
            for name, (dtype, shape) in tensors.items():
                self._check_tensor(signature, name, dtype, shape)
        self._need(
            len(self.metadata.object_words) in (0, len(self.labels)),
            f"it has words for {len(self.metadata.object_words)} classes, and "
            f"{len(self.labels)} labels",
        )
        self._need(
            len(self.metadata.class_nouns) in (0, len(self.labels)),
            f"it has nouns for {len(self.metadata.class_nouns)} classes, and "
            f"{len(self.labels)} labels",
        )
        if self.vocabulary:
            try:
                encode_prompts(self.vocabulary, self.metadata.prompts, self.metadata.order)
            except ValueError as error:
                self._need(False, str(error))
            self._need(
                bool(self.metadata.prompts), "it has a captioner, and no prompts to ask it by"
            )

    def _promised_tensors(self) -> dict[str, dict[str, tuple[Any, tuple | None]]]:
        """Return dtype and shape of the tensors of every signature; None is any shape, or size."""
        image = self.metadata.input
        tensors: dict[str, dict[str, tuple[Any, tuple | None]]] = {
            "encode": {
                "image": (np.uint8, (1, image.height, image.width, 3)),
                "features": (np.float32, None),
            }
        }
        if self.vocabulary:
            tensors["encode"]["context"] = (np.float32, None)
            tensors["encode"]["tags"] = (np.float32, (1, len(self.metadata.tags)))
            tensors["next_word"] = {
                "history": (self._history_dtype, (None, self.metadata.order - 1)),
                "context": (np.float32, self._shape("encode", "context")),
                "logits": (np.float32, (None, len(self.vocabulary))),
            }
        if self.labels:
            tensors["classify"] = {
                "features": (np.float32, self._shape("encode", "features")),
                "scores": (np.float32, (1, len(self.labels))),
            }
            if self.vocabulary and self._takes_words:
                tensors["classify"]["caption"] = (np.float32, (1, len(self.vocabulary)))
        if self.names:
            tensors["name"] = {
                "features": (np.float32, self._shape("encode", "features")),
                "scores": (np.float32, (1, len(self.names))),
            }
        return tensors

    def _check_tensor(self, signature: str, name: str, dtype: Any, shape: tuple | None) -> None:
        """Raise PicaptionError unless the graph has this tensor."""
        tensor = self._tensor(signature, name)
        if tensor is None:
            self._need(False, f"its graph has no {name} in a signature {signature}")
            return
        actual_shape = tuple(tensor["shape_signature"].tolist())
        fits = tensor["dtype"] == dtype and _shape_fits(actual_shape, shape)
        actual = f"{np.dtype(tensor['dtype']).name} {list(actual_shape)}"
        promised = f"{np.dtype(dtype).name} {list(shape or ())}"
        self._need(
            fits,
            f"{signature}'s {name} is {actual}, its metadata, labels and vocabulary promise "
            f"{promised}",
        )

    def _need(self, condition: bool, contradiction: str) -> None:
        if not condition:
            raise PicaptionError(
                f"{self.path}: the bundle contradicts itself: {contradiction}; convert it again"
            )

    def _tensor(self, signature: str, name: str) -> dict[str, Any] | None:
        """Return the runtime's details of a signature's tensor, or None without such a one."""
        runner = self._runners.get(signature)
        if runner is None:
            return None
        return (runner.get_input_details() | runner.get_output_details()).get(name)

    def _shape(self, signature: str, name: str) -> tuple[int, ...] | None:
        tensor = self._tensor(signature, name)
        if tensor is None:
            return None
        return tuple(tensor["shape_signature"].tolist())


def write_checked(
    path: str | Path, contents: Contents, check: Callable[[Bundle], None] | None = None
) -> None:
    """Write a bundle once it has been opened and checked.

    Args:
        path: Where to write it.
        contents: What to write.
        check: Raises an error, which ends this, if the opened Bundle is not what it should be.

    Raises:
        PicaptionError: The file cannot be written, or the bundle contradicts itself.
    """
    require_bundle_or_none(path)
    unchecked = Path(f"{path}.unchecked")
    try:
        with write_errors(path):
            write_bytes(unchecked, bundle_bytes(contents))
        # Its graph was made here, of parts that were opened before.
        bundle = Bundle(unchecked, trusted=True)
        if check is not None:
            check(bundle)
        remember_made_here(unchecked)
        with write_errors(path):
            os.replace(unchecked, path)
    finally:
        unchecked.unlink(missing_ok=True)


def _shape_fits(actual: tuple[int, ...], promised: tuple[int | None, ...] | None) -> bool:
    """Return whether a shape is the promised one; None is any shape, or any size in one."""
    if promised is None:
        return True
    if len(actual) != len(promised):
        return False
    return all(expected in (None, size) for size, expected in zip(actual, promised))
