"""How far a bundle is from its float model on the same images."""

from collections.abc import Sequence

import numpy as np

from picaption.device.bundle.bundle import Encoded
from picaption.device.bundle.word_evidence import compute_word_evidence
from picaption.device.recognition.model import Model
from picaption.device.recognition.recognizer import best_caption
from picaption.models.data.batches import windows

from .options import Agreement


def compare(model: Model, bundle: Model, images: Sequence[np.ndarray]) -> Agreement:
    """Return how far a bundle is from its float model, to five decimals.

    Args:
        model: The float model.
        bundle: The bundle.
        images: uint8 RGB [H, W, 3], of the size that both take.
    """
    *columns, largest = zip(*(_compare_image(model, bundle, image) for image in images))
    features, words, classes, caption, top = (
        round(float(np.mean(column)), 5) for column in columns
    )
    return Agreement(features, words, classes, caption, top, round(float(np.max(largest)), 5))


def compare_scores(expected: np.ndarray, actual: np.ndarray) -> Agreement:
    """Return how far probabilities [N, C] are from others, for a model that has nothing else."""
    differences = np.abs(expected - actual)
    return Agreement(
        features=0.0,
        words=0.0,
        classes=float(differences.mean()),
        caption=1.0,
        top=float((expected.argmax(1) == actual.argmax(1)).mean()),
        largest=float(differences.max()),
    )


def compare_features(expected: np.ndarray, actual: np.ndarray) -> Agreement:
    """Return how far features [N, F] are from others, for a model that has nothing else."""
    pairs = zip(expected, actual)
    distances = [1 - _cosine(left[None], right[None]) for left, right in pairs]
    return Agreement(
        features=float(np.mean(distances)), words=0.0, classes=0.0, caption=1.0, top=1.0
    )


def _compare_image(
    model: Model, bundle: Model, image: np.ndarray
) -> tuple[float, float, float, float, float, float]:
    """Return the fields of an Agreement for one image."""
    expected = model.encode(image)
    actual = bundle.encode(image)
    divergence = 0.0
    same_caption = 1.0
    if model.vocabulary:
        divergence, same_caption = _compare_captions(model, bundle, expected, actual)
    difference = 0.0
    largest = 0.0
    same_class = 1.0
    if model.labels:
        expected_scores = _classify(model, expected)
        actual_scores = _classify(bundle, actual)
        difference = np.abs(expected_scores - actual_scores).mean()
        largest = np.abs(expected_scores - actual_scores).max()
        same_class = float(expected_scores.argmax() == actual_scores.argmax())
    distance = 1 - _cosine(expected.features, actual.features)
    return distance, divergence, difference, same_caption, same_class, largest


def _cosine(expected: np.ndarray, actual: np.ndarray) -> float:
    """Return the cosine of two vectors [1, F]."""
    norms = np.linalg.norm(expected) * np.linalg.norm(actual)
    return (expected @ actual.T).item() / (norms + 1e-9)


def _compare_captions(
    model: Model, bundle: Model, expected: Encoded, actual: Encoded
) -> tuple[float, float]:
    """Return the divergence in nats a word of the model's caption, and whether captions agree."""
    assert expected.context is not None
    assert actual.context is not None
    caption = best_caption(model, expected)
    same = float(caption.words == best_caption(bundle, actual).words)
    history = windows(caption.words, model.metadata.order)[0]
    expected_words = model.next_word(history, expected.context)
    actual_words = bundle.next_word(history, actual.context)
    divergence = (np.exp(expected_words) * (expected_words - actual_words)).sum(1).mean()
    return float(divergence), same


def _classify(model: Model, encoded: Encoded) -> np.ndarray:
    """Return the classes' probabilities of an encoded image, float32 [C]."""
    word_evidence = None
    if model.vocabulary:
        assert encoded.context is not None
        word_evidence = compute_word_evidence(model, encoded.context)
    return model.classify(encoded.features, word_evidence)
