"""A trained run's Keras models as one TFLite graph with a signature for each step.

Two traps shape this file. Variables of a model with several signatures reach the graph uninitialised, so
every step is frozen to constants first. And a while-loop crashes the int8 converter, so a step is one
word, and the beam search is the device's. With activations of 16 bits there is a third: the quantizer wants a range for
the words' numbers, which only floating point has, so they come as such and are looked up by a product.
"""

import tempfile

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from picaption.device.bundle.classifier_graph import with_classify
from picaption.device.bundle.flatbuffer import compact_graph
from picaption.device.errors import PicaptionError
from picaption.device.images import quiet_stderr

from .. import INTEGERS, RUNTIMES
from .layer_names import beyond
from .stable_means import stabilize_means

#: Operators for the precisions whose activations have ranges that a representative dataset gives.
ACTIVATIONS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}


def to_bundle_graph(graph, model, precision):
    """Return a KerasModel's `graph`, bytes, as it stands in a bundle: with the signature `classify`, in as few bytes as can be."""
    if not model.head:
        return compact_graph(graph)
    return with_classify(
        graph, model.head, model.metadata.head == "multi-label", quantized=precision in INTEGERS
    )


def history_type(precision):
    """Return the dtype in which `next_word` takes the numbers of the words before."""
    return tf.float32 if precision == "int16" else tf.int32


def convert_functions(functions, precision="int8", examples=()):
    """Return the TFLite flatbuffer, as bytes, whose signatures are `functions`: what `freeze` gives, by name.

    precision: of convert.PRECISIONS; examples: the representative dataset, a list of (signature, {input: array}), in whose
    ranges "int8" and "int16" quantize.
    """
    return compact_graph(convert_with_layer_names(functions, precision, examples))


def convert_with_layer_names(
    functions, precision="int8", examples=(), per_tensor=False, runtime=RUNTIMES[0]
):
    """Return what convert_functions does before it is compact: its tensors have the names of the layers they came from.

    per_tensor: weights have one scale a tensor instead of one a channel; runtime: of convert.RUNTIMES, on which the graph
    is to run. Raises PicaptionError where a layer is beyond TFLite, and where the disk is full.
    """
    with tempfile.TemporaryDirectory() as folder:
        try:
            tf.saved_model.save(tf.Module(), folder, signatures=functions)
        except tf.errors.OpError as error:
            raise PicaptionError(
                f"the conversion cannot keep its files: {error.message.rpartition('; ')[2]}: {folder}; free "
                "some space there, or set TMPDIR to another folder"
            ) from None
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        converter._experimental_disable_per_channel = per_tensor
        converter._experimental_disable_per_channel_quantization_for_dense_layers = (
            runtime == "tflite-runtime"
        )
        if precision != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if precision == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if precision in ACTIVATIONS:
            converter.representative_dataset = lambda: iter(examples)
            # The second set is for the one cast from the picture's uint8.
            converter.target_spec.supported_ops = [
                ACTIVATIONS[precision],
                tf.lite.OpsSet.TFLITE_BUILTINS,
            ]
        try:
            with (
                quiet_stderr()
            ):  # TensorFlow warns there of its own calibrator, and tells of flags.
                graph = converter.convert()
        except (ConverterError, ValueError, RuntimeError) as error:
            raise PicaptionError(beyond(str(error))) from None
    return stabilize_means(graph) if precision == "int8" else graph


def signature_functions(model, beam, history_dtype=tf.int32):
    """Return the bundle's signatures but `classify` as tf.functions by name, their weights frozen to constants.

    numbers: the dtype of the words before, as history_type gives it.
    """
    size, spec = model.metadata.input, tf.TensorSpec
    captioner = model.captioner

    def encode(image):
        seen = model.encoder(tf.cast(image, tf.float32))
        if not captioner:
            return {"features": seen}
        mean = tf.reduce_mean(seen, 1) if len(seen.shape) == 3 else seen
        context = captioner.context(seen)
        return {"features": mean, "context": context, "tags": tf.sigmoid(captioner.tagger(context))}

    functions = {"encode": freeze(encode, spec((1, size.height, size.width, 3), tf.uint8, "image"))}
    if captioner:
        context = spec((1, *captioner.context.output_shape[1:]), tf.float32, "context")
        history = spec((beam, model.metadata.order - 1), history_dtype, "history")

        def next_word(history, context):
            # One context serves every hypothesis, so it is added, not repeated.
            return {"logits": step(captioner.next_word, history, context)}

        functions["next_word"] = freeze(next_word, history, context)
    return functions


def step(next_word, history, context):
    """Return logits [beam, V] from the captioner's `next_word` model with one context, [1, H] or [1, G, H], for all of
    `history`."""
    names = {layer.name for layer in next_word.layers}
    parts = ("embedding", "hidden", "query", "narrow_logits", "logits")
    layers = {name: next_word.get_layer(name) for name in parts if name in names}
    embedded = embed(layers["embedding"], history)
    if "query" in layers:
        places = context[0]
        weights = tf.nn.softmax(tf.matmul(layers["query"](embedded), places, transpose_b=True))
        context = tf.matmul(weights, places)
    told = tf.nn.relu(layers["hidden"](embedded) + context)
    if "narrow_logits" in layers:
        told = layers["narrow_logits"](told)
    return layers["logits"](told)


def embed(embedding, history):
    """Return the embeddings of the words `history`, [beam, n-1], one after the other: [beam, (n-1) * E]."""
    size = history.shape[1] * embedding.output_dim
    if history.dtype.is_integer:
        return tf.reshape(embedding(history), (-1, size))
    # One-hot without an integer on the way: 1 where the number is the word's, 0 where it is 1 or more off.
    numbers = np.arange(embedding.input_dim, dtype=np.float32)
    chosen = tf.nn.relu(1 - tf.abs(tf.reshape(history, (-1, 1)) - numbers))
    return tf.reshape(tf.matmul(chosen, embedding.embeddings), (-1, size))


def freeze(function, *specs):
    """Return `function`, which gives a dict of tensors, as a tf.function of `specs` without variables."""
    concrete = tf.function(function).get_concrete_function(*specs)
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    names = list(concrete.structured_outputs)

    @tf.function(input_signature=specs)
    def signature(*inputs):
        # The frozen function gives a flat list in the order of the names, sorted as TensorFlow flattens a dict.
        return dict(zip(sorted(names), tf.nest.flatten(frozen(*inputs))))

    return signature
