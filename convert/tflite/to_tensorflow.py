"""A signature of a float32 TFLite graph as TensorFlow operators with trainable weights.

The graph is what the converter makes of any model: normalisation is folded and activations are
fused. So training sees the very weights that are quantized afterwards.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from picaption.device.errors import PicaptionError

from .layer_names import layer_name
from .operators import DTYPES, name_of, opcode_of, shape_of

#: The functions of the schema's fused activations, by their number in ActivationFunctionType.
ACTIVATIONS = {0: tf.identity, 1: tf.nn.relu, 3: tf.nn.relu6, 4: tf.nn.tanh}
#: The names of the schema's paddings, by their number.
PADDINGS = ("SAME", "VALID")
#: Operators whose second and third inputs are weights and bias.
WEIGHTED_OPCODES = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

#: A function of an operator's opcode and its output that returns what takes the output's place.
OutputHook = Callable[[str, tf.Tensor], tf.Tensor]


class TFLiteFunction:
    """A signature of a TFLite graph as a function of TensorFlow tensors.

    Attributes:
        tensors: The signature's tensors, schema.TensorT, by index.
        inputs: {name: tensor's index}.
        outputs: {name: tensor's index}.
        constants: {tensor's index: array}.
        weights: The constants that can be trained: kernels and biases.
        kernels: {tensor's index: opcode of the operator whose weights it is}.
    """

    def __init__(self, graph: bytes, signature: str) -> None:
        """Read a signature.

        Args:
            graph: A float32 flatbuffer from export.convert_with_layer_names.
            signature: The signature's name.

        Raises:
            PicaptionError: It has an operator that is not in OPERATORS.
        """
        model = schema.ModelT.InitFromPackedBuf(graph, 0)
        (definition,) = (
            definition
            for definition in model.signatureDefs
            if definition.signatureKey.decode() == signature
        )
        subgraph = model.subgraphs[definition.subgraphIndex]
        self.tensors = subgraph.tensors
        self.inputs = _indices_by_name(definition.inputs)
        self.outputs = _indices_by_name(definition.outputs)
        self.constants = {
            index: _constant(model, tensor)
            for index, tensor in enumerate(self.tensors)
            if model.buffers[tensor.buffer].data is not None
        }
        self._steps = [(opcode_of(model, operator), operator) for operator in subgraph.operators]
        self._check_opcodes()
        weighted = [
            (opcode, operator) for opcode, operator in self._steps if opcode in WEIGHTED_OPCODES
        ]
        self.kernels = {
            int(operator.inputs[1]): opcode
            for opcode, operator in weighted
            if operator.inputs[1] in self.constants
        }
        biases = {int(operator.inputs[2]) for _, operator in weighted if len(operator.inputs) > 2}
        self.weights = {
            index: self.constants[index]
            for index in sorted({*self.kernels, *biases} & self.constants.keys())
        }

    @tf.autograph.experimental.do_not_convert
    def __call__(
        self,
        inputs: Mapping[str, tf.Tensor],
        weights: Mapping[int, tf.Tensor] | None = None,
        output_hook: OutputHook | None = None,
    ) -> dict[str, tf.Tensor]:
        """Compute the signature for any number of images.

        Args:
            inputs: {input: tensor}, the first axis as long as there are images.
            weights: {tensor's index: tensor} in place of the graph's own weights.
            output_hook: Replaces every operator's output.

        Returns:
            {output: tensor}.
        """
        values: dict[int, Any] = {**self.constants, **(weights or {})}
        for name, value in inputs.items():
            values[self.inputs[name]] = value
        for opcode, operator in self._steps:
            scope = re.sub(r"[^\w.-]", "_", self._layer_name(operator)).lstrip("_-")
            with tf.name_scope(scope or opcode.lower()):
                arguments = [values.get(int(index)) for index in operator.inputs]
                output = OPERATORS[opcode](operator.builtinOptions, *arguments)
                if output_hook is not None:
                    output = output_hook(opcode, output)
                values[int(operator.outputs[0])] = output
        return {name: values[index] for name, index in self.outputs.items()}

    def _check_opcodes(self) -> None:
        """Raise PicaptionError where an operator is not in OPERATORS."""
        for opcode, operator in self._steps:
            if opcode not in OPERATORS:
                raise PicaptionError(
                    f"the layer {self._layer_name(operator)} is a {opcode}, which cannot be tuned: "
                    "convert without --max-loss"
                )

    def _layer_name(self, operator: schema.OperatorT) -> str:
        """Return the name of the layer that an operator came from."""
        return layer_name(name_of(self.tensors[operator.outputs[0]]))


def _indices_by_name(tensor_maps: list[schema.TensorMapT]) -> dict[str, int]:
    """Return {name: tensor's index} of a signature's inputs or outputs."""
    return {tensor_map.name.decode(): tensor_map.tensorIndex for tensor_map in tensor_maps}


def _constant(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    """Return what a constant tensor holds, as an array of its dtype and shape."""
    data = model.buffers[tensor.buffer].data
    return data.view(DTYPES[tensor.type].lower()).reshape(shape_of(tensor))


def _activate(options: Any, values: tf.Tensor) -> tf.Tensor:
    """Return the activation that is fused into an operator with these options."""
    return ACTIVATIONS[options.fusedActivationFunction](values)


def _align(values: Any, rank: int) -> Any:
    """Return the operand of an element-wise operator with `rank` axes.

    An operand with fewer axes is broadcast for each image by itself; a constant has no images.
    """
    if isinstance(values, np.ndarray) or len(values.shape) == rank:
        return values
    ones = [1] * (rank - len(values.shape))
    return tf.reshape(values, (-1, *ones, *values.shape[1:]))


def _binary(function: Callable, options: Any, left: Any, right: Any) -> tf.Tensor:
    """Return an element-wise function of two operands."""
    rank = max(len(left.shape), len(right.shape))
    return _activate(options, function(_align(left, rank), _align(right, rank)))


def _add(options: Any, left: Any, right: Any) -> tf.Tensor:
    return _binary(tf.add, options, left, right)


def _subtract(options: Any, left: Any, right: Any) -> tf.Tensor:
    return _binary(tf.subtract, options, left, right)


def _multiply(options: Any, left: Any, right: Any) -> tf.Tensor:
    return _binary(tf.multiply, options, left, right)


def _convolution(options: Any, image: Any, weights: Any, bias: Any) -> tf.Tensor:
    """Return a convolution with weights [outputs, height, width, inputs]."""
    output = tf.nn.conv2d(
        image,
        tf.transpose(weights, (1, 2, 3, 0)),
        (options.strideH, options.strideW),
        PADDINGS[options.padding],
        dilations=(options.dilationHFactor, options.dilationWFactor),
    )
    return _activate(options, output + bias)


def _depthwise_convolution(options: Any, image: Any, weights: Any, bias: Any) -> tf.Tensor:
    """Return a convolution of each channel with weights [1, height, width, channels]."""
    weights = tf.reshape(weights, (*weights.shape[1:3], image.shape[-1], -1))
    output = tf.nn.depthwise_conv2d(
        image,
        weights,
        (1, options.strideH, options.strideW, 1),
        PADDINGS[options.padding],
        dilations=(options.dilationHFactor, options.dilationWFactor),
    )
    return _activate(options, output + bias)


def _fully_connected(options: Any, rows: Any, weights: Any, bias: Any = None) -> tf.Tensor:
    """Return a dense layer with weights [outputs, inputs]."""
    if not options.keepNumDims:
        rows = tf.reshape(rows, (-1, weights.shape[1]))
    output = tf.matmul(rows, weights, transpose_b=True)
    if bias is not None:
        output = output + bias
    return _activate(options, output)


def _pool(pooling_type: str, options: Any, image: Any) -> tf.Tensor:
    """Return the "AVG" or "MAX" pooling of an image."""
    output = tf.nn.pool(
        image,
        (options.filterHeight, options.filterWidth),
        pooling_type,
        (options.strideH, options.strideW),
        PADDINGS[options.padding],
    )
    return _activate(options, output)


def _average_pool(options: Any, image: Any) -> tf.Tensor:
    return _pool("AVG", options, image)


def _max_pool(options: Any, image: Any) -> tf.Tensor:
    return _pool("MAX", options, image)


def _cast(options: Any, values: Any) -> tf.Tensor:
    return tf.cast(values, tf.float32)


def _mean(options: Any, values: Any, axes: np.ndarray) -> tf.Tensor:
    return tf.reduce_mean(values, tuple(axes), keepdims=options.keepDims)


def _pad(options: Any, values: Any, margins: np.ndarray) -> tf.Tensor:
    return tf.pad(values, margins)


def _reshape(options: Any, values: Any, shape: np.ndarray) -> tf.Tensor:
    return tf.reshape(values, (-1, *shape[1:]))


def _concatenation(options: Any, *parts: Any) -> tf.Tensor:
    return tf.concat(parts, options.axis)


def _relu(options: Any, values: Any) -> tf.Tensor:
    return tf.nn.relu(values)


def _relu6(options: Any, values: Any) -> tf.Tensor:
    return tf.nn.relu6(values)


def _hard_swish(options: Any, values: Any) -> tf.Tensor:
    return values * tf.nn.relu6(values + 3) / 6


def _logistic(options: Any, values: Any) -> tf.Tensor:
    return tf.sigmoid(values)


def _softmax(options: Any, values: Any) -> tf.Tensor:
    return tf.nn.softmax(values)


#: The function of each operator: its options and inputs to its output. The first axis of an input
#: that depends on the image counts the images.
OPERATORS: dict[str, Callable[..., tf.Tensor]] = {
    "CAST": _cast,
    "ADD": _add,
    "SUB": _subtract,
    "MUL": _multiply,
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise_convolution,
    "FULLY_CONNECTED": _fully_connected,
    "AVERAGE_POOL_2D": _average_pool,
    "MAX_POOL_2D": _max_pool,
    "MEAN": _mean,
    "PAD": _pad,
    "RESHAPE": _reshape,
    "CONCATENATION": _concatenation,
    "RELU": _relu,
    "RELU6": _relu6,
    "HARD_SWISH": _hard_swish,
    "LOGISTIC": _logistic,
    "SOFTMAX": _softmax,
}
