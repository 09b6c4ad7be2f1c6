"""A run becomes a bundle that says the same."""

import numpy as np
import pytest

from device import Bundle, PicaptionError, Recognizer
from models.run import KerasModel


def test_int8_bundle_agrees_with_the_float_models(run, bundle, photos):
    model, found = KerasModel(run), Bundle(bundle)
    for image in photos.values():
        picture = Recognizer(found).prepare(image)
        exact, quantized = model.encode(picture), found.encode(picture)
        cosine = (exact.features @ quantized.features.T).item() / (
            np.linalg.norm(exact.features) * np.linalg.norm(quantized.features))
        assert cosine > 0.97
        history = np.array([[0, 0], [0, 3]], np.int32)
        np.testing.assert_allclose(np.exp(found.next_word(history, exact.context)),
                                   np.exp(model.next_word(history, exact.context)), atol=0.05)


def test_a_second_run_gives_the_same_bits(bundle, photos):
    first, second = (Bundle(bundle) for _ in range(2))
    picture = Recognizer(first).prepare(photos["coffee"])
    one, other = first.encode(picture), second.encode(picture)
    for name in ("features", "context", "tags"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_next_word_takes_any_beam_width(bundle, photos):
    recognizer = Recognizer(bundle)
    context = recognizer.model.encode(recognizer.prepare(photos["coffee"])).context
    for width in (1, 2, 5):
        scores = recognizer.model.next_word(np.zeros((width, 2), np.int32), context)
        assert scores.shape == (width, len(recognizer.model.vocabulary))
        np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=0.1)
