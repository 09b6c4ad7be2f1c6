"""Convolutional networks of inverted residuals, batch normalisation already folded into the convolutions.

MobileNetV2: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018. EfficientNet-Lite0: Tan
and Le, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks", ICML 2019, in the form published for
small devices in 2020: without squeeze-and-excitation, with ReLU6, so that it bears quantization.

A convolution followed by batch normalisation is one convolution with a bias; this is the form that
is quantized, so it is the form that is trained: what is measured in float is what is converted.
"""

import keras
import numpy as np

#: (expansion, channels, repeats, stride of the first, depthwise kernel) for each group of blocks.
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


def channels(count, alpha):
    """Return `count` scaled by `alpha`, rounded to a multiple of 8 and never below 90 % of it."""
    rounded = max(8, int(count * alpha + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count * alpha else rounded


def backbone(name, size=224, alpha=1.0, classes=None):
    """Build the network `name` of BLOCKS, its channels scaled by `alpha`.

    Takes float32 [batch, size, size, 3] in -1..1 (that is, RGB / 127.5 - 1). Returns a keras.Model
    that gives the last feature map, float32 [batch, size/32, size/32, 1280 (or 1280 * alpha)], or,
    with `classes`, their logits [batch, classes].
    """

    def convolve(x, filters, kernel, stride, name, activation="relu6"):
        return keras.layers.Conv2D(
            filters, kernel, stride, "same", activation=activation, name=name
        )(x)

    image = keras.Input((size, size, 3), name="image")
    x = convolve(image, channels(32, alpha), 3, 2, "stem")
    index = 0
    for expansion, count, repeats, first_stride, kernel in BLOCKS[name]:
        for repeat in range(repeats):
            block, shortcut = f"block_{index:02}", x
            stride = first_stride if repeat == 0 else 1
            if expansion > 1:
                x = convolve(x, expansion * x.shape[-1], 1, 1, f"{block}_expand")
            x = keras.layers.DepthwiseConv2D(
                kernel, stride, "same", activation="relu6", name=f"{block}_depthwise"
            )(x)
            x = convolve(x, channels(count, alpha), 1, 1, f"{block}_project", activation=None)
            if stride == 1 and shortcut.shape[-1] == x.shape[-1]:
                x = keras.layers.Add(name=f"{block}_add")([shortcut, x])
            index += 1
    x = convolve(x, channels(1280, alpha) if alpha > 1 else 1280, 1, 1, "head")
    if classes:
        x = keras.layers.GlobalAveragePooling2D(name="pool")(x)
        x = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(image, x, name=f"{name}_{alpha}_{size}")


def convolutions(network):
    """Return the layers of `network` that hold weights, in execution order."""
    return [layer for layer in network.layers if layer.weights]


def load_folded(network, path):
    """Load an .npz of folded weights (`NN_w`, `NN_b`, in TFLite's layout) into `network`.

    Convolutions are stored (out, height, width, in), depthwise ones (1, height, width, channels), the
    classifier (classes, 1, 1, in); it is left out where `network` has none. Raises ValueError where a
    shape does not fit.
    """
    with np.load(path, allow_pickle=False) as arrays:
        for index, layer in enumerate(convolutions(network)):
            weight, bias = arrays[f"{index:02}_w"], arrays[f"{index:02}_b"]
            if isinstance(layer, keras.layers.DepthwiseConv2D):
                weight = weight.transpose(1, 2, 3, 0)
            elif isinstance(layer, keras.layers.Dense):
                weight = weight.reshape(len(weight), -1).T
            else:
                weight = weight.transpose(1, 2, 3, 0)
            set_weights(layer, weight, bias)


def load_applications(network, source):
    """Fold the batch normalisation of a `keras.applications` MobileNetV2 into `network`'s convolutions.

    w' = w * gamma / sqrt(variance + epsilon) for each output channel, b' = beta - mean * (the same).
    Raises ValueError where a shape does not fit.
    """
    pending, folded = None, []
    for layer in source.layers:
        if isinstance(layer, (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)):
            pending = layer.get_weights()[0]
        elif isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            depthwise = pending.shape[-1] == 1
            folded.append((pending * (scale[:, None] if depthwise else scale), beta - mean * scale))
        elif isinstance(layer, keras.layers.Dense):
            folded.append(layer.get_weights())
    for layer, (weight, bias) in zip(convolutions(network), folded):
        set_weights(layer, weight, bias)


def set_weights(layer, weight, bias):
    """Set a layer's kernel and bias; raises ValueError with the layer's name where the shapes differ."""
    expected = layer.kernel.shape
    if tuple(expected) != weight.shape:
        raise ValueError(
            f"layer {layer.name} takes weights of shape {tuple(expected)}, the file has {weight.shape}; "
            "are alpha and the network the same?"
        )
    layer.set_weights([weight, bias])
