"""A log-linear prior, by hand."""

import numpy as np
import pytest

from picaption.device import Bundle, PicaptionError, Recognizer
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, START_ID, Vocabulary
from picaption.models.language.ngram import kneser_ney, maximum_likelihood
from picaption.models.language.shallow_fusion import CountedModel, ShallowFusion


class Captioner:
    """Says a word of three by fixed odds, whatever came before."""

    vocabulary = Vocabulary((*SPECIAL_WORDS, "cat", "dog", "axolotl"))

    def next_word(self, history, context):
        return np.log(
            np.tile(np.array([0.1, 0.1, 0.2, 0.2, 0.2, 0.2], np.float32), (len(history), 1))
        )


def test_probabilities_multiply_and_unknown_words_count_as_such():
    reordered = Vocabulary((*SPECIAL_WORDS, "dog", "cat"))  # other ids, and no axolotl
    dog, cat, unknown = 3, 4, 2
    counted = maximum_likelihood([[dog], [dog], [dog], [cat], [unknown]], 2, len(reordered))

    def probabilities(weight, history):
        fused = ShallowFusion(Captioner(), counted, reordered, weight)
        return np.exp(fused.next_word(np.array([[history]], np.int32), None)[0])

    odds = np.array([0, 0, 0.2 * 0.2**2, 0.2 * 0.2**2, 0.2 * 0.6**2, 0.2 * 0.2**2])
    np.testing.assert_allclose(probabilities(2.0, START_ID), odds / odds.sum(), atol=1e-6)
    # After dog, number 4 of the captioner, the sentence ends.
    assert probabilities(0.5, 4)[1] == pytest.approx(1)


def test_counted_n_grams_alone_caption_every_image_alike(photos):
    vocabulary = Vocabulary((*SPECIAL_WORDS, "a", "cat", "dog", "sleeps", "here"))
    counted = maximum_likelihood([[3, 4, 6, 7], [3, 4, 6, 7], [3, 5, 6, 7]], 2, len(vocabulary))
    recognizer = Recognizer(CountedModel(counted, vocabulary))
    assert [recognizer(photo).caption.text for photo in photos.values()] == 3 * [
        "a cat sleeps here"
    ]
    # P(cat | a) = 2/3 and P(sleeps | cat) = P(here | sleeps) = P(end | here) = 1.
    assert recognizer(photos["cat"]).caption.log_probability == pytest.approx(
        np.log(2 / 3), abs=1e-6
    )


def test_all_else_is_the_models_own(bundle, photos):
    model = Bundle(bundle)
    counted = kneser_ney([[3, 4]], 2, len(model.vocabulary))
    prior = ShallowFusion(model, counted, model.vocabulary, 0.1)
    assert prior.metadata is model.metadata and prior.labels is model.labels
    assert Recognizer(prior)(photos["cat"]).classes


def test_a_model_without_captioner_is_refused():
    class Silent:
        vocabulary = None

    with pytest.raises(PicaptionError, match="no captioner that a prior could help"):
        ShallowFusion(
            Silent(), maximum_likelihood([[3]], 2, 4), Vocabulary((*SPECIAL_WORDS, "cat")), 0.2
        )
