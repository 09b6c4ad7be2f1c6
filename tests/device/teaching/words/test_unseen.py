"""Classes without images beside others: what is said of them, by hand and of made-up images."""

import numpy as np
import pytest

from picaption.device.teaching.examples import ClassExamples
from picaption.device.teaching.words.background import Background
from picaption.device.teaching.words.priors import ClassPriors
from picaption.device.teaching.words.unseen import classify_by_words, fit_with_unseen


def test_logits_without_an_image_are_standard_deviations_from_the_background():
    # Scores of the background's four images by their first feature: 1, 1, 0, 0.
    features = np.array([[2, 0], [1, 0], [0, 1], [0, 3]], np.float32)
    priors = ClassPriors(None, np.array([[4.0, 0], [0, 0]], np.float32), {"a": (), "b": ()})
    classifier = classify_by_words(features, None, priors)
    logits = classifier.logits(np.array([[5, 0], [3, 4]], np.float32))
    # The mean score is 2 and its deviation 2: the images have 4 and 2.4, +1 and +0.2 deviations.
    np.testing.assert_allclose(logits[:, 0], [0.5 * 1 - 1.5, 0.5 * 0.2 - 1.5], atol=1e-6)
    np.testing.assert_allclose(logits[:, 1], -1.5)  # Nothing is known of it.


def test_word_evidence_counts_by_its_spread():
    features = np.ones((2, 1), np.float32)
    evidence = np.array([[0, 1], [0.8, 1]], np.float32)
    priors = ClassPriors(np.array([[0.5], [0.5]], np.float32), None, {"a": ()})
    classifier = classify_by_words(features, evidence, priors)
    # The first word's spread is 0.4 + 0.1, so that scores are 0 and 0.8 beside the second word's
    # 0.5 / 0.1: 0.4 either way from their mean, which is their deviation.
    logits = classifier.logits(features, evidence)
    np.testing.assert_allclose(logits[:, 0], [-0.5 - 1.5, 0.5 - 1.5], atol=1e-5)


@pytest.fixture(scope="module")
def world():
    """Four classes along four axes of eight, and noise; words name two of them."""
    random = np.random.default_rng(0)

    def images(axis, count):
        rows = random.normal(size=(count, 8)).astype(np.float32)
        rows[:, axis] += 6
        return rows

    prior = np.zeros((8, 4), np.float32)
    prior[range(4), range(4)] = 2
    priors = ClassPriors(None, prior, dict.fromkeys("abcd", ()))
    background = Background(random.normal(size=(90, 8)).astype(np.float32), None)
    test = np.concatenate([images(axis, 20) for axis in range(4)])
    return images, priors, background, test, np.repeat(range(4), 20)


@pytest.mark.parametrize("seen", [(), (1,), (0, 2), (3, 1, 0)])
def test_classes_with_and_without_images_are_told_apart(world, seen):
    images, priors, background, test, truth = world
    rows = [images(axis, 5) for axis in seen]
    features = np.concatenate([*rows, np.zeros((0, 8), np.float32)])
    labels = np.eye(4, dtype=np.float32)[np.repeat(np.array(seen, int), 5)]
    examples = ClassExamples(tuple("abcd"), (), labels, features, None, ())
    classifier, logits = fit_with_unseen(examples, priors, background)
    predicted = classifier.logits(test).argmax(1)
    by_class = (predicted == truth).reshape(4, 20).mean(1)
    assert by_class.min() >= 0.85
    assert logits.shape == (5 * len(seen), 4)
    if seen:
        assert (logits.argmax(1) == labels.argmax(1)).mean() >= 0.8  # Held out, and known.


def test_without_a_prior_nothing_but_images_count(world):
    images, priors, background, test, truth = world
    unknown = ClassPriors(None, None, priors.unknown)
    features = np.concatenate([images(0, 5), images(1, 5)])
    labels = np.eye(4, dtype=np.float32)[[0] * 5 + [1] * 5]
    examples = ClassExamples(tuple("abcd"), (), labels, features, None, ())
    classifier, _ = fit_with_unseen(examples, unknown, background)
    predicted = classifier.logits(test[:40]).argmax(1)
    assert (predicted == truth[:40]).mean() > 0.85
