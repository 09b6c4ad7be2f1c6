"""Tensors whose axes lie in memory in another order than the network counts them.

ONNX counts the axes of an image [batch, channels, height, width]; TFLite computes with channels
last. A transpose of the network, and what it asks for in return, costs nothing here: it changes
only the order that is written beside the tensor, until an operator needs another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Laid:
    """A tensor, and which axis of the network each of its axes is.

    Attributes:
        values: The TensorFlow tensor, of a static shape.
        order: For each axis of `values`, the network's axis that it is.
        is_nonnegative: Whether no number in it can be below zero.
    """

    values: tf.Tensor
    order: tuple[int, ...]
    is_nonnegative: bool = False

    @property
    def rank(self) -> int:
        """How many axes there are."""
        return len(self.order)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape as the network counts it."""
        return tuple(int(self.values.shape[self.order.index(axis)]) for axis in range(self.rank))

    def position(self, axis: int) -> int:
        """Return which axis of `values` an axis of the network is; negative: from the last."""
        return self.order.index(axis % self.rank)

    def arranged(self, order: Sequence[int]) -> tf.Tensor:
        """Return the values with their axes in another order."""
        if tuple(order) == self.order:
            return self.values
        shape = self.shape
        new_shape = [shape[axis] for axis in order]
        long_axes = [axis for axis in self.order if shape[axis] != 1]
        if long_axes == [axis for axis in order if shape[axis] != 1]:
            return tf.reshape(self.values, new_shape)
        return tf.transpose(self.values, [self.order.index(axis) for axis in order])

    def plain(self) -> tf.Tensor:
        """Return the values in the network's own order."""
        return self.arranged(range(self.rank))

    def with_values(self, values: tf.Tensor, is_nonnegative: bool = False) -> "Laid":
        """Return other values of the same order."""
        return Laid(values, self.order, is_nonnegative)


#: What operators compute with: constants as arrays, in the network's order, or tensors.
Value = np.ndarray | Laid


def laid_plain(values: tf.Tensor, is_nonnegative: bool = False) -> Laid:
    """Return a tensor whose axes are in the network's order."""
    return Laid(values, tuple(range(len(values.shape))), is_nonnegative)


def channels_last(rank: int) -> tuple[int, ...]:
    """Return the order of an image's axes with channels last."""
    return (0, *range(2, rank), 1)


def to_laid(value: Value) -> Laid:
    """Return a constant or a tensor as a tensor."""
    if isinstance(value, Laid):
        return value
    return laid_plain(tf.constant(value))


def shape_of(value: Value) -> tuple[int, ...]:
    """Return the shape of a constant or a tensor, as the network counts it."""
    return tuple(int(size) for size in value.shape)


def with_leading_axes(value: Value, rank: int) -> Value:
    """Return a value with axes of 1 in front, so that it has `rank` axes."""
    missing = rank - len(value.shape)
    if not missing:
        return value
    if isinstance(value, np.ndarray):
        return value.reshape((1,) * missing + value.shape)
    values = tf.reshape(value.values, [1] * missing + [int(size) for size in value.values.shape])
    order = (*range(missing), *(axis + missing for axis in value.order))
    return Laid(values, order, value.is_nonnegative)


def common_order(values: Sequence[Value]) -> tuple[list[tf.Tensor | np.ndarray], tuple[int, ...]]:
    """Return the operands of an element-wise operator with their axes in one order.

    Args:
        values: Constants and tensors that broadcast to one shape; one is a tensor.

    Returns:
        The operands, and the order: that of the largest tensor, so that it need not move.
    """
    rank = max(len(value.shape) for value in values)
    padded = [with_leading_axes(value, rank) for value in values]
    tensors = [value for value in padded if isinstance(value, Laid)]
    order = max(tensors, key=_size).order
    operands: list[tf.Tensor | np.ndarray] = []
    for value in padded:
        if isinstance(value, Laid):
            operands.append(value.arranged(order))
        elif value.size == 1:
            operands.append(value.reshape(()))
        else:
            operands.append(value.transpose(order))
    return operands, order


def _size(value: Laid) -> int:
    return prod(value.shape)


def reshaped(value: Laid, shape: Sequence[int]) -> Laid:
    """Return a tensor in another shape of as many numbers, moved in memory only where it must be.

    The axes before and after fall into groups of the same product. A group whose axes lie beside
    each other in memory, in the network's order, is reshaped where it is; the axes of the others
    are brought together first.
    """
    groups = _matching_groups(value.shape, shape)
    order: list[int] = []
    for axis in value.order:
        before, _ = next(group for group in groups if axis in group[0])
        if axis not in order:
            order += before
    values = value.arranged(order)
    new_order: list[int] = []
    for axis in order:
        before, after = next(group for group in groups if axis in group[0])
        if axis == before[0]:
            new_order += after
    return Laid(
        tf.reshape(values, [shape[axis] for axis in new_order]),
        tuple(new_order),
        value.is_nonnegative,
    )


def _matching_groups(
    before: Sequence[int], after: Sequence[int]
) -> list[tuple[list[int], list[int]]]:
    """Return the smallest groups of neighbouring axes whose sizes have the same product.

    Args:
        before: The shape before; not all groups of it are empty.
        after: The shape afterwards.

    Returns:
        Pairs (axes before, axes after); no group before is empty.
    """
    groups: list[tuple[list[int], list[int]]] = []
    left = 0
    right = 0
    while left < len(before):
        if before[left] == 1 and (right == len(after) or after[right] != 1):
            groups.append(([left], []))  # It goes nowhere, and brings nothing along.
            left += 1
            continue
        axes = [left]
        new_axes: list[int] = []
        size = before[left]
        new_size = 1
        left += 1
        if right < len(after):
            new_axes.append(right)
            new_size = after[right]
            right += 1
        while size != new_size:
            if size < new_size:
                size *= before[left]
                axes.append(left)
                left += 1
            else:
                new_size *= after[right]
                new_axes.append(right)
                right += 1
        groups.append((axes, new_axes))
    groups[-1][1].extend(range(right, len(after)))
    return groups
