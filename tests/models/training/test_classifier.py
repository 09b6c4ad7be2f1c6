"""Fitting the classifier of a run."""

import numpy as np

from picaption.models.training.classifier import best_threshold


def test_best_threshold_by_hand():
    scores = np.array([[0.9, 0.2], [0.4, 0.3]])
    truth = np.array([[1, 0], [1, 0]])
    assert 0.3 < best_threshold(scores, truth) <= 0.4
