"""What self-critical training draws and how it weighs it."""

import numpy as np

from picaption.models.data.batches import Examples
from picaption.models.networks.captioner import build_captioner
from picaption.models.settings import Settings
from picaption.models.training.rewards import Reward
from picaption.models.training.self_critical import (
    TOLD_WEIGHT,
    draw,
    rewarded_batch,
    train_on_reward,
)


def test_draw_is_greedy_or_sampled_and_never_says_special_words():
    captioner = build_captioner((4,), words=12, tags=2, order=3, embedding=4, hidden=8)
    contexts = np.asarray(
        captioner.context(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32))
    )
    assert draw(captioner, contexts, 3, 6) == draw(captioner, contexts, 3, 6)
    drawn = draw(captioner, contexts, 3, 6, np.random.default_rng(1))
    assert drawn != draw(captioner, contexts, 3, 6, np.random.default_rng(2))
    assert all(number > 2 and len(words) <= 6 for words in drawn for number in words)


def test_advantages_of_a_picture_sum_to_zero():
    captions = [[[3, 4, 5]], [[6, 7]]]
    train = Examples(
        np.eye(2, 4, dtype=np.float32), captions, np.zeros((2, 1), np.float32), np.zeros(2, bool)
    )
    captioner = build_captioner((4,), words=9, tags=1, order=3, embedding=4, hidden=8)
    settings = Settings(captions="x", order=3, reward_samples=4, max_words=5)
    (inputs, words), weights, mean = rewarded_batch(
        captioner, settings, train, np.array([1, 0]), Reward(captions), np.random.default_rng(0)
    )
    starts = np.flatnonzero((inputs["history"] == 0).all(1))
    assert len(starts) == 8 + 2 and mean >= 0
    np.testing.assert_allclose(weights[starts[:8]].reshape(2, 4).sum(1), 0, atol=1e-5)
    # Behind the drawn captions, those that people told.
    np.testing.assert_allclose(weights[starts[8] :], TOLD_WEIGHT)
    assert words[starts[8] :].tolist() == [6, 7, 1, 3, 4, 5, 1]
    assert len(words) == len(weights) == len(inputs["row"])


def test_pictures_without_captions_are_passed_over(tmp_path):
    captions = [[[3, 4, 5]], [], [[6, 7]], []]
    train, dev = (
        Examples(
            np.eye(len(told), 4, dtype=np.float32),
            told,
            np.zeros((len(told), 1), np.float32),
            np.zeros(len(told), bool),
        )
        for told in (captions, captions[:1])
    )
    captioner = build_captioner((4,), words=9, tags=1, order=3, embedding=4, hidden=8)
    settings = Settings(
        captions="x", order=3, reward_samples=2, reward_epochs=1, batch=1, max_words=5
    )
    train_on_reward(captioner, settings, train, dev, frozenset(), tmp_path)
    assert len((tmp_path / "dev.txt").read_text().splitlines()) == 2
