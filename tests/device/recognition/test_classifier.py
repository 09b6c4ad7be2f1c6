"""The classifier's fit: the optimum of its formula, what language adds, and its confidence."""

from dataclasses import replace

import numpy as np
import pytest

from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.recognition import classifier as heads
from picaption.device.recognition.classifier import (
    Classifier,
    class_weights,
    fit_calibrated,
    fit_classifier,
    fit_logistic_regression,
    fit_temperature,
    held_out_logits,
    held_out_parts,
    l2_normalize,
    name_prior,
    near_duplicate_groups,
    probabilities,
)

VOCABULARY = Vocabulary((*SPECIAL_WORDS, "cat", "cats", "hot", "dog", "glass", "glasses", "a"))


def test_the_words_of_a_class_name_share_its_weight():
    def columns(*labels):
        names = name_prior(labels, VOCABULARY)
        assert names.dtype == np.float32 and names.shape == (10, len(labels))
        return [
            {VOCABULARY.words[row]: round(float(column[row]), 6) for row in np.flatnonzero(column)}
            for column in names.T
        ]

    assert columns("cat", "Hot-Dog", "glasses") == [
        {"cat": 0.4, "cats": 0.4},
        {"hot": 0.2, "dog": 0.2},
        {"glasses": 0.4},
    ]
    # Half of these have a name that is known, so all count half.
    assert columns("cat", "Hot-Dog", "wine glass", "brand X 7") == [
        {"cat": 0.2, "cats": 0.2},
        {"hot": 0.1, "dog": 0.1},
        {},
        {},
    ]


def test_classes_weigh_alike_by_hand():
    truth = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 2]]
    # Six images, two for each class: four weigh a half, and each of the others two.
    np.testing.assert_array_equal(class_weights(truth), [0.5, 0.5, 0.5, 0.5, 2, 2])


def one_class_of_many(counts, seed=0):
    """Return features of overlapping classes, and the truth, with `counts` images each."""
    random = np.random.default_rng(seed)
    truth = np.repeat(np.eye(len(counts), dtype=np.float32), counts, axis=0)
    noise = random.normal(size=(len(truth), 12)).astype(np.float32)
    noise[:, : len(counts)] += 2 * truth
    return noise, truth


def test_a_class_of_many_pictures_does_not_outvote_the_others():
    features, truth = one_class_of_many((60, 5, 5, 5))
    asked, answers = one_class_of_many((100, 100, 100, 100), seed=1)

    def recalls(balanced):
        fitted = fit_classifier(features, None, None, truth, False, balanced=balanced)
        chosen = np.eye(4)[fitted.logits(asked).argmax(1)]
        return (chosen * answers).sum(0) / 100

    assert recalls(balanced=False)[1:].mean() < 0.5
    assert recalls(balanced=True)[1:].mean() > 0.6
    # Without an opinion, no class is likelier than another.
    flat = fit_classifier(np.ones((75, 12), np.float32), None, None, truth, False, balanced=True)
    np.testing.assert_allclose(flat.bias, flat.bias[0], atol=1e-3)


def test_weighted_images_know_as_much_as_fewer_equal_ones():
    """Eight images of one class and two of another: as many as 2 x 2 / (1/8 + 1/2) = 6.4."""
    features, truth = one_class_of_many((8, 2))
    fitted = fit_classifier(features, None, None, truth, False, balanced=True)
    weights = np.repeat([0.625, 2.5], [8, 2])[:, None]
    inputs = l2_normalize(features)
    mean = (weights * inputs).mean(0)
    scale = 1 / np.sqrt((weights * (inputs - mean) ** 2).sum(1).mean())
    logits = inputs @ fitted.features + fitted.bias
    error = weights * (probabilities(logits, False) - truth) / 10
    slope = ((inputs - mean) * scale).T @ error
    gradient = slope + heads.PENALTY / 6.4 * fitted.features / scale
    assert np.abs(gradient).max() < 0.02 * np.abs(slope).max()


@pytest.mark.parametrize("words", (True, False))
def test_where_classes_have_equally_many_pictures_nothing_changes(words):
    features, truth = one_class_of_many((10, 10, 10))  # So are what is left of them, in five parts.
    evidence = None
    prior = None
    if words:
        evidence = np.abs(features[:, :5])
        prior = np.eye(5, 3, dtype=np.float32)
    plain, plain_logits = fit_calibrated(features, evidence, truth, prior, False)
    equal, equal_logits = fit_calibrated(features, evidence, truth, prior, False, balanced=True)
    np.testing.assert_array_equal(equal.features, plain.features)
    np.testing.assert_array_equal(equal.bias, plain.bias)
    np.testing.assert_array_equal(equal.words, plain.words)
    np.testing.assert_array_equal(equal_logits, plain_logits)


def test_words_are_learned_as_freely_as_language_knows_the_classes():
    prior = np.zeros((10, 4), np.float32)
    assert heads.evidence_scale(prior) == pytest.approx(0.3 * 0.27)
    prior[3, :2] = -1, 0.5
    assert heads.evidence_scale(prior) == pytest.approx(0.3 * np.sqrt(0.5))
    assert heads.evidence_scale(prior[:, :2]) == pytest.approx(0.3)


def test_logits_and_probabilities_by_hand():
    head = Classifier(
        np.array([[1, 0], [2, -1]], np.float32),
        np.array([[0.5, 0]], np.float32),
        np.array([0, 1], np.float32),
    )
    logits = head.logits(np.array([[3, 4]], np.float32), np.array([[2]], np.float32))
    np.testing.assert_allclose(
        logits, [[0.6 + 1.6 + 1, -0.8 + 1]], rtol=1e-6
    )  # (3, 4) at unit length is (0.6, 0.8).
    np.testing.assert_allclose(
        probabilities(logits, True), 1 / (1 + np.exp([[-3.2, -0.2]])), rtol=1e-6
    )
    np.testing.assert_allclose(
        probabilities(logits, False), [[1 / (1 + np.exp(-3)), 1 / (1 + np.exp(3))]], rtol=1e-5
    )
    np.testing.assert_allclose(
        head.with_temperature(2).logits(np.array([[3, 4]], np.float32), np.array([[2]])), logits / 2
    )
    assert not l2_normalize(np.zeros((1, 3))).any()
    raw = replace(head, words=None, raw=True).with_temperature(2)
    np.testing.assert_allclose(
        raw.logits(np.array([[3, 4]], np.float32)), [[(3 + 8) / 2, (-4 + 1) / 2]]
    )


@pytest.mark.parametrize("multi_label", (True, False))
@pytest.mark.parametrize("count, size", ((200, 6), (12, 40)))
def test_the_fit_is_where_the_gradient_vanishes(multi_label, count, size):
    random = np.random.default_rng(3)
    inputs = random.normal(size=(count, size)).astype(np.float32) / np.float32(np.sqrt(size))
    truth = np.eye(3, dtype=np.float32)[
        (inputs[:, :3] + random.normal(size=(count, 3)) / 5).argmax(1)
    ]
    offset = random.normal(size=(count, 3)).astype(np.float32)
    weights, bias = heads.fit_logistic_regression(inputs, truth, multi_label, heads.PENALTY, offset)
    error = (probabilities(inputs @ weights + bias + offset, multi_label) - truth) / count
    gradient = inputs.T @ error + heads.PENALTY / count * weights
    first = (probabilities(offset + bias, multi_label) - truth) / count
    assert np.abs(gradient).max() < 0.02 * np.abs(inputs.T @ first).max()
    assert np.abs(error.sum(0)).max() < 0.01


def called_for(classes, random):
    """Return word evidence that calls for the animals of those classes, 0 a cat and 1 a dog."""
    evidence = random.uniform(0, 0.2, (len(classes), len(VOCABULARY))).astype(np.float32)
    for row, animal in zip(evidence, classes):
        row[VOCABULARY.word_ids["cat" if animal == 0 else "dog"]] += 4
    return evidence


@pytest.mark.parametrize("multi_label", (True, False))
def test_a_name_that_the_caption_calls_for_needs_no_pictures(multi_label):
    random = np.random.default_rng(1)
    taught, asked = np.array([0, 1]), random.integers(0, 2, 200)
    features = random.normal(size=(202, 50)).astype(np.float32)  # They say nothing.
    evidence, truth = (
        called_for(np.concatenate([taught, asked]), random),
        np.eye(2, dtype=np.float32)[taught],
    )

    def accuracy(evidence, names):
        head = fit_classifier(features[:2], evidence[:2], names, truth, multi_label)
        return (head.logits(features[2:], evidence[2:]).argmax(1) == asked).mean()

    names = name_prior(("cat", "dog"), VOCABULARY)
    assert accuracy(evidence, names) > 0.85
    shuffled = np.concatenate([evidence[:2], random.permutation(evidence[2:])])
    assert 0.35 < accuracy(shuffled, names) < 0.65


def test_the_more_pictures_of_a_class_the_less_its_name_counts():
    names, features = name_prior(("cat", "dog"), VOCABULARY), np.ones((40, 3), np.float32)
    evidence = np.ones(
        (40, len(VOCABULARY)), np.float32
    )  # The same for all, so nothing is learned from it, and SPREAD_FLOOR divides it.
    truth = np.eye(2, dtype=np.float32)[[0] * 39 + [1]]
    words = fit_classifier(features, evidence, names, truth, False).words
    assert words[VOCABULARY.word_ids["cat"], 0] == pytest.approx(0.4 / (1 + 39 / 8) / 0.1)
    assert words[VOCABULARY.word_ids["dog"], 1] == pytest.approx(0.4 / (1 + 1 / 8) / 0.1)


def test_a_word_counts_by_how_much_its_evidence_varies():
    names, features = name_prior(("cat", "dog"), VOCABULARY), np.ones((40, 3), np.float32)
    evidence = np.zeros((40, len(VOCABULARY)), np.float32)
    evidence[::2, VOCABULARY.word_ids["cat"]] = 1.8  # A standard deviation of 0.9.
    # Next to nothing is learned: the size of the evidence is tiny.
    words = fit_classifier(
        features, evidence, names, np.eye(2, dtype=np.float32)[[0, 0, 1, 1] * 10], False, scale=1e-3
    ).words
    assert words[VOCABULARY.word_ids["cat"], 0] == pytest.approx(
        0.4 / (1 + 20 / 8) / (0.9 + 0.1), rel=1e-3
    )
    assert words[VOCABULARY.word_ids["dog"], 1] == pytest.approx(0.4 / (1 + 20 / 8) / 0.1, rel=1e-3)


def test_without_a_captioner_features_alone_are_learned():
    features = np.repeat(np.eye(3, dtype=np.float32), 4, axis=0) + 0.1
    head = fit_classifier(features, None, None, np.repeat(np.eye(3), 4, axis=0), False)
    assert (
        head.words is None
        and head.logits(features).argmax(1).tolist() == [0] * 4 + [1] * 4 + [2] * 4
    )


@pytest.mark.parametrize("multi_label", (True, False))
def test_a_head_that_is_too_sure_is_cooled(multi_label):
    random = np.random.default_rng(0)
    right = random.normal(size=(4000, 3)).astype(np.float32) * 2
    sure = probabilities(right, multi_label)
    truth = (
        random.random(sure.shape) < sure
        if multi_label
        else np.eye(3)[[random.choice(3, p=row / row.sum()) for row in sure]]
    )
    assert 2.7 < fit_temperature(3 * right, truth, multi_label) < 3.3
    # Pictures of which nothing is known do not count.
    unknown = np.where(np.arange(len(right))[:, None] % 2, np.nan, 3 * right)
    assert 2.6 < fit_temperature(unknown, truth, multi_label) < 3.4
    assert fit_temperature(np.full_like(right, np.nan), truth, multi_label) == 1


def test_the_temperature_is_that_of_the_images_that_count():
    # Of the first 50 each second is right at logits of (2, 0): as good as no opinion. The others
    # are all right.
    logits = np.tile(np.array([[2, 0]], np.float32), (100, 1))
    truth = np.eye(2, dtype=np.float32)[[0, 1] * 25 + [0] * 50]
    first = np.repeat([2, 0], 50).astype(np.float32)
    assert fit_temperature(logits, truth, False, first) == pytest.approx(4)
    assert fit_temperature(logits, truth, False, 2 - first) == pytest.approx(0.25)


def fit_one_of_many(features, word_evidence, truth):
    """Fit a classifier without words to images that show one class each."""
    return fit_classifier(features, word_evidence, None, truth, False)


def test_pictures_are_held_out_in_turn():
    random = np.random.default_rng(2)
    truth = np.eye(2, dtype=np.float32)[np.arange(20) % 2]
    features = (
        truth @ random.normal(size=(2, 8)).astype(np.float32)
        + random.normal(size=(20, 8)).astype(np.float32) / 20
    )
    logits = held_out_logits(features, None, truth, fit_one_of_many)
    assert (logits.argmax(1) == truth.argmax(1)).all()
    # Of a class with one picture there is none left to learn from.
    lonely = held_out_logits(features[:3], None, np.eye(2)[[0, 0, 1]], fit_one_of_many)
    assert np.isnan(lonely).all(1).sum() == 1


def test_of_every_class_a_like_share_is_held_out():
    truth = np.repeat(
        np.eye(40, dtype=np.float32), 3, axis=0
    )  # Three pictures each: no fold may take all of a class.
    features = truth + np.random.default_rng(1).normal(size=truth.shape).astype(np.float32) / 20
    logits = held_out_logits(features, None, truth, fit_one_of_many)
    assert (logits.argmax(1) == truth.argmax(1)).all()


def test_pictures_that_are_nearly_the_same_are_held_out_together():
    # At angles of 0, 90, 20, 180, 40 and 270 degrees: a step of 20 has a cosine of 0.94.
    angles = np.deg2rad([0, 90, 20, 180, 40, 270])
    features = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    one_class = np.ones((6, 1), np.float32)
    assert near_duplicate_groups(features, one_class).tolist() == [0, 1, 0, 2, 0, 3]
    # Of a class that has little else, every picture is by itself.
    two_classes = np.eye(2, dtype=np.float32)[[0, 1, 0, 1, 0, 0]]
    assert len(set(near_duplicate_groups(features, two_classes).tolist())) == 6
    groups = np.array([0, 1, 0, 2, 0, 3, 4, 5])
    truth = np.eye(2, dtype=np.float32)[[0, 0, 0, 0, 0, 1, 1, 1]]
    parts = [set(part.tolist()) for _, part in held_out_parts(truth, groups)]
    assert any({0, 2, 4} <= part for part in parts)
    assert sorted(row for part in parts for row in part) == list(range(8))


def test_a_copy_in_another_part_does_not_make_a_class_look_known():
    random = np.random.default_rng(3)
    # Forty things, each shown twice with another light, and each of a class by lot: whoever
    # has not seen the copy cannot know the class.
    things = np.repeat(random.normal(size=(40, 64)), 2, 0)
    features = (things + random.normal(size=things.shape) / 20).astype(np.float32)
    truth = np.eye(2, dtype=np.float32)[np.repeat(random.permutation(np.arange(40) % 2), 2)]
    logits = held_out_logits(features, None, truth, fit_one_of_many)
    assert 0.25 < (logits.argmax(1) == truth.argmax(1)).mean() < 0.75
    classifier = fit_one_of_many(features[::2], None, truth[::2])
    copies = classifier.logits(features[1::2], None)
    assert (copies.argmax(1) == truth[1::2].argmax(1)).mean() > 0.9


def test_what_is_unknown_of_a_class_counts_nothing():
    random = np.random.default_rng(1)
    inputs = random.normal(size=(200, 4)).astype(np.float32)
    truth = (inputs[:, :2] > 0).astype(np.float32)
    # The second class is known of the first half alone, as if the others were not there for it.
    partly = truth.copy()
    partly[100:, 1] = np.nan
    weights, bias = fit_logistic_regression(inputs, partly, True, 0.16)
    expected, expected_bias = fit_logistic_regression(inputs[:100], truth[:100], True, 0.16)
    np.testing.assert_allclose(weights[:, 1], expected[:, 1], rtol=0.05)
    np.testing.assert_allclose(bias[1], expected_bias[1], atol=0.05)
    first, _ = fit_logistic_regression(inputs, truth, True, 0.16)
    np.testing.assert_allclose(weights[:, 0], first[:, 0], rtol=1e-4)


@pytest.mark.parametrize("with_words", [True, False])
def test_classes_begin_with_what_their_names_know(with_words):
    """The pictures differ in the third feature alone; the names know of the others."""
    prototypes = np.array([[6, -6], [-6, 6], [0, 0]], np.float32)
    pictures = np.array([[0.6, 0.6, 0.5], [0.6, 0.6, -0.5]], np.float32)
    test = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    words = np.zeros((16, 1), np.float32) if with_words else None
    test_words = np.zeros((2, 1), np.float32) if with_words else None

    def fit(start):
        features = np.tile(pictures, (8, 1))
        truth = np.tile(np.eye(2, dtype=np.float32), (8, 1))
        prior = np.zeros((1, 2), np.float32) if with_words else None
        return fit_classifier(features, words, prior, truth, False, prototypes=start)

    ignorant = fit(None)
    np.testing.assert_allclose(np.diff(ignorant.logits(test, test_words)), 0, atol=1e-4)
    fitted = fit(prototypes)
    assert fitted.logits(test, test_words).argmax(1).tolist() == [0, 1]
    # With PRIOR_IMAGES pictures of a class, the names count half.
    np.testing.assert_allclose(fitted.features[:2], prototypes[:2] / 2, atol=1e-4)
    assert fitted.features[2, 0] > 1 and fitted.features[2, 1] < -1
