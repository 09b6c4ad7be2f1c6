"""Features of sentences: the regression, what is drawn, and batches that mix both."""

import math

import numpy as np

from picaption.device.bundle.vocabulary import END_ID, SPECIAL_WORDS, Vocabulary
from picaption.models.data import text_features as module
from picaption.models.data.batches import Examples
from picaption.models.data.text_features import (
    MixedBatches,
    TextFeatures,
    fit_text_features,
    learnable_sentences,
    word_vectors,
)

WORDS = 6


def captioned(captions, features):
    count = len(captions)
    return Examples(
        np.array(features, np.float32),
        captions,
        np.ones((count, 2), np.float32),
        np.zeros(count, bool),
    )


def test_word_vectors_are_weighted_and_of_length_one():
    weights = np.array([0, 3, 4, 1], np.float32)
    vectors = word_vectors([[1, 2, 2], [0]], weights)
    assert np.allclose(vectors, [[0, 0.6, 0.8, 0], [0, 0, 0, 0]])


def test_features_follow_the_words_of_captions(monkeypatch):
    monkeypatch.setattr(module, "PENALTY", 1e-6)
    # Word 3 stands for the first feature, word 4 for the second; each is in half of the captions.
    examples = captioned([[[3]], [[4]]] * 3, [[2, 0], [0, 4]] * 3)
    fitted = fit_text_features(examples, WORDS, seed=0)
    assert np.allclose(fitted.word_weights, [0, 0, 0, math.log(2), math.log(2), 0])
    assert np.allclose(fitted.mean, [1, 2])
    assert np.allclose(fitted.residuals, 0, atol=1e-4)
    drawn = fitted.draw([[4], [3], [5]], np.random.default_rng(0))
    # A word that no caption has says nothing: the mean is left.
    assert np.allclose(drawn, [[0, 4], [2, 0], [1, 2]], atol=1e-4)


def test_the_unexplained_part_is_that_of_an_image_and_never_makes_features_negative():
    residuals = np.array([[-5, 1]], np.float32)
    mean = np.array([1, 1], np.float32)
    features = TextFeatures(
        np.ones(WORDS, np.float32), np.zeros((WORDS, 2), np.float32), mean, residuals
    )
    assert features.draw([[1], [2]], np.random.default_rng(0)).tolist() == [[0, 2], [0, 2]]


def test_sentences_of_known_words_are_learned_once():
    vocabulary = Vocabulary((*SPECIAL_WORDS, "a", "cat", "on", "the", "sofa"))
    texts = (
        "A cat on the sofa.",
        "a cat on the sofa",
        "A cat on the roof.",
        "A cat.",
        "a cat on the sofa on the sofa",
    )
    encoded = vocabulary.encode(["a", "cat", "on", "the", "sofa"])
    assert learnable_sentences(texts, vocabulary, max_words=7) == [encoded]


def test_a_batch_has_images_and_sentences_and_its_weights_make_up_for_padding():
    examples = captioned([[[3, 4]], [[5]]], [[1, 0], [2, 0]])
    features = TextFeatures(
        np.ones(WORDS, np.float32),
        np.zeros((WORDS, 2), np.float32),
        np.array([0, 9], np.float32),
        np.zeros((1, 2), np.float32),
    )
    batches = MixedBatches(examples, 3, features, [[4, 4, 4]], 2, batch=2, seed=1)
    inputs, targets, weights = batches[0]
    assert sorted(inputs["image"][:2, 0].tolist()) == [1, 2]
    assert inputs["image"][2:].tolist() == [[0, 9]] * 4
    is_real = weights["words"] > 0
    # Three and two words of the images with their ends, and four of each of four sentences.
    assert is_real.sum() == 5 + 16
    assert math.isclose(weights["words"].mean(), 1, rel_tol=1e-6)
    owners = inputs["row"][is_real]
    of_sentences = owners >= 2
    assert owners[of_sentences].tolist() == [2] * 4 + [3] * 4 + [4] * 4 + [5] * 4
    assert targets["words"][is_real][of_sentences].tolist() == [4, 4, 4, END_ID] * 4
    assert targets["tags"].shape == (6, 2)
    # The mean of the tags' losses is that of the two images.
    assert weights["tags"].tolist() == [3, 3, 0, 0, 0, 0]


def test_every_epoch_draws_the_same_again_from_a_seed():
    examples = captioned([[[3, 4]], [[5]]], [[1, 0], [2, 0]])
    features = fit_text_features(examples, WORDS, seed=0)
    sentences = [[word] * 3 for word in range(3, WORDS)]

    def history():
        return MixedBatches(examples, 3, features, sentences, 4, batch=2, seed=1)[0][0]["history"]

    assert (history() == history()).all()
