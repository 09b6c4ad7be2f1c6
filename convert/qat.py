"""Weights trained to their quantization, where rounding them afterwards loses too much.

The graph is computed as its quantization would have it, weights and activations rounded to 8 bits, and learns to give what it
gives in floating point (Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", CVPR 2018; Hinton et al., "Distilling the Knowledge in a Neural Network", 2015): pictures need no labels. Rounding has
no gradient, and is given that of the identity (Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons for
Conditional Computation", 2013).
"""

import logging
from dataclasses import asdict, dataclass, replace

import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from picaption.device.bundle.bundle import Contents
from picaption.models.data.batches import augment

from .tflite.export import freeze
from .tflite.to_tensorflow import WEIGHTED, TFLiteFunction

log = logging.getLogger("picaption")

#: Passes over the pictures, and how many are looked at together.
EPOCHS, BATCH = 8, 16
#: Adam's first and largest step, and what share of the weights' root mean square it is at most: the first layer's are tiny where
#: the scaling of pixels was folded into them.
RATE, SHARE = 1e-4, 0.002


@dataclass(frozen=True)
class Candidate:
    """A conversion: the functions it was made of, its graph with the names of layers, and the bundle's Contents."""

    functions: dict
    named: bytes
    contents: Contents


@dataclass(frozen=True)
class Tuned:
    """What tuning brought: the points that a bundle may lose, and those that it lost before and after."""

    bound: float
    lost: float
    lost_tuned: float


def keep_better(first, build, tuned, lost, bound):
    """Return the Candidate `first` where it loses no more than `bound` points, else the better of it and what `build` makes of the
    functions that `tuned()` gives; what came of it is in its provenance.

    lost: gives the points that a Candidate's bundle loses.
    """
    before = lost(first)
    if before <= bound:
        return first
    second = build(tuned())
    outcome = Tuned(bound, round(before, 2), round(lost(second), 2))
    best = second if outcome.lost_tuned < outcome.lost else first
    metadata = best.contents.metadata
    metadata = replace(metadata, provenance=metadata.provenance | {"tuned": asdict(outcome)})
    return replace(best, contents=replace(best.contents, metadata=metadata))


def finetune_encoder(graph, pictures, shared=(), seed=1, epochs=EPOCHS):
    """Return the signature `encode` of a float32 graph from picaption.convert.tflite.export.convert_with_layer_names as picaption.convert.tflite.export.freeze gives it, its weights
    trained on `pictures`, uint8 [H, W, 3], to be quantized to 8 bits.

    shared: the kinds of operators whose weights have one scale a tensor, of picaption.convert.tflite.to_tensorflow.WEIGHTED, not one a channel.
    """
    encode, pictures = TFLiteFunction(graph, "encode"), np.stack(pictures)
    steps = {
        number: min(RATE, SHARE * float(np.sqrt(np.mean(array**2))))
        if number in encode.kernels
        else RATE
        for number, array in encode.weights.items()
    }
    moved = {number: tf.Variable(np.zeros_like(array)) for number, array in encode.weights.items()}
    count = max(1, len(pictures) // BATCH)
    rate = keras.optimizers.schedules.CosineDecay(1.0, epochs * count)
    optimizer, random = keras.optimizers.Adam(rate), np.random.default_rng(seed)

    def weights():
        return {
            number: array + steps[number] * moved[number]
            for number, array in encode.weights.items()
        }

    @tf.function(autograph=False)
    def step(image):
        wanted = encode({"image": image})
        with tf.GradientTape() as tape:
            rounded = {
                number: round_weights(weight, encode.kernels[number], shared)
                if number in encode.kernels
                else weight
                for number, weight in weights().items()
            }
            given = encode({"image": image}, rounded, round_activations)
            loss = tf.add_n(
                [
                    tf.reduce_mean((given[name] - wanted[name]) ** 2)
                    / (tf.reduce_mean(wanted[name] ** 2) + 1e-9)
                    for name in wanted
                ]
            )
        optimizer.apply_gradients(zip(tape.gradient(loss, [*moved.values()]), moved.values()))
        return loss

    for _ in tqdm(range(epochs), "tuning", disable=None):
        losses = [
            float(step(np.stack([augment(pictures[row], random) for row in rows])))
            for rows in np.array_split(random.permutation(len(pictures)), count)
        ]
        log.info("tuning: %.4f of the outputs' power is off", np.mean(losses))
    trained = {number: weight.numpy() for number, weight in weights().items()}
    return freeze(
        lambda image: encode({"image": image}, trained),
        tf.TensorSpec((1, *pictures.shape[1:]), tf.uint8, "image"),
    )


def one_scale(per_tensor, runtime):
    """Return the kinds of operators whose weights have one scale a tensor, for these options of picaption.convert.tflite.export.convert_with_layer_names."""
    return WEIGHTED if per_tensor else ("FULLY_CONNECTED",) if runtime == "tflite-runtime" else ()


def round_weights(weights, kind, shared):
    """Return weights of an operator of that kind as 8 bits hold them, with the gradient of the weights themselves."""
    channels = 3 if kind == "DEPTHWISE_CONV_2D" else 0
    axes = (
        None if kind in shared else [axis for axis in range(len(weights.shape)) if axis != channels]
    )
    scale = tf.stop_gradient(
        tf.maximum(tf.reduce_max(tf.abs(weights), axes, keepdims=True), 1e-9) / 127
    )
    return weights + tf.stop_gradient(tf.round(weights / scale) * scale - weights)


def round_activations(kind, values):
    """Return what an operator gives as 8 bits hold it, in the range that it has in this batch."""
    if kind in ("CAST", "RESHAPE"):
        return values
    low, high = (
        tf.stop_gradient(each)
        for each in (
            tf.minimum(tf.reduce_min(values), 0.0),
            tf.maximum(tf.reduce_max(values), 1e-6),
        )
    )
    return tf.quantization.fake_quant_with_min_max_vars(values, low, high)
