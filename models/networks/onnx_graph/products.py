"""ONNX's operators that sum over axes: matrix products, means, softmax and normalizations."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from .layout import Laid, Value, laid_plain, reshaped
from .node import Node, Operator, UnsupportedError, integers

#: Operators that reduce axes, and whether their results are zero or more.
REDUCTIONS: dict[str, Callable] = {
    "ReduceMean": tf.reduce_mean,
    "ReduceSum": tf.reduce_sum,
    "ReduceMax": tf.reduce_max,
    "ReduceMin": tf.reduce_min,
    "ReduceProd": tf.reduce_prod,
}


def matrix_product(node: Node, inputs: list[Any]) -> Value:
    """Return MatMul; with constant weights of two axes as a dense layer."""
    left, right = inputs
    if isinstance(right, np.ndarray) and right.ndim == 2 and left.rank > 2:
        rows = reshaped(left, (int(np.prod(left.shape[:-1])), left.shape[-1]))
        product = laid_plain(tf.matmul(rows.plain(), right))
        return reshaped(product, (*left.shape[:-1], right.shape[-1]))
    if len(left.shape) < 2 or len(right.shape) < 2:
        raise UnsupportedError(f"a product of {len(left.shape)} and {len(right.shape)} axes")
    left_values, transpose_left = _matrix(left)
    right_values, transpose_right = _matrix(right)
    return laid_plain(
        tf.matmul(
            left_values, right_values, transpose_a=transpose_left, transpose_b=transpose_right
        )
    )


def _matrix(value: Value) -> tuple[Any, bool]:
    """Return a value, and whether its last two axes have changed places."""
    if isinstance(value, np.ndarray):
        return value, False
    first = tuple(range(value.rank - 2))
    if value.order == (*first, value.rank - 1, value.rank - 2):
        return value.values, True
    return value.plain(), False


def gemm(node: Node, inputs: list[Any]) -> Value:
    """Return Gemm: alpha A B + beta C."""
    left = inputs[0].plain()
    if node.attribute("transA", 0):
        left = tf.transpose(left)
    weights = inputs[1]
    if isinstance(weights, Laid):
        weights = weights.plain()
    if node.attribute("transB", 0):
        weights = weights.T if isinstance(weights, np.ndarray) else tf.transpose(weights)
    values = tf.matmul(left, weights * np.float32(node.attribute("alpha", 1.0)))
    bias = node.constant(inputs, 2)
    if bias is not None:
        values = values + bias * np.float32(node.attribute("beta", 1.0))
    return laid_plain(values)


def reduction(node: Node, inputs: list[Any]) -> Value:
    """Return an operator of REDUCTIONS, of all axes where none are named."""
    value = inputs[0]
    axes = node.constant(inputs, 1, "axes")
    if axes is None or not len(axes):
        if node.attribute("noop_with_empty_axes", 0):
            return value
        axes = range(value.rank)
    positions = [value.position(axis) for axis in integers(axes)]
    reduced = REDUCTIONS[node.operator](value.values, positions, keepdims=True)
    result = value.with_values(reduced, value.is_nonnegative)
    if node.attribute("keepdims", 1):
        return result
    dropped = {axis % value.rank for axis in integers(axes)}
    return reshaped(result, [size for axis, size in enumerate(value.shape) if axis not in dropped])


def euclidean_norm(node: Node, inputs: list[Any]) -> Value:
    """Return ReduceL2."""
    value = inputs[0]
    axes = integers(node.constant(inputs, 1, "axes"))
    positions = [value.position(axis) for axis in axes]
    norms = tf.sqrt(tf.reduce_sum(tf.square(value.values), positions, keepdims=True))
    result = value.with_values(norms, True)
    if node.attribute("keepdims", 1):
        return result
    dropped = {axis % value.rank for axis in axes}
    return reshaped(result, [size for axis, size in enumerate(value.shape) if axis not in dropped])


def l2_normalization(node: Node, inputs: list[Any]) -> Value:
    """Return LpNormalization by the Euclidean norm."""
    if node.attribute("p", 2) != 2:
        raise UnsupportedError("its norm is not Euclidean")
    value = inputs[0]
    axis = value.position(node.attribute("axis", -1))
    return value.with_values(tf.math.l2_normalize(value.values, axis))


def softmax(node: Node, inputs: list[Any]) -> Value:
    """Return Softmax or LogSoftmax, its axis last in memory."""
    value = inputs[0]
    modern = node.opset >= 13
    axis = node.attribute("axis", -1 if modern else 1) % value.rank
    function = tf.nn.softmax if node.operator == "Softmax" else tf.nn.log_softmax
    if not modern and int(np.prod(value.shape[axis + 1 :])) != 1:
        rows = reshaped(value, (int(np.prod(value.shape[:axis])), int(np.prod(value.shape[axis:]))))
        return reshaped(laid_plain(function(rows.plain()), True), value.shape)
    order = (*(entry for entry in value.order if entry != axis), axis)
    return Laid(function(value.arranged(order)), order, node.operator == "Softmax")


def layer_normalization(node: Node, inputs: list[Any]) -> Value:
    """Return LayerNormalization over the axes from `axis` on."""
    value = inputs[0]
    first = node.attribute("axis", -1) % value.rank
    positions = [value.position(axis) for axis in range(first, value.rank)]
    values = _standardized(value.values, positions, node.attribute("epsilon", 1e-5))
    for index, function in ((1, tf.multiply), (2, tf.add)):
        weights = node.constant(inputs, index)
        if weights is not None:
            full = weights.reshape((1,) * (value.rank - weights.ndim) + weights.shape)
            values = function(values, full.transpose(value.order))
    return value.with_values(values)


def instance_normalization(node: Node, inputs: list[Any]) -> Value:
    """Return InstanceNormalization, over height and width."""
    value = inputs[0]
    positions = [value.position(axis) for axis in range(2, value.rank)]
    values = _standardized(value.values, positions, node.attribute("epsilon", 1e-5))
    shape = [1] * value.rank
    shape[value.position(1)] = -1
    scale = node.constant(inputs, 1).reshape(shape)
    return value.with_values(values * scale + node.constant(inputs, 2).reshape(shape))


def group_normalization(node: Node, inputs: list[Any]) -> Value:
    """Return GroupNormalization, over height, width and the channels of a group."""
    value = inputs[0]
    groups = node.attribute("num_groups")
    channels = value.shape[1]
    grouped = reshaped(value, (value.shape[0], groups, channels // groups, *value.shape[2:]))
    positions = [grouped.position(axis) for axis in range(2, grouped.rank)]
    values = _standardized(grouped.values, positions, node.attribute("epsilon", 1e-5))
    result = reshaped(grouped.with_values(values), value.shape)
    scale = node.constant(inputs, 1)
    bias = node.constant(inputs, 2)
    if len(scale) == groups:  # As opset 18 has it.
        scale = np.repeat(scale, channels // groups)
        bias = np.repeat(bias, channels // groups)
    shape = [1] * result.rank
    shape[result.position(1)] = -1
    return result.with_values(result.values * scale.reshape(shape) + bias.reshape(shape))


def _standardized(values: tf.Tensor, positions: list[int], epsilon: float) -> tf.Tensor:
    """Return values less their mean, over their standard deviation."""
    centred = values - tf.reduce_mean(values, positions, keepdims=True)
    variance = tf.reduce_mean(tf.square(centred), positions, keepdims=True)
    return centred * tf.math.rsqrt(variance + epsilon)


OPERATORS: dict[str, Operator] = {
    **dict.fromkeys(REDUCTIONS, reduction),
    "MatMul": matrix_product,
    "Gemm": gemm,
    "ReduceL2": euclidean_norm,
    "LpNormalization": l2_normalization,
    "Softmax": softmax,
    "LogSoftmax": softmax,
    "LayerNormalization": layer_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
}
