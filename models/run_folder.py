"""A training run's folder: the Keras models, the words and labels, and what a bundle will say of itself.

The folder holds metadata.json, labels.txt and vocabulary.txt as a bundle does, and encoder.keras,
classifier.npz, and, with a captioner, context.keras, next_word.keras and tagger.keras.
"""

import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from picaption.device.bundle.bundle import Encoded, log_softmax
from picaption.device.bundle.metadata import from_json, to_json
from picaption.device.bundle.vocabulary import Vocabulary
from picaption.device.errors import PicaptionError
from picaption.device.recognition.classifier import Classifier, probabilities

from .files import read_lines, save_arrays, write_lines, write_text
from .networks.captioner import Captioner, pooled
from .networks.frozen_graph import FrozenGraph

PARTS = ("context", "next_word", "tagger")


def save_model(model, path):
    """Write a Keras model to `path`, which ends in .keras, whole or not at all."""
    temporary = Path(path).with_suffix(".partial.keras")
    model.save(temporary)
    os.replace(temporary, path)


def load_model(path):
    """Read a Keras model; raises PicaptionError where it is missing or not one."""
    if not Path(path).is_file():
        raise PicaptionError(
            f"{path} is missing: the folder is no finished training run; run picaption train again"
        )
    try:
        return keras.saving.load_model(
            path, {"FrozenGraph": FrozenGraph}, compile=False, safe_mode=True
        )
    except (ValueError, OSError, KeyError, TypeError) as error:
        raise PicaptionError(
            f"{path}: cannot load it as a Keras model: {str(error).splitlines()[0]}"
        ) from None


def save_words(folder, metadata, labels, vocabulary):
    """Write a run's metadata.json, labels.txt and vocabulary.txt."""
    write_text(Path(folder, "metadata.json"), to_json(metadata))
    write_lines(Path(folder, "labels.txt"), labels)
    write_lines(Path(folder, "vocabulary.txt"), vocabulary.words if vocabulary else ())


def load_captioner(folder):
    """Return a run's Captioner."""
    return Captioner(*(load_model(Path(folder, f"{part}.keras")) for part in PARTS))


def save_captioner(captioner, folder):
    """Write a Captioner's parts into a run's folder."""
    for part in PARTS:
        save_model(getattr(captioner, part), Path(folder, f"{part}.keras"))


def save_head(head, path):
    """Write a picaption.device.recognition.classifier.Classifier to the .npz file `path`, whole or not at all."""
    save_arrays(path, {name: part for name, part in vars(head).items() if part is not None})


def load_head(path):
    """Read a picaption.device.recognition.classifier.Classifier; raises PicaptionError where it is missing or not one."""
    if not Path(path).is_file():
        raise PicaptionError(
            f"{path} is missing: the folder is no finished training run; run picaption train again"
        )
    try:
        with np.load(path, allow_pickle=False) as parts:
            return Classifier(
                parts["features"],
                parts["words"] if "words" in parts else None,
                parts["bias"],
                "raw" in parts and bool(parts["raw"]),
            )
    except (ValueError, OSError, KeyError, zipfile.BadZipFile) as error:
        raise PicaptionError(f"{path}: cannot load it as a classifier: {error}") from None


class FloatModel:
    """A training run behind the interface of picaption.device.bundle.bundle.Bundle, in float32.

    `whole` is false while the run's classifier is still to be trained.
    """

    def __init__(self, folder, whole=True):
        folder = Path(folder)
        if not (folder / "metadata.json").is_file():
            raise PicaptionError(
                f"{folder}: no metadata.json in it: it is no finished training run"
            )
        self.metadata = from_json(
            (folder / "metadata.json").read_text(encoding="utf-8"), folder / "metadata.json"
        )
        self.labels = read_lines(folder / "labels.txt")
        words = read_lines(folder / "vocabulary.txt")
        self.vocabulary = Vocabulary(words) if words else None
        self.encoder = load_model(folder / "encoder.keras")
        self.head = load_head(folder / "classifier.npz") if self.labels and whole else None
        self.captioner = load_captioner(folder) if words else None

    def encode(self, image):
        """Return the Encoded of one picture, uint8 [height, width, 3]."""
        return self.describe(self.encoder.predict_on_batch(image[None].astype(np.float32)))

    def describe(self, features):
        """Return the Encoded of cached features, float [1, F] or [1, G, F]."""
        if self.captioner is None:
            return Encoded(features, None, None)
        context = self.captioner.context.predict_on_batch(features)
        return Encoded(
            pooled(features),
            context,
            probabilities(self.captioner.tagger.predict_on_batch(context), multi_label=True)[0],
        )

    def next_word(self, history, context):
        """Return log-probabilities float32 [beam, V] of the word after each history, int32 [beam, order-1]."""
        contexts = np.repeat(context, len(history), axis=0)
        return log_softmax(np.array(self.captioner.next_word.predict_on_batch([history, contexts])))

    def classify(self, features, evidence):
        """Return the classes' probabilities, float32 [classes]; evidence: the words', float32 [V], of
        picaption.device.bundle.word_evidence, or None without a captioner."""
        return probabilities(
            self.head.logits(features, evidence)[0], self.metadata.head == "multi-label"
        )
