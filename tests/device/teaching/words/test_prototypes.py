"""Classes that are called by names, by hand."""

import numpy as np
import pytest

from picaption.device.bundle.names import NamedClass
from picaption.device.teaching.words.prototypes import matching_names, name_prototypes

NAMES = (
    NamedClass("n1", "coffee mug", ("mug", "cup"), ("container",)),
    NamedClass("n2", "espresso", ("espresso", "coffee", "cup"), ("drink",)),
    NamedClass("n3", "chainsaw", ("saw",), ("tool",)),
    NamedClass("n4", "cup", ("cup",), ("container",)),
)


@pytest.mark.parametrize(
    ("label", "indices"),
    [
        ("cup", [3]),  # The name itself, not all that may be called so.
        ("Coffee_Mug", [0]),
        ("coffee-mug", [0]),
        ("mug", [0]),
        ("chain_saw", [2]),
        ("coffee", [1]),
        ("container", [0, 3]),
        ("my desk", []),
        ("", []),
    ],
)
def test_a_class_is_called_by_names(label, indices):
    assert matching_names(label, NAMES) == indices


def test_prototypes_by_hand():
    weights = np.array([[4, 0, 0, 0], [0, 2, 0, 2]], np.float32)
    # Features of length 5 and 3: 4 on average.
    features = np.array([[3, 4], [0, 3]], np.float32)
    prototypes = name_prototypes(("mug", "container"), NAMES, weights, features)
    # The average name has the weights (1, 1); mug has (4, 0), the containers have (2, 1).
    np.testing.assert_array_equal(prototypes, [[12, 4], [-4, 0]])
    # Where half of the classes have a name, it counts half.
    half = name_prototypes(("mug", "my desk"), NAMES, weights, features)
    np.testing.assert_array_equal(half, [[6, 0], [-2, 0]])


def test_without_a_name_there_are_none():
    weights = np.zeros((2, 4), np.float32)
    assert name_prototypes(("this", "that"), NAMES, weights, np.ones((1, 2))) is None
