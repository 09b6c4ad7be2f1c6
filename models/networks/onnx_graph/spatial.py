"""ONNX's operators that look at neighbouring places of an image: convolutions and pools."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .layout import Laid, Value, channels_last
from .node import Node, Operator, UnsupportedError

#: Height and width as ONNX counts an image's axes.
_SPATIAL = (2, 3)
#: Of an image.
_RANK = 4

#: (before, after) of the height and of the width.
Margins = list[tuple[int, int]]


def convolution(node: Node, inputs: list[Any]) -> Value:
    """Return Conv, with channels last."""
    kernel = node.constant(inputs, 1).astype(np.float32)
    bias = node.constant(inputs, 2)
    image = _image(inputs[0])
    size = kernel.shape[2:]
    strides = _pair(node, "strides")
    dilations = _pair(node, "dilations")
    groups = node.attribute("group", 1)
    reach = [(side - 1) * dilation + 1 for side, dilation in zip(size, dilations)]
    margins = _margins(node, image.shape[1:3], reach, strides)
    padding = "VALID"
    if margins == _same_margins(image.shape[1:3], reach, strides, upper=True):
        padding = "SAME"
    elif any(map(any, margins)):
        image = tf.pad(image, ((0, 0), *margins, (0, 0)))
    channels = image.shape[-1]
    if groups == channels and groups > 1:
        # [C * M, 1, h, w] -> [h, w, C, M]
        weights = kernel.reshape(channels, -1, *size).transpose(2, 3, 0, 1)
        values = _depthwise(image, weights, strides, padding, dilations)
    else:
        weights = kernel.transpose(2, 3, 1, 0)
        values = tf.nn.conv2d(image, weights, strides, padding, dilations=dilations)
    if bias is not None:
        values = values + bias.astype(np.float32)
    return Laid(values, channels_last(_RANK))


def _depthwise(
    image: tf.Tensor,
    weights: np.ndarray,
    strides: Sequence[int],
    padding: str,
    dilations: Sequence[int],
) -> tf.Tensor:
    """Return a convolution of each channel with weights [h, w, C, M]."""
    if strides[0] != strides[1]:
        raise UnsupportedError(f"a depthwise convolution with strides of {list(strides)}")
    return tf.nn.depthwise_conv2d(
        image, weights, (1, *strides, 1), padding, dilations=tuple(dilations)
    )


def max_pool(node: Node, inputs: list[Any]) -> Value:
    """Return MaxPool; what stands at a margin is no larger than what is beside it."""
    size = tuple(node.attribute("kernel_shape"))
    strides = _pair(node, "strides")
    if _pair(node, "dilations") != (1, 1):
        raise UnsupportedError("a pool with dilations")
    image = _image(inputs[0])
    margins = _pool_margins(node, image.shape[1:3], size, strides)
    if margins == _same_margins(image.shape[1:3], size, strides, upper=True):
        values = tf.nn.max_pool2d(image, size, strides, "SAME")
        return Laid(values, channels_last(_RANK), inputs[0].is_nonnegative)
    if any(map(any, margins)):
        # Mirrored, a margin repeats numbers that its own window holds.
        mode = "CONSTANT" if inputs[0].is_nonnegative else "SYMMETRIC"
        image = tf.pad(image, ((0, 0), *margins, (0, 0)), mode)
    values = tf.nn.max_pool2d(image, size, strides, "VALID")
    return Laid(values, channels_last(_RANK), inputs[0].is_nonnegative)


def average_pool(node: Node, inputs: list[Any]) -> Value:
    """Return AveragePool, with or without its margins in the count."""
    size = tuple(node.attribute("kernel_shape"))
    strides = _pair(node, "strides")
    if _pair(node, "dilations") != (1, 1):
        raise UnsupportedError("a pool with dilations")
    image = _image(inputs[0])
    spatial = image.shape[1:3]
    margins = _pool_margins(node, spatial, size, strides)
    counts_margins = bool(node.attribute("count_include_pad", 0))
    is_same = margins == _same_margins(spatial, size, strides, upper=True)
    if is_same and not counts_margins:
        return Laid(
            tf.nn.avg_pool2d(image, size, strides, "SAME"),
            channels_last(_RANK),
            inputs[0].is_nonnegative,
        )
    if any(map(any, margins)):
        image = tf.pad(image, ((0, 0), *margins, (0, 0)))
    values = tf.nn.avg_pool2d(image, size, strides, "VALID")
    counts = np.ones(1)
    if any(map(any, margins)):
        counted = _margins(node, spatial, size, strides) if counts_margins else [(0, 0), (0, 0)]
        shares = [
            _shares(int(length), before, after, numbers, side, stride)
            for length, (before, after), numbers, side, stride in zip(
                spatial, margins, counted, size, strides
            )
        ]
        counts = np.outer(*shares)[None, :, :, None]
    if np.any(counts != 1):
        values = values * (1 / counts).astype(np.float32)
    return Laid(values, channels_last(_RANK), inputs[0].is_nonnegative)


def _shares(
    length: int, before: int, after: int, counted: tuple[int, int], side: int, stride: int
) -> np.ndarray:
    """Return which share of each window of a row counts in its mean.

    Args:
        length: Of the row without margins.
        before: The margin in front.
        after: The margin behind.
        counted: Of both margins, how many places next to the row count.
        side: Of a window.
        stride: From window to window.
    """
    counts = np.zeros(before + length + after)
    counts[before - counted[0] : before + length + counted[1]] = 1
    starts = range(0, len(counts) - side + 1, stride)
    return np.array([counts[start : start + side].mean() for start in starts])


def global_pool(node: Node, inputs: list[Any]) -> Value:
    """Return GlobalAveragePool or GlobalMaxPool."""
    value = inputs[0]
    axes = [value.position(axis) for axis in range(2, value.rank)]
    reduce = tf.reduce_mean if node.operator == "GlobalAveragePool" else tf.reduce_max
    return value.with_values(reduce(value.values, axes, keepdims=True), value.is_nonnegative)


def pad(node: Node, inputs: list[Any]) -> Value:
    """Return Pad."""
    value = inputs[0]
    sizes = [int(size) for size in np.ravel(node.constant(inputs, 1, "pads"))]
    axes = node.constant(inputs, 3)
    axes = range(value.rank) if axes is None else [int(axis) for axis in axes]
    fill = node.constant(inputs, 2, "value")
    fill = 0.0 if fill is None else float(np.ravel(fill)[0])
    margins = [(0, 0)] * value.rank
    for index, axis in enumerate(axes):
        margins[value.position(axis)] = (sizes[index], sizes[index + len(axes)])
    mode = node.attribute("mode", "constant")
    if mode not in ("constant", "reflect"):
        raise UnsupportedError(f"it pads by {mode}")
    values = value.values
    if min(map(min, margins)) < 0:
        starts = [max(0, -before) for before, _ in margins]
        ends = [int(size) - max(0, -after) for size, (_, after) in zip(values.shape, margins)]
        values = values[tuple(slice(*limits) for limits in zip(starts, ends))]
        margins = [(max(0, before), max(0, after)) for before, after in margins]
    if any(map(any, margins)):
        values = tf.pad(values, margins, mode.upper(), fill)
    return value.with_values(values, value.is_nonnegative and fill >= 0)


def batch_normalization(node: Node, inputs: list[Any]) -> Value:
    """Return BatchNormalization as a product and a sum, which fold into the layer before."""
    scale, bias, mean, variance = (
        node.constant(inputs, index).astype(np.float32) for index in range(1, 5)
    )
    factor = scale / np.sqrt(variance + np.float32(node.attribute("epsilon", 1e-5)))
    offset = bias - mean * factor
    value = inputs[0]
    shape = [1] * value.rank
    shape[value.position(1 % value.rank)] = -1
    return value.with_values(value.values * factor.reshape(shape) + offset.reshape(shape))


def local_response_normalization(node: Node, inputs: list[Any]) -> Value:
    """Return LRN, whose alpha ONNX divides by the number of channels that it looks at."""
    size = node.attribute("size")
    image = _image(inputs[0])
    values = tf.nn.local_response_normalization(
        image,
        depth_radius=size // 2,
        bias=node.attribute("bias", 1.0),
        alpha=node.attribute("alpha", 1e-4) / size,
        beta=node.attribute("beta", 0.75),
    )
    return Laid(values, channels_last(_RANK), inputs[0].is_nonnegative)


def resize(node: Node, inputs: list[Any]) -> Value:
    """Return Resize, to the nearest or by bilinear interpolation."""
    image = _image(inputs[0])
    mode = node.attribute("mode", "nearest")
    rule = node.attribute("coordinate_transformation_mode", "half_pixel")
    sizes = node.constant(inputs, 3) if len(inputs) > 3 else None
    if sizes is None or not len(sizes):
        scales = node.constant(inputs, min(2, len(inputs) - 1))
        sizes = [int(size * scale) for size, scale in zip(inputs[0].shape, np.ravel(scales))]
    height, width = (int(size) for size in sizes[-2:])
    if (height, width) == tuple(image.shape[1:3]):
        return inputs[0]
    half_pixel = rule in ("half_pixel", "pytorch_half_pixel")
    if mode == "linear" and (half_pixel or rule == "align_corners"):
        values = tf.raw_ops.ResizeBilinear(
            images=image,
            size=(height, width),
            align_corners=not half_pixel,
            half_pixel_centers=half_pixel,
        )
    elif mode == "nearest" and height % image.shape[1] == 0 and width % image.shape[2] == 0:
        values = tf.raw_ops.ResizeNearestNeighbor(images=image, size=(height, width))
    else:
        raise UnsupportedError(f"it resizes by {mode} and {rule}")
    return Laid(values, channels_last(_RANK), inputs[0].is_nonnegative)


def depth_to_space(node: Node, inputs: list[Any]) -> Value:
    """Return DepthToSpace in its DCR mode, or SpaceToDepth."""
    if node.attribute("mode", "DCR") != "DCR":
        raise UnsupportedError("its mode is CRD")
    function = tf.nn.depth_to_space if node.operator == "DepthToSpace" else tf.nn.space_to_depth
    values = function(_image(inputs[0]), node.attribute("blocksize"))
    return Laid(values, channels_last(_RANK), inputs[0].is_nonnegative)


def _image(value: Laid) -> tf.Tensor:
    """Return an image with channels last."""
    if value.rank != _RANK:
        raise UnsupportedError(f"it looks at {value.rank - 2} dimensions, and a picture has two")
    return value.arranged(channels_last(_RANK))


def _pair(node: Node, attribute: str) -> tuple[int, int]:
    """Return an attribute of height and width, 1 where it is not set."""
    height, width = node.attribute(attribute) or (1, 1)
    return int(height), int(width)


def _margins(
    node: Node, image: Sequence[int], size: Sequence[int], strides: Sequence[int]
) -> Margins:
    """Return the margins that a node asks for.

    Args:
        node: The node.
        image: (height, width).
        size: How far its window reaches.
        strides: From window to window.
    """
    rule = node.attribute("auto_pad", "NOTSET")
    if rule in ("SAME_UPPER", "SAME_LOWER"):
        return _same_margins(image, size, strides, upper=rule == "SAME_UPPER")
    pads = node.attribute("pads")
    if rule == "VALID" or not pads:
        return [(0, 0), (0, 0)]
    top, left, bottom, right = (int(margin) for margin in pads)
    return [(top, bottom), (left, right)]


def _same_margins(
    image: Sequence[int], size: Sequence[int], strides: Sequence[int], upper: bool
) -> Margins:
    """Return the margins by which an image has as many windows as strides, "SAME"."""
    margins = []
    for length, side, stride in zip(image, size, strides):
        total = max(0, (-(-int(length) // stride) - 1) * stride + side - int(length))
        less = total // 2
        margins.append((less, total - less) if upper else (total - less, less))
    return margins


def _pool_margins(
    node: Node, image: Sequence[int], size: Sequence[int], strides: Sequence[int]
) -> Margins:
    """Return the margins of a pool: those that it asks for, as far as its windows reach."""
    margins = []
    for length, side, stride, (before, after) in zip(
        image, size, strides, _margins(node, image, size, strides)
    ):
        span = int(length) + before + after - side
        windows = span // stride + 1
        if node.attribute("ceil_mode", 0) and span % stride:
            # A window that would begin behind the image is left out.
            windows += int(windows * stride < int(length) + before)
        margins.append((before, (windows - 1) * stride + side - int(length) - before))
    if any(after < 0 for _, after in margins):
        return [(before, max(0, after)) for before, after in margins]
    return margins


OPERATORS: dict[str, Operator] = {
    "Conv": convolution,
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_pool,
    "GlobalMaxPool": global_pool,
    "Pad": pad,
    "BatchNormalization": batch_normalization,
    "LRN": local_response_normalization,
    "Resize": resize,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": depth_to_space,
}
