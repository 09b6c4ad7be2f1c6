"""ONNX's operators that move numbers, and compute none."""

from typing import Any

import numpy as np
import tensorflow as tf

from .layout import Laid, Value, laid_plain, reshaped, shape_of, to_laid
from .node import Node, Operator, UnsupportedError, integers


def shape(node: Node, inputs: list[Any]) -> Value:
    """Return Shape, which is a constant: pictures have one size."""
    sizes = shape_of(inputs[0])
    start = node.attribute("start", 0)
    return np.array(sizes[start : node.attribute("end", len(sizes))], np.int64)


def reshape(node: Node, inputs: list[Any]) -> Value:
    """Return Reshape: 0 stands for the size before, -1 for what is left."""
    before = inputs[0].shape
    sizes = integers(node.constant(inputs, 1, "shape"))
    if not node.attribute("allowzero", 0):
        sizes = [before[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    if -1 in sizes:
        known = int(np.prod([size for size in sizes if size != -1]))
        sizes[sizes.index(-1)] = int(np.prod(before)) // known
    return reshaped(inputs[0], sizes)


def flatten(node: Node, inputs: list[Any]) -> Value:
    """Return Flatten, to two axes."""
    before = inputs[0].shape
    axis = node.attribute("axis", 1) % (len(before) + 1)
    return reshaped(inputs[0], [int(np.prod(before[:axis])), int(np.prod(before[axis:]))])


def transpose(node: Node, inputs: list[Any]) -> Value:
    """Return Transpose, by the order that is written beside the numbers."""
    value = inputs[0]
    permutation = node.attribute("perm") or list(range(value.rank))[::-1]
    order = tuple(permutation.index(axis) for axis in value.order)
    return Laid(value.values, order, value.is_nonnegative)


def squeeze(node: Node, inputs: list[Any]) -> Value:
    """Return Squeeze."""
    sizes = inputs[0].shape
    axes = node.constant(inputs, 1, "axes")
    if axes is None:
        dropped = {axis for axis, size in enumerate(sizes) if size == 1}
    else:
        dropped = {axis % len(sizes) for axis in integers(axes)}
    return reshaped(inputs[0], [size for axis, size in enumerate(sizes) if axis not in dropped])


def unsqueeze(node: Node, inputs: list[Any]) -> Value:
    """Return Unsqueeze."""
    axes = integers(node.constant(inputs, 1, "axes"))
    sizes = list(inputs[0].shape)
    rank = len(sizes) + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        sizes.insert(axis, 1)
    return reshaped(inputs[0], sizes)


def concat(node: Node, inputs: list[Any]) -> Value:
    """Return Concat, in the order of the largest input."""
    tensors = [value for value in inputs if isinstance(value, Laid)]
    order = max(tensors, key=_count).order
    parts = [to_laid(value).arranged(order) for value in inputs]
    axis = order.index(node.attribute("axis") % len(order))
    is_nonnegative = all(isinstance(value, Laid) and value.is_nonnegative for value in inputs)
    return Laid(tf.concat(parts, axis), order, is_nonnegative)


def _count(value: Laid) -> int:
    return int(np.prod(value.shape))


def split(node: Node, inputs: list[Any]) -> list[Value]:
    """Return Split."""
    value = inputs[0]
    axis = node.attribute("axis", 0)
    length = value.shape[axis]
    sizes = node.constant(inputs, 1, "split")
    if sizes is None:
        count = len(node.outputs)
        part = -(-length // count)
        sizes = [min(part, length - part * index) for index in range(count)]
    parts = tf.split(value.values, integers(sizes), value.position(axis))
    return [value.with_values(part, value.is_nonnegative) for part in parts]


def slices(node: Node, inputs: list[Any]) -> Value:
    """Return Slice."""
    value = inputs[0]
    starts = integers(node.constant(inputs, 1, "starts"))
    ends = integers(node.constant(inputs, 2, "ends"))
    axes = node.constant(inputs, 3, "axes")
    steps = node.constant(inputs, 4)
    axes = range(len(starts)) if axes is None else integers(axes)
    steps = [1] * len(starts) if steps is None else integers(steps)
    ranges = [slice(None)] * value.rank
    turned = []
    for axis, start, end, step in zip(axes, starts, ends, steps):
        position = value.position(axis)
        length = int(value.values.shape[position])
        if step < 0:
            indices = range(length)[start if start < length else None : _end(end, length) : step]
            turned.append(position)
            ranges[position] = slice(indices[-1], indices[0] + 1, -step)
        else:
            ranges[position] = slice(*slice(start, end, step).indices(length))
    values = value.values[tuple(ranges)]
    if turned:
        values = tf.reverse(values, turned)
    return value.with_values(values, value.is_nonnegative)


def _end(end: int, length: int) -> int | None:
    """Return the end of a range that runs backwards, as Python counts: None for all."""
    return None if end < -length else end


def gather(node: Node, inputs: list[Any]) -> Value:
    """Return Gather by constant indices; of one index, and of neighbours, as a slice."""
    value = to_laid(inputs[0])
    indices = np.asarray(node.constant(inputs, 1))
    axis = node.attribute("axis", 0) % value.rank
    position = value.position(axis)
    length = value.shape[axis]
    indices = np.where(indices < 0, indices + length, indices)
    if indices.ndim == 0:
        start = int(indices)
        part = value.values[(slice(None),) * position + (slice(start, start + 1),)]
        sizes = [size for index, size in enumerate(value.shape) if index != axis]
        return reshaped(value.with_values(part, value.is_nonnegative), sizes)
    if indices.ndim == 1 and np.array_equal(indices, np.arange(indices[0], indices[-1] + 1)):
        limits = slice(int(indices[0]), int(indices[-1]) + 1)
        part = value.values[(slice(None),) * position + (limits,)]
        return value.with_values(part, value.is_nonnegative)
    gathered = tf.gather(value.values, indices.ravel().astype(np.int32), axis=position)
    result = value.with_values(gathered, value.is_nonnegative)
    if indices.ndim == 1:
        return result
    return reshaped(result, (*value.shape[:axis], *indices.shape, *value.shape[axis + 1 :]))


def expand(node: Node, inputs: list[Any]) -> Value:
    """Return Expand."""
    value = inputs[0]
    sizes = integers(node.constant(inputs, 1))
    target = np.broadcast_shapes(value.shape, tuple(sizes))
    if target == value.shape:
        return value
    return laid_plain(tf.broadcast_to(value.plain(), target), value.is_nonnegative)


def tile(node: Node, inputs: list[Any]) -> Value:
    """Return Tile."""
    value = inputs[0]
    repeats = integers(node.constant(inputs, 1))
    return value.with_values(
        tf.tile(value.values, [repeats[axis] for axis in value.order]), value.is_nonnegative
    )


def einsum(node: Node, inputs: list[Any]) -> Value:
    """Return Einsum of two tensors."""
    equation = str(node.attribute("equation"))
    if "..." in equation:
        raise UnsupportedError("its equation has an ellipsis")
    operands = [value.plain() if isinstance(value, Laid) else value for value in inputs]
    return laid_plain(tf.einsum(equation.replace(" ", ""), *operands))


OPERATORS: dict[str, Operator] = {
    "Shape": shape,
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Concat": concat,
    "Split": split,
    "Slice": slices,
    "Gather": gather,
    "Expand": expand,
    "Tile": tile,
    "Einsum": einsum,
}
