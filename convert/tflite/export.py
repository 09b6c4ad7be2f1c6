"""A trained run's Keras models as one TFLite graph with a signature for each step.

Three traps shape this file. Variables of a model with several signatures reach the graph
uninitialised, so every step is frozen to constants first. A while-loop crashes the int8 converter,
so a step is one word, and the beam search runs on the device. And with activations of 16 bits, the
quantizer wants a range for word ids, which only floating point has, so they come as such, and a
product looks them up.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.lite.python.convert_phase import ConverterError
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from picaption.device.bundle.classifier_graph import with_classify, with_names
from picaption.device.bundle.flatbuffer import compact_graph
from picaption.device.errors import PicaptionError
from picaption.device.images import quiet_stderr
from picaption.models.run_folder import FloatModel

from .. import INTEGERS, RUNTIMES
from .calibration import CalibratedGraph
from .layer_names import conversion_error
from .stable_means import stabilize_means

#: The operators for precisions whose activations have ranges, from a representative dataset.
ACTIVATIONS = {
    "int8": tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    "int16": tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}

#: Signatures by name: what `freeze` returns.
Functions = Mapping[str, Callable[..., dict[str, tf.Tensor]]]
#: The inputs of one call: (signature, {input: array}).
Example = tuple[str, dict[str, np.ndarray]]


def to_bundle_graph(graph: bytes, model: FloatModel, precision: str) -> bytes:
    """Return a run's converted graph as a bundle holds it: compact, with `classify` and `name`.

    Args:
        graph: A flatbuffer from convert_with_layer_names.
        model: The run, whose classifiers become these signatures.
        precision: One of convert.PRECISIONS.
    """
    quantized = precision in INTEGERS
    if model.name_classifier:
        graph = with_names(graph, model.name_classifier, quantized)
    if not model.classifier:
        return compact_graph(graph)
    multi_label = model.metadata.head == "multi-label"
    return with_classify(graph, model.classifier, multi_label, quantized)


def history_type(precision: str) -> tf.DType:
    """Return the dtype in which `next_word` takes word ids at a precision."""
    return tf.float32 if precision == "int16" else tf.int32


def convert_functions(
    functions: Functions, precision: str = "int8", examples: Sequence[Example] = ()
) -> bytes:
    """Convert signatures to a compact TFLite flatbuffer; see convert_with_layer_names."""
    return compact_graph(convert_with_layer_names(functions, precision, examples))


def convert_with_layer_names(
    functions: Functions,
    precision: str = "int8",
    examples: Sequence[Example] | CalibratedGraph = (),
    per_tensor: bool = False,
    runtime: str = RUNTIMES[0],
) -> bytes:
    """Convert signatures to a TFLite flatbuffer whose tensors name the layers they came from.

    Args:
        functions: The signatures, as `freeze` returns them.
        precision: One of convert.PRECISIONS.
        examples: The representative dataset; "int8" and "int16" quantize in its ranges. Or, for
            "int8", what `calibrate` made of the functions and the dataset.
        per_tensor: Whether weights have one scale a tensor instead of one a channel.
        runtime: One of convert.RUNTIMES, on which the graph is to run.

    Returns:
        The flatbuffer.

    Raises:
        PicaptionError: TFLite has no operator for a layer, or the disk is full.
    """
    if isinstance(examples, CalibratedGraph):
        return examples.quantize(per_tensor, runtime)

    def configure(converter: Any) -> None:
        _configure(converter, precision, examples, per_tensor, runtime)

    graph = _convert(functions, configure)
    if precision == "int8":
        return stabilize_means(graph)
    return graph


def calibrate(functions: Functions, examples: Sequence[Example]) -> CalibratedGraph:
    """Convert signatures to a float32 graph with the ranges that examples give its tensors.

    Args:
        functions: The signatures, as `freeze` returns them.
        examples: The representative dataset.

    Raises:
        PicaptionError: As convert_with_layer_names.
    """

    def configure(converter: Any) -> None:
        _configure(converter, "int8", examples, per_tensor=False, runtime=RUNTIMES[0])
        converter._experimental_calibrate_only = True

    return CalibratedGraph(_convert(functions, configure))


def _convert(functions: Functions, configure: Callable[[Any], None]) -> bytes:
    """Return what a TFLiteConverter that `configure` has set makes of signatures."""
    with tempfile.TemporaryDirectory() as folder:
        _save(functions, folder)
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(functions))
        configure(converter)
        try:
            with quiet_stderr():  # TensorFlow warns of its own calibrator there.
                return converter.convert()
        except (ConverterError, ValueError, RuntimeError) as error:
            raise PicaptionError(conversion_error(str(error))) from None


def _save(functions: Functions, folder: str) -> None:
    """Write signatures as a SavedModel."""
    # Gradients of an activation's own (swish) would refer to what is frozen; none is needed.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    try:
        tf.saved_model.save(tf.Module(), folder, signatures=functions, options=options)
    except tf.errors.OpError as error:
        raise PicaptionError(
            f"the conversion cannot keep its files: {error.message.rpartition('; ')[2]}: {folder}; "
            "free some space there, or set TMPDIR to another folder"
        ) from None


def _configure(
    converter: Any, precision: str, examples: Sequence[Example], per_tensor: bool, runtime: str
) -> None:
    """Set a TFLiteConverter to what convert_with_layer_names is asked for."""

    def representative_dataset() -> Iterator[Example]:
        return iter(examples)

    converter._experimental_disable_per_channel = per_tensor
    converter._experimental_disable_per_channel_quantization_for_dense_layers = (
        runtime == "tflite-runtime"
    )
    if precision != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if precision in ACTIVATIONS:
        converter.representative_dataset = representative_dataset
        # The second set is for the cast from the image's uint8.
        converter.target_spec.supported_ops = [
            ACTIVATIONS[precision],
            tf.lite.OpsSet.TFLITE_BUILTINS,
        ]


def signature_functions(
    model: FloatModel, beam_width: int, history_dtype: tf.DType = tf.int32
) -> Functions:
    """Return a bundle's signatures but `classify`, their weights frozen to constants.

    Args:
        model: The run.
        beam_width: How many histories `next_word` takes at once.
        history_dtype: The dtype of word ids, from history_type.
    """
    size = model.metadata.input
    captioner = model.captioner

    def encode(image: tf.Tensor) -> dict[str, tf.Tensor]:
        features = model.encoder(tf.cast(image, tf.float32))
        if captioner is None:
            return {"features": features}
        mean = tf.reduce_mean(features, 1) if len(features.shape) == 3 else features
        context = captioner.context(features)
        return {"features": mean, "context": context, "tags": tf.sigmoid(captioner.tagger(context))}

    image_spec = tf.TensorSpec((1, size.height, size.width, 3), tf.uint8, "image")
    functions = {"encode": freeze(encode, image_spec)}
    if captioner is None:
        return functions

    def next_word(history: tf.Tensor, context: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"logits": next_word_logits(captioner.next_word, history, context)}

    context_shape = (1, *captioner.context.output_shape[1:])
    functions["next_word"] = freeze(
        next_word,
        tf.TensorSpec((beam_width, model.metadata.order - 1), history_dtype, "history"),
        tf.TensorSpec(context_shape, tf.float32, "context"),
    )
    return functions


def next_word_logits(next_word: Any, history: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
    """Return the captioner's logits for several histories of one image.

    One context serves every hypothesis, so it is added, not repeated.

    Args:
        next_word: The captioner's Keras model of that name.
        history: Word ids [beam, n-1].
        context: float32 [1, H], or [1, G, H] with attention over G positions.

    Returns:
        Logits float32 [beam, V].
    """
    layers = {layer.name: layer for layer in next_word.layers}
    embedded = embed(layers["embedding"], history)
    if "query" in layers:
        positions = context[0]
        weights = tf.nn.softmax(tf.matmul(layers["query"](embedded), positions, transpose_b=True))
        context = tf.matmul(weights, positions)
    hidden = tf.nn.relu(layers["hidden"](embedded) + context)
    if "narrow_logits" in layers:
        hidden = layers["narrow_logits"](hidden)
    return layers["logits"](hidden)


def embed(embedding: Any, history: tf.Tensor) -> tf.Tensor:
    """Return the embeddings of each history's words in one row.

    Args:
        embedding: The Keras layer, V words to E numbers.
        history: Word ids [beam, n-1], of any dtype.

    Returns:
        float32 [beam, (n-1) * E].
    """
    size = history.shape[1] * embedding.output_dim
    if history.dtype.is_integer:
        return tf.reshape(embedding(history), (-1, size))
    # One-hot without an integer on the way: 1 at the word's id, 0 at ids that are 1 or more off.
    ids = np.arange(embedding.input_dim, dtype=np.float32)
    one_hot = tf.nn.relu(1 - tf.abs(tf.reshape(history, (-1, 1)) - ids))
    return tf.reshape(tf.matmul(one_hot, embedding.embeddings), (-1, size))


def freeze(function: Callable[..., dict[str, tf.Tensor]], *specs: tf.TensorSpec) -> Any:
    """Return a function as a tf.function whose variables are constants.

    Args:
        function: Takes tensors, and returns tensors by name.
        specs: Shape, dtype and name of each input.
    """
    concrete = tf.function(function).get_concrete_function(*specs)
    frozen = convert_variables_to_constants_v2(concrete, lower_control_flow=False)
    names = list(concrete.structured_outputs)

    @tf.function(input_signature=specs)
    def signature(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        # The frozen function returns a flat list, sorted by name as TensorFlow flattens a dict.
        return dict(zip(sorted(names), tf.nest.flatten(frozen(*inputs))))

    return signature
