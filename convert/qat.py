"""Quantization-aware training: weights trained to their rounding, where that loses too much.

The graph is computed as its quantization would have it, weights and activations rounded to 8 bits,
and learns to return what it returns in floating point (Jacob et al., "Quantization and Training of
Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR 2018; Hinton et al.,
"Distilling the Knowledge in a Neural Network", 2015): images need no labels. Rounding has no
gradient, and takes that of the identity (Bengio et al., "Estimating or Propagating Gradients
Through Stochastic Neurons for Conditional Computation", 2013).
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from picaption.models.data.batches import augment

from .tflite.export import freeze
from .tflite.to_tensorflow import WEIGHTED_OPCODES, TFLiteFunction

logger = logging.getLogger(__name__)

#: Passes over the images.
EPOCHS = 8
#: Images in a batch.
BATCH = 16
#: Adam's first and largest step.
LEARNING_RATE = 1e-4
#: The largest share of the weights' root mean square that a step is: the first layer's weights are
#: tiny where the scaling of pixels was folded into them.
MAX_RELATIVE_STEP = 0.002
#: The largest 8-bit integer that a weight is rounded to.
MAX_INT8 = 127


def finetune_encoder(
    graph: bytes,
    images: Sequence[np.ndarray],
    single_scale: Sequence[str] = (),
    seed: int = 1,
    epochs: int = EPOCHS,
) -> Any:
    """Train the weights of an encoder to their quantization to 8 bits.

    Args:
        graph: A float32 flatbuffer from tflite.export.convert_with_layer_names, with a signature
            `encode`.
        images: uint8 RGB [H, W, 3], of the size that it takes.
        single_scale: The opcodes, of WEIGHTED_OPCODES, whose weights have one scale a tensor and
            not one a channel.
        seed: Shuffles and augments the images.
        epochs: Passes over the images.

    Returns:
        The signature as tflite.export.freeze returns it.

    Raises:
        PicaptionError: The encoder has an operator that cannot be trained.
    """
    encode = TFLiteFunction(graph, "encode")
    stacked = np.stack(images)
    batches = max(1, len(stacked) // BATCH)
    step_sizes = _step_sizes(encode)
    # What Adam moves, in units of a weight's step size.
    changes = {index: tf.Variable(np.zeros_like(array)) for index, array in encode.weights.items()}
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(1.0, epochs * batches))

    def current_weights() -> dict[int, tf.Tensor]:
        return {
            index: array + step_sizes[index] * changes[index]
            for index, array in encode.weights.items()
        }

    @tf.function(autograph=False)
    def train_step(image: tf.Tensor) -> tf.Tensor:
        targets = encode({"image": image})
        with tf.GradientTape() as tape:
            rounded = _round_kernels(encode, current_weights(), single_scale)
            loss = _relative_error(encode({"image": image}, rounded, round_activations), targets)
        optimizer.apply_gradients(zip(tape.gradient(loss, [*changes.values()]), changes.values()))
        return loss

    random = np.random.default_rng(seed)
    for _ in tqdm(range(epochs), "tuning", disable=None):
        losses = []
        for rows in np.array_split(random.permutation(len(stacked)), batches):
            batch = np.stack([augment(stacked[row], random) for row in rows])
            losses.append(float(train_step(batch)))
        logger.info("tuning: %.4f of the outputs' power is off", np.mean(losses))
    trained = {index: weight.numpy() for index, weight in current_weights().items()}

    def finetuned(image: tf.Tensor) -> dict[str, tf.Tensor]:
        return encode({"image": image}, trained)

    return freeze(finetuned, tf.TensorSpec((1, *stacked.shape[1:]), tf.uint8, "image"))


def _step_sizes(encode: TFLiteFunction) -> dict[int, float]:
    """Return Adam's first step for each weight of an encoder."""
    step_sizes = {}
    for index, array in encode.weights.items():
        step_sizes[index] = LEARNING_RATE
        if index in encode.kernels:
            largest = MAX_RELATIVE_STEP * float(np.sqrt(np.mean(array**2)))
            step_sizes[index] = min(LEARNING_RATE, largest)
    return step_sizes


def _round_kernels(
    encode: TFLiteFunction, weights: Mapping[int, tf.Tensor], single_scale: Sequence[str]
) -> dict[int, tf.Tensor]:
    """Return an encoder's weights, its kernels rounded; biases have 32 bits."""
    rounded = dict(weights)
    for index, opcode in encode.kernels.items():
        rounded[index] = round_weights(weights[index], opcode, single_scale)
    return rounded


def _relative_error(
    outputs: Mapping[str, tf.Tensor], targets: Mapping[str, tf.Tensor]
) -> tf.Tensor:
    """Return the error's share of the outputs' power, summed over the outputs."""
    return tf.add_n(
        [
            tf.reduce_mean((outputs[name] - targets[name]) ** 2)
            / (tf.reduce_mean(targets[name] ** 2) + 1e-9)
            for name in targets
        ]
    )


def single_scale_opcodes(per_tensor: bool, runtime: str) -> tuple[str, ...]:
    """Return the opcodes whose weights have one scale a tensor, for options of a conversion."""
    if per_tensor:
        return WEIGHTED_OPCODES
    if runtime == "tflite-runtime":
        return ("FULLY_CONNECTED",)
    return ()


def round_weights(weights: tf.Tensor, opcode: str, single_scale: Sequence[str]) -> tf.Tensor:
    """Return weights as 8 bits hold them, with the gradient of the weights themselves.

    Args:
        weights: The kernel of an operator, as TFLite lays it out.
        opcode: The operator, one of WEIGHTED_OPCODES.
        single_scale: The opcodes whose weights have one scale a tensor.
    """
    axes = None
    if opcode not in single_scale:
        channel_axis = 3 if opcode == "DEPTHWISE_CONV_2D" else 0
        axes = [axis for axis in range(len(weights.shape)) if axis != channel_axis]
    largest = tf.reduce_max(tf.abs(weights), axes, keepdims=True)
    scale = tf.stop_gradient(tf.maximum(largest, 1e-9) / MAX_INT8)
    return weights + tf.stop_gradient(tf.round(weights / scale) * scale - weights)


def round_activations(opcode: str, values: tf.Tensor) -> tf.Tensor:
    """Return an operator's output as 8 bits hold it, in the range that it has in this batch."""
    if opcode in ("CAST", "RESHAPE"):
        return values
    low = tf.stop_gradient(tf.minimum(tf.reduce_min(values), 0.0))
    high = tf.stop_gradient(tf.maximum(tf.reduce_max(values), 1e-6))
    return tf.quantization.fake_quant_with_min_max_vars(values, low, high)
