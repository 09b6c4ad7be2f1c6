"""Convolutional networks, batch normalisation already folded into their convolutions.

MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018.
EfficientNet-Lite0: Tan and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural
Networks", ICML 2019, in the form published for small devices in 2020: without
squeeze-and-excitation, with ReLU6, so that it bears quantization.

A convolution followed by batch normalisation is one convolution with a bias. This is the form that
is quantized, so it is the form that is trained: what is measured in float is what is converted.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

#: (expansion, channels, repeats, stride of the first, depthwise kernel) of each group of blocks.
BLOCKS = {
    "mobilenet_v2": (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 32, 3, 2, 3),
        (6, 64, 4, 2, 3),
        (6, 96, 3, 1, 3),
        (6, 160, 3, 2, 3),
        (6, 320, 1, 1, 3),
    ),
    "efficientnet_lite0": (
        (1, 16, 1, 1, 3),
        (6, 24, 2, 2, 3),
        (6, 40, 2, 2, 5),
        (6, 80, 3, 2, 3),
        (6, 112, 3, 1, 5),
        (6, 192, 4, 2, 5),
        (6, 320, 1, 1, 3),
    ),
}


def scale_channels(count: int, alpha: float) -> int:
    """Return `count` scaled by `alpha`, rounded to a multiple of 8 and never below 90 % of it."""
    rounded = max(8, int(count * alpha + 4) // 8 * 8)
    if rounded < 0.9 * count * alpha:
        rounded += 8
    return rounded


def build_backbone(
    name: str, size: int = 224, alpha: float = 1.0, classes: int | None = None
) -> keras.Model:
    """Build a network of inverted residuals with random weights.

    Args:
        name: One of BLOCKS.
        size: The side of its input.
        alpha: The factor of its channels.
        classes: The number of classes; None for the network without its classifier.

    Returns:
        The model of RGB / 127.5 - 1, float32 [batch, size, size, 3] in -1..1. It outputs the last
        feature map, float32 [batch, size/32, size/32, 1280 (or 1280 * alpha)], or, with `classes`,
        their logits [batch, classes].
    """
    image = keras.Input((size, size, 3), name="image")
    x = _convolution(image, scale_channels(32, alpha), 3, 2, "stem")
    index = 0
    for expansion, count, repeats, first_stride, kernel in BLOCKS[name]:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            channels = scale_channels(count, alpha)
            x = _inverted_residual(x, expansion, channels, kernel, stride, f"block_{index:02}")
            index += 1
    x = _convolution(x, scale_channels(1280, max(alpha, 1.0)), 1, 1, "head")
    if classes:
        x = layers.GlobalAveragePooling2D(name="pool")(x)
        x = layers.Dense(classes, name="logits")(x)
    return keras.Model(image, x, name=f"{name}_{alpha}_{size}")


def _convolution(
    x: Any, filters: int, kernel: int, stride: int, name: str, activation: str | None = "relu6"
) -> Any:
    """Return a Keras tensor convolved, its border padded."""
    layer = layers.Conv2D(filters, kernel, stride, "same", activation=activation, name=name)
    return layer(x)


def _inverted_residual(
    x: Any, expansion: int, channels: int, kernel: int, stride: int, name: str
) -> Any:
    """Return a Keras tensor expanded, convolved by channel and projected, with a shortcut."""
    shortcut = x
    if expansion > 1:
        x = _convolution(x, expansion * x.shape[-1], 1, 1, f"{name}_expand")
    x = layers.DepthwiseConv2D(
        kernel, stride, "same", activation="relu6", name=f"{name}_depthwise"
    )(x)
    x = _convolution(x, channels, 1, 1, f"{name}_project", activation=None)
    if stride == 1 and shortcut.shape[-1] == x.shape[-1]:
        x = layers.Add(name=f"{name}_add")([shortcut, x])
    return x


def build_classic_cnn(size: int = 96, classes: int | None = None) -> keras.Model:
    """Build the classic small network: Conv 32-64-128 with 2x2 max pooling, Dense 512.

    Args:
        size: The side of its input.
        classes: The number of classes; None for the network without its classifier.

    Returns:
        The model of RGB in 0..255, [batch, size, size, 3]. It outputs 512 features, or, with
        `classes`, their logits.
    """
    image = keras.Input((size, size, 3), name="image")
    x = layers.Rescaling(1 / 127.5, -1)(image)
    for filters in (32, 64, 128):
        x = layers.MaxPooling2D(2)(layers.Conv2D(filters, 3, activation="relu")(x))
    x = layers.Dense(512, activation="relu", name="features")(layers.Flatten()(x))
    if classes:
        x = layers.Dense(classes, name="logits")(layers.Dropout(0.5)(x))
    return keras.Model(image, x, name="classic_cnn")


def weighted_layers(network: keras.Model) -> list[keras.Layer]:
    """Return the layers of a network that hold weights, in execution order."""
    return [layer for layer in network.layers if layer.weights]


def load_folded(network: keras.Model, path: str | Path) -> None:
    """Load folded weights, `NN_w` and `NN_b` in TFLite's layout, into a network.

    Convolutions are stored as (out, height, width, in), depthwise ones as (1, height, width,
    channels), the classifier as (classes, 1, 1, in); it is skipped where `network` has none.

    Args:
        network: A model of build_backbone.
        path: The .npz file.

    Raises:
        ValueError: A shape does not fit.
    """
    with np.load(path, allow_pickle=False) as arrays:
        for index, layer in enumerate(weighted_layers(network)):
            weight = arrays[f"{index:02}_w"]
            if isinstance(layer, layers.Dense):
                weight = weight.reshape(len(weight), -1).T
            else:
                weight = weight.transpose(1, 2, 3, 0)
            set_weights(layer, weight, arrays[f"{index:02}_b"])


def load_applications(network: keras.Model, source: keras.Model) -> None:
    """Fold a `keras.applications` MobileNetV2's batch normalisation into a network's convolutions.

    w' = w * gamma / sqrt(variance + epsilon) for each output channel, b' = beta - mean * (the
    same).

    Args:
        network: A model of build_backbone, which takes the weights.
        source: The MobileNetV2.

    Raises:
        ValueError: A shape does not fit.
    """
    kernel: np.ndarray = np.zeros(())
    folded = []
    for layer in source.layers:
        if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
            kernel = layer.get_weights()[0]
        elif isinstance(layer, layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            is_depthwise = kernel.shape[-1] == 1
            kernel_scale = scale[:, None] if is_depthwise else scale
            folded.append((kernel * kernel_scale, beta - mean * scale))
        elif isinstance(layer, layers.Dense):
            folded.append(layer.get_weights())
    for layer, (weight, bias) in zip(weighted_layers(network), folded):
        set_weights(layer, weight, bias)


def set_weights(layer: keras.Layer, weight: np.ndarray, bias: np.ndarray) -> None:
    """Set a layer's kernel and bias; raise ValueError with its name where the shapes differ."""
    expected = tuple(layer.kernel.shape)
    if expected != weight.shape:
        raise ValueError(
            f"layer {layer.name} takes weights of shape {expected}, the file has {weight.shape}; "
            "are alpha and the network the same?"
        )
    layer.set_weights([weight, bias])
