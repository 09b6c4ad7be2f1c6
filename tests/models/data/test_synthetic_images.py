"""Synthetic images: the regression, what is drawn, and batches that mix them with others."""

import math
from pathlib import Path

import numpy as np

from picaption.device.bundle.vocabulary import END_ID, SPECIAL_WORDS, Vocabulary
from picaption.models.data import synthetic_images as module
from picaption.models.data.batches import Examples
from picaption.models.data.readers import Record
from picaption.models.data.synthetic_images import (
    MixedBatches,
    MixedImages,
    SyntheticImages,
    TextFeatures,
    fit_text_features,
    well_captioned,
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


def constant_features(*mean):
    """Return TextFeatures that are `mean` whatever the words."""
    return TextFeatures(
        np.ones(WORDS, np.float32),
        np.zeros((WORDS, len(mean)), np.float32),
        np.array(mean, np.float32),
        np.zeros((1, len(mean)), np.float32),
    )


def synthetic(*captions, features=None):
    """Return SyntheticImages with these captions each."""
    records = [Record(str(row), Path(str(row))) for row in range(len(captions))]
    return SyntheticImages(records, captions, features or constant_features(0, 9))


def test_word_vectors_are_weighted_by_captions_and_of_length_one():
    weights = np.array([0, 3, 4, 1], np.float32)
    # Word 1 is in one caption, twice in it, and word 2 in one; then word 1 in both.
    vectors = word_vectors([[[1, 2, 1]], [[0]], [[1], [1, 2]]], weights)
    norm = math.sqrt(6**2 + 4**2)
    assert np.allclose(vectors, [[0, 0.6, 0.8, 0], [0, 0, 0, 0], [0, 6 / norm, 4 / norm, 0]])


def test_features_follow_the_words_of_captions(monkeypatch):
    monkeypatch.setattr(module, "PENALTY", 1e-6)
    # Word 3 stands for the first feature, word 4 for the second; each is in half of the captions.
    examples = captioned([[[3]], [[4]]] * 3, [[2, 0], [0, 4]] * 3)
    fitted = fit_text_features(examples, WORDS, seed=0)
    assert np.allclose(fitted.word_weights, [0, 0, 0, math.log(2), math.log(2), 0])
    assert np.allclose(fitted.mean, [1, 2])
    assert np.allclose(fitted.residuals, 0, atol=1e-4)
    drawn = fitted.draw([[[4]], [[3], [3]], [[5]]], np.random.default_rng(0))
    # A word that no caption has says nothing: the mean is left.
    assert np.allclose(drawn, [[0, 4], [2, 0], [1, 2]], atol=1e-4)


def test_the_unexplained_part_is_that_of_an_image_and_never_makes_features_negative():
    residuals = np.array([[-5, 1]], np.float32)
    mean = np.array([1, 1], np.float32)
    features = TextFeatures(
        np.ones(WORDS, np.float32), np.zeros((WORDS, 2), np.float32), mean, residuals
    )
    assert features.draw([[[1]], [[2]]], np.random.default_rng(0)).tolist() == [[0, 2], [0, 2]]


def test_images_need_three_captions_that_are_neither_short_nor_long():
    vocabulary = Vocabulary((*SPECIAL_WORDS, "a", "cat", "on", "the", "sofa"))
    sentence = "A cat on the sofa."
    records = [
        Record(name, Path(name), captions)
        for name, captions in (
            ("two", (sentence,) * 2),
            ("titles", (sentence, sentence, "A cat.")),
            ("long", (sentence, sentence, "a cat on the sofa on the sofa")),
            ("three", (sentence, sentence, "A cat on the roof.")),
        )
    ]
    chosen, captions = well_captioned(records, vocabulary, max_words=7)
    assert [record.name for record in chosen] == ["three"]
    encoded = vocabulary.encode(["a", "cat", "on", "the", "sofa"])
    assert captions == [[encoded, encoded, vocabulary.encode(["a", "cat", "on", "the", "roof"])]]


def test_images_at_hand_come_first_and_synthetic_ones_are_drawn():
    examples = captioned([[[3]], [], [[5]]], [[1, 0], [2, 0], [3, 0]])
    images = MixedImages(examples, synthetic([[4]], [[4, 4]], [[5]]))
    assert images.captions == [[[3]], [], [[5]], [[4]], [[4, 4]], [[5]]]
    random = np.random.default_rng(0)
    rows = images.draw_rows(0.5, random)
    # Two images at hand have captions, so one of the three behind them comes along.
    assert len(rows) == 3 and {0, 2} < set(rows.tolist()) <= {0, 2, 3, 4, 5}
    assert sorted(images.draw_rows(100, random).tolist()) == [0, 2, 3, 4, 5]
    assert sorted(MixedImages(examples).draw_rows(1, random).tolist()) == [0, 2]
    inputs = images.draw_inputs(np.array([4, 2, 0]), random)
    assert inputs.tolist() == [[0, 9], [3, 0], [1, 0]]
    assert examples.inputs.tolist() == [[1, 0], [2, 0], [3, 0]]
    assert MixedImages(examples).draw_inputs(np.array([1]), random).tolist() == [[2, 0]]


def test_a_batch_has_both_kinds_and_its_weights_make_up_for_padding():
    examples = captioned([[[3, 4]], [[5]]], [[1, 0], [2, 0]])
    images = synthetic([[4, 4, 4], [4, 4, 4], [4, 4, 4]])
    batches = MixedBatches(
        examples, 3, images, synthetic_per_image=2, captions_per_image=2, batch=2, seed=1
    )
    inputs, targets, weights = batches[0]
    assert sorted(inputs["image"][:2, 0].tolist()) == [1, 2]
    assert inputs["image"][2:].tolist() == [[0, 9]] * 4
    is_real = weights["words"] > 0
    # Three and two words of the images with their ends; two captions of each of four others.
    assert is_real.sum() == 5 + 4 * 2 * 4
    assert math.isclose(weights["words"].mean(), 1, rel_tol=1e-6)
    owners = inputs["row"][is_real]
    of_synthetic = owners >= 2
    assert owners[of_synthetic].tolist() == [2] * 8 + [3] * 8 + [4] * 8 + [5] * 8
    assert targets["words"][is_real][of_synthetic].tolist() == [4, 4, 4, END_ID] * 8
    assert targets["tags"].shape == (6, 2)
    # The mean of the tags' losses is that of the two images.
    assert weights["tags"].tolist() == [3, 3, 0, 0, 0, 0]


def test_every_epoch_draws_the_same_again_from_a_seed():
    examples = captioned([[[3, 4]], [[5]]], [[1, 0], [2, 0]])
    features = fit_text_features(examples, WORDS, seed=0)
    images = synthetic(*([[word] * 3] for word in range(3, WORDS)), features=features)

    def inputs():
        return MixedBatches(examples, 3, images, 4, batch=2, seed=1)[0][0]

    assert (inputs()["history"] == inputs()["history"]).all()
    assert (inputs()["image"] == inputs()["image"]).all()
