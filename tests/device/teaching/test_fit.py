"""The fit, and the figure that says how good it is."""

import numpy as np
import pytest

from picaption.device.teaching.fit import count_confusion, mean_class_accuracy


def test_the_accuracy_is_the_mean_over_classes():
    truth = np.eye(3, dtype=np.float32)[[0, 0, 0, 0, 1, 1, 2]]
    logits = np.eye(3, dtype=np.float32)[[0, 0, 0, 1, 1, 2, 2]]
    # Of the third class nothing is known: the mean of 3 of 4 and 1 of 2.
    logits[6] = np.nan
    assert mean_class_accuracy(logits, truth) == pytest.approx((0.75 + 0.5) / 2)
    # Rows are what it was, columns what it was taken for; the third class has no known answer.
    assert count_confusion(logits, truth).tolist() == [[3, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert np.isnan(mean_class_accuracy(np.full_like(logits, np.nan), truth))
