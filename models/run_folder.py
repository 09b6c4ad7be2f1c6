"""The folder that a training run leaves: its Keras models, words and labels, and metadata.

metadata.json, labels.txt, vocabulary.txt and, with names, names.tsv are as in a bundle.
encoder.keras, classifier.npz, with names names.npz and, with a captioner, context.keras,
next_word.keras and tagger.keras hold the weights.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np

from picaption.device.atomic import atomic_write, read_text, write_text
from picaption.device.bundle.bundle import Encoded, log_softmax
from picaption.device.bundle.metadata import Metadata, from_json, to_json
from picaption.device.bundle.names import NamedClass, names_text, parse_names
from picaption.device.bundle.vocabulary import Vocabulary
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier, probabilities

from .files import read_lines, save_arrays, write_lines
from .networks.captioner import Captioner, mean_over_grid
from .networks.frozen_graph import FrozenGraph

#: The captioner's models, each in a file of its name.
PARTS = ("context", "next_word", "tagger")


def save_model(model: keras.Model, path: str | Path) -> None:
    """Write a Keras model to `path`, which ends in .keras, completely or not at all."""
    with atomic_write(path) as partial:
        model.save(partial)


def save_weights(model: keras.Model, path: str | Path) -> None:
    """Write a model's weights to `path`, which ends in .weights.h5, completely or not at all."""
    with atomic_write(path) as partial:
        model.save_weights(partial)


def load_model(path: str | Path) -> keras.Model:
    """Read a Keras model; raise PicaptionError where it is missing or not one."""
    _need_part(path)
    try:
        return keras.saving.load_model(
            path, {"FrozenGraph": FrozenGraph}, compile=False, safe_mode=True
        )
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise PicaptionError(
            f"{path}: cannot load it as a Keras model: {str(error).splitlines()[0]}"
        ) from None


def save_words(
    folder: str | Path,
    metadata: Metadata,
    labels: Sequence[str],
    vocabulary: Vocabulary | None,
) -> None:
    """Write a run's metadata.json, labels.txt and vocabulary.txt."""
    folder = Path(folder)
    words = vocabulary.words if vocabulary else ()
    write_text(folder / "metadata.json", to_json(metadata))
    write_lines(folder / "labels.txt", labels)
    write_lines(folder / "vocabulary.txt", words)


def load_captioner(folder: str | Path) -> Captioner:
    """Return the Captioner in a run's folder."""
    return Captioner(*(load_model(Path(folder, f"{part}.keras")) for part in PARTS))


def save_captioner(captioner: Captioner, folder: str | Path) -> None:
    """Write the models of a Captioner into a run's folder."""
    for part in PARTS:
        save_model(getattr(captioner, part), Path(folder, f"{part}.keras"))


def save_classifier(classifier: Classifier, path: str | Path) -> None:
    """Write a Classifier to the .npz file `path`, completely or not at all."""
    arrays = {name: value for name, value in vars(classifier).items() if value is not None}
    save_arrays(path, arrays)


def load_classifier(path: str | Path) -> Classifier:
    """Read a Classifier; raise PicaptionError where it is missing or not one."""
    _need_part(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return Classifier(
                arrays["features"],
                arrays.get("words"),
                arrays["bias"],
                "raw" in arrays and bool(arrays["raw"]),
            )
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise PicaptionError(f"{path}: cannot load it as a classifier: {error}") from None


def save_names(folder: str | Path, names: Sequence[NamedClass], classifier: Classifier) -> None:
    """Write a run's names.tsv and names.npz: a second set of classes, and what scores them."""
    write_text(Path(folder, "names.tsv"), names_text(names))
    save_classifier(classifier, Path(folder, "names.npz"))


def read_named_classes(path: str | Path) -> tuple[NamedClass, ...]:
    """Read a file of names (picaption.device.bundle.names).

    Raises:
        PicaptionError: It is missing or malformed, or holds no name.
    """
    try:
        names = parse_names(read_text(path, encoding="utf-8"))
    except OSError as error:
        raise PicaptionError(f"{path}: cannot read the names: {error.strerror}") from None
    except ValueError as error:  # UnicodeDecodeError is one.
        raise PicaptionError(f"{path}: {error}") from None
    if not names:
        raise PicaptionError(f"{path}: it holds no names; give a file that does")
    return names


def _need_part(path: str | Path) -> None:
    """Raise PicaptionError where a file of a run is missing."""
    if not Path(path).is_file():
        raise PicaptionError(
            f"{path} is missing: the folder is not a finished training run; run picaption "
            "train again"
        )


class FloatModel:
    """A training run in float32, a picaption.device.recognition.model.Model like a bundle.

    Attributes:
        metadata: What the bundle made of it will say of itself.
        labels: The names of the classes; empty without a classifier.
        vocabulary: The captioner's words; None without a captioner.
        names: The classes of a second set; empty without names.npz.
        name_classifier: Scores them; None without.
        encoder: The encoder (picaption.models.networks.captioner.build_encoder).
        classifier: None without labels, and while it is not trained yet.
        captioner: None without a vocabulary.
    """

    def __init__(self, folder: str | Path, with_classifier: bool = True) -> None:
        """Load a run.

        Args:
            folder: Where `picaption train` left it.
            with_classifier: False while the run's classifier is still to be trained.

        Raises:
            PicaptionError: The folder is no finished run.
        """
        folder = Path(folder)
        path = folder / "metadata.json"
        if not path.is_file():
            raise PicaptionError(
                f"{folder}: no metadata.json in it: it is not a finished training run"
            )
        self.metadata = from_json(path.read_text(encoding="utf-8"), path)
        self.labels = read_lines(folder / "labels.txt")
        words = read_lines(folder / "vocabulary.txt")
        self.encoder = load_model(folder / "encoder.keras")
        self.vocabulary: Vocabulary | None = None
        self.captioner: Captioner | None = None
        self.classifier: Classifier | None = None
        if self.labels and with_classifier:
            self.classifier = load_classifier(folder / "classifier.npz")
        self.names: tuple[NamedClass, ...] = ()
        self.name_classifier: Classifier | None = None
        if (folder / "names.npz").exists():
            self.names = read_named_classes(folder / "names.tsv")
            self.name_classifier = load_classifier(folder / "names.npz")
            if self.name_classifier.features.shape[1] != len(self.names):
                raise PicaptionError(
                    f"{folder}: names.npz scores {self.name_classifier.features.shape[1]} names, "
                    f"names.tsv has {len(self.names)}; remove both and run picaption train again"
                )
        if words:
            self.vocabulary = Vocabulary(words)
            self.captioner = load_captioner(folder)

    def encode(self, image: np.ndarray) -> Encoded:
        """Return the features, context and tags of a uint8 RGB image [height, width, 3]."""
        features = self.encoder.predict_on_batch(image[None].astype(np.float32))
        return self.encode_features(features)

    def encode_features(self, features: np.ndarray) -> Encoded:
        """Return the Encoded of cached features, float [1, F] or [1, G, F]."""
        if self.captioner is None:
            return Encoded(features, None, None)
        context = self.captioner.context.predict_on_batch(features)
        tag_logits = self.captioner.tagger.predict_on_batch(context)
        tags = probabilities(tag_logits, multi_label=True)[0]
        return Encoded(mean_over_grid(features), context, tags)

    def next_word(self, history: np.ndarray, context: np.ndarray) -> np.ndarray:
        """Return log-probabilities float32 [beam, V] after histories int32 [beam, order-1]."""
        assert self.captioner is not None
        contexts = np.repeat(context, len(history), axis=0)
        logits = self.captioner.next_word.predict_on_batch([history, contexts])
        return log_softmax(np.array(logits))

    def classify(self, features: np.ndarray, word_evidence: np.ndarray | None) -> np.ndarray:
        """Return class probabilities, float32 [C].

        Args:
            features: float32 [1, F].
            word_evidence: float32 [V] (picaption.device.bundle.word_evidence); None without a
                captioner.
        """
        assert self.classifier is not None
        logits = self.classifier.logits(features, word_evidence)[0]
        return probabilities(logits, self.metadata.head == "multi-label")

    def name_scores(self, features: np.ndarray) -> np.ndarray:
        """Return the probabilities of the names, float32 [names], by features [1, F]."""
        assert self.name_classifier is not None
        return probabilities(self.name_classifier.logits(features)[0], multi_label=False)
