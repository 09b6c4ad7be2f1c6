"""Tensors of another order than the network counts: moved only where they must be."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from picaption.models.networks.onnx_graph.layout import (  # noqa: E402
    Laid,
    channels_last,
    common_order,
    laid_plain,
    reshaped,
)


def image(shape=(1, 6, 4, 5)):
    """Return numbers as the network counts them, and the same with channels last in memory."""
    numbers = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    order = channels_last(len(shape))
    return numbers, Laid(tf.constant(numbers.transpose(order)), order)


def moves(function):
    """Return how many transposes a function adds to a graph."""
    graph = tf.function(function).get_concrete_function().graph
    return sum(operator.type == "Transpose" for operator in graph.get_operations())


def test_the_shape_is_the_networks_own():
    numbers, laid = image()
    assert laid.shape == (1, 6, 4, 5)
    assert laid.position(1) == 3
    assert laid.position(-1) == 2
    np.testing.assert_array_equal(laid.plain(), numbers)


@pytest.mark.parametrize(
    ("shape", "transposes"),
    [
        ((1, 2, 3, 4, 5), 0),  # Channels into groups.
        ((1, 6, 20), 0),  # Places into one row.
        ((1, 6, 4, 5, 1), 0),
        ((6, 20), 0),
        ((1, 24, 5), 1),  # Channels and rows are not beside each other.
        ((120,), 1),
        ((1, 2, 60), 1),
    ],
)
def test_reshape_keeps_the_networks_order(shape, transposes):
    numbers, laid = image()
    result = reshaped(laid, shape)
    assert result.shape == shape
    np.testing.assert_array_equal(result.plain(), numbers.reshape(shape))
    assert moves(lambda: reshaped(image()[1], shape).values) == transposes


def test_a_vector_of_channels_is_not_moved():
    numbers, laid = image((1, 6, 1, 1))
    np.testing.assert_array_equal(reshaped(laid, (1, 6)).plain(), numbers.reshape(1, 6))
    assert moves(lambda: image((1, 6, 1, 1))[1].plain()) == 0


def test_operands_of_fewer_axes_broadcast_as_the_network_counts_them():
    numbers, laid = image()
    row = np.arange(5, dtype=np.float32)
    column = np.arange(6, dtype=np.float32).reshape(6, 1, 1)
    (values, right, channels), order = common_order([laid, row, column])
    total = Laid(values + right + channels, order)
    np.testing.assert_array_equal(total.plain(), numbers + row + column)
    (small, large), order = common_order([laid_plain(tf.constant(row)), laid])
    np.testing.assert_array_equal(Laid(small * large, order).plain(), row * numbers)
