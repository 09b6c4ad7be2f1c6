"""What self-critical training samples and how it weighs the samples."""

import numpy as np

from picaption.models.data.batches import Examples
from picaption.models.data.synthetic_images import MixedImages
from picaption.models.networks.captioner import build_captioner
from picaption.models.settings import Settings
from picaption.models.training.rewards import Reward
from picaption.models.training.self_critical import (
    HUMAN_WEIGHT,
    _sample_words,
    rewarded_batch,
    sample_captions,
    train_self_critical,
)


def examples(captions):
    """Return Examples of as many different features as there are lists of captions."""
    count = len(captions)
    features = np.eye(count, 4, dtype=np.float32)
    return Examples(features, captions, np.zeros((count, 1), np.float32), np.zeros(count, bool))


def test_captions_are_greedy_or_sampled_and_never_hold_special_words():
    captioner = build_captioner((4,), words=12, tags=2, order=3, embedding=4, hidden=8)
    contexts = np.asarray(
        captioner.context(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    )
    greedy = sample_captions(captioner, contexts, 3, 6)
    assert greedy == sample_captions(captioner, contexts, 3, 6)
    sampled = sample_captions(captioner, contexts, 3, 6, np.random.default_rng(1))
    assert sampled != sample_captions(captioner, contexts, 3, 6, np.random.default_rng(2))
    assert all(word > 2 and len(words) <= 6 for words in sampled for word in words)


def test_advantages_of_an_image_sum_to_zero():
    train = examples([[[3, 4, 5]], [[6, 7]]])
    captioner = build_captioner((4,), words=9, tags=1, order=3, embedding=4, hidden=8)
    settings = Settings(captions="x", order=3, scst_samples=4, max_words=5)
    batch = rewarded_batch(
        captioner,
        settings,
        MixedImages(train),
        np.array([1, 0]),
        Reward(train.captions),
        np.random.default_rng(0),
    )
    starts = np.flatnonzero((batch.inputs["history"] == 0).all(1))
    assert len(starts) == 8 + 2 and batch.mean_reward >= 0
    np.testing.assert_allclose(batch.weights[starts[:8]].reshape(2, 4).sum(1), 0, atol=1e-5)
    # Behind the sampled captions, the human ones.
    np.testing.assert_allclose(batch.weights[starts[8] :], HUMAN_WEIGHT)
    assert batch.words[starts[8] :].tolist() == [6, 7, 1, 3, 4, 5, 1]
    assert len(batch.words) == len(batch.weights) == len(batch.inputs["row"])


def test_images_without_captions_are_left_out(tmp_path):
    train = examples([[[3, 4, 5]], [], [[6, 7]], []])
    dev = examples([[[3, 4, 5]]])
    captioner = build_captioner((4,), words=9, tags=1, order=3, embedding=4, hidden=8)
    settings = Settings(captions="x", order=3, scst_samples=2, scst_epochs=1, batch=1, max_words=5)
    train_self_critical(captioner, settings, MixedImages(train), dev, frozenset(), tmp_path)
    assert len((tmp_path / "dev.txt").read_text().splitlines()) == 2


def test_words_are_sampled_by_their_probabilities():
    probabilities = np.array([0, 0.5, 0, 0.2, 0.3, 0], np.float32)
    with np.errstate(divide="ignore"):
        logits = np.tile(np.log(probabilities) + 7, (20_000, 1))
    words = _sample_words(logits, np.random.default_rng(0))
    shares = np.bincount(words, minlength=6) / len(words)
    # Four standard deviations of the largest share.
    np.testing.assert_allclose(shares, probabilities, atol=4 * (0.5 * 0.5 / 20_000) ** 0.5)
    assert shares[[0, 2, 5]].tolist() == [0, 0, 0]
