"""A signature of a float32 TFLite graph as TensorFlow operators over weights that can be trained, to be converted again.

The graph is what the converter makes of any model: normalisation is folded, activations are fused. What is trained here is so
what is quantized.
"""

import re

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema

from picaption.device.errors import PicaptionError

from .layer_names import layer_name
from .operators import DTYPES, KINDS, shape_of

ACTIVATIONS = {0: tf.identity, 1: tf.nn.relu, 3: tf.nn.relu6, 4: tf.nn.tanh}
PADDINGS = "SAME", "VALID"
#: Operators whose second and third inputs are weights and bias.
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


class TFLiteFunction:
    """The signature `signature` of a flatbuffer from picaption.convert.tflite.export.convert_with_layer_names, whose `weights` are {tensor's number: array}.

    Raises PicaptionError where it has an operator that is not known here.
    """

    def __init__(self, graph, signature):
        model = schema.ModelT.InitFromPackedBuf(graph, 0)
        (definition,) = (
            each for each in model.signatureDefs if each.signatureKey.decode() == signature
        )
        self.tensors = model.subgraphs[definition.subgraphIndex].tensors
        self.ends = [
            {each.name.decode(): each.tensorIndex for each in ends}
            for ends in (definition.inputs, definition.outputs)
        ]
        self.constants = {
            number: _array(model, tensor)
            for number, tensor in enumerate(self.tensors)
            if model.buffers[tensor.buffer].data is not None
        }
        self.steps = [
            (KINDS[model.operatorCodes[each.opcodeIndex].builtinCode], each)
            for each in model.subgraphs[definition.subgraphIndex].operators
        ]
        for kind, operator in self.steps:
            if kind not in OPERATORS:
                raise PicaptionError(
                    f"the layer {self.name(operator)} is a {kind}, which cannot be tuned: convert without "
                    "--max-loss"
                )
        self.kernels = {
            int(each.inputs[1]): kind
            for kind, each in self.steps
            if kind in WEIGHTED and each.inputs[1] in self.constants
        }
        biases = {
            int(each.inputs[2])
            for kind, each in self.steps
            if kind in WEIGHTED and len(each.inputs) > 2
        }
        self.weights = {
            number: self.constants[number]
            for number in sorted({*self.kernels, *biases} & self.constants.keys())
        }

    def name(self, operator):
        """Return the name of the layer that an operator came from."""
        return layer_name((self.tensors[operator.outputs[0]].name or b"").decode())

    @tf.autograph.experimental.do_not_convert
    def __call__(self, inputs, weights=None, seen=lambda kind, values: values):
        """Return {output: tensor} for {input: tensor}, of any number of pictures, with other `weights` than the graph's own;
        `seen` is given each operator's kind and what it gives, and returns what is taken for it."""
        given, outputs = self.ends
        values = (
            self.constants
            | (weights or {})
            | {given[name]: value for name, value in inputs.items()}
        )
        for kind, operator in self.steps:
            with tf.name_scope(
                re.sub(r"[^\w.-]", "_", self.name(operator)).lstrip("_-") or kind.lower()
            ):
                taken = [values.get(int(number)) for number in operator.inputs]
                values[int(operator.outputs[0])] = seen(
                    kind, OPERATORS[kind](operator.builtinOptions, *taken)
                )
        return {name: values[number] for name, number in outputs.items()}


def _array(model, tensor):
    return (
        model.buffers[tensor.buffer]
        .data.view(DTYPES[tensor.type].lower())
        .reshape(shape_of(tensor))
    )


def _fused(options, values):
    return ACTIVATIONS[options.fusedActivationFunction](values)


def _binary(function):
    def compute(options, *pair):
        rank = max(len(each.shape) for each in pair)
        # What has fewer axes is broadcast for each picture by itself; a constant has no pictures.
        one, other = (
            each
            if isinstance(each, np.ndarray) or len(each.shape) == rank
            else tf.reshape(each, (-1, *[1] * (rank - len(each.shape)), *each.shape[1:]))
            for each in pair
        )
        return _fused(options, function(one, other))

    return compute


def _convolution(options, image, weights, bias):
    found = tf.nn.conv2d(
        image,
        tf.transpose(weights, (1, 2, 3, 0)),
        (options.strideH, options.strideW),
        PADDINGS[options.padding],
        dilations=(options.dilationHFactor, options.dilationWFactor),
    )
    return _fused(options, found + bias)


def _depthwise(options, image, weights, bias):
    weights = tf.reshape(weights, (*weights.shape[1:3], image.shape[-1], -1))
    found = tf.nn.depthwise_conv2d(
        image,
        weights,
        (1, options.strideH, options.strideW, 1),
        PADDINGS[options.padding],
        dilations=(options.dilationHFactor, options.dilationWFactor),
    )
    return _fused(options, found + bias)


def _dense(options, rows, weights, bias=None):
    found = tf.matmul(
        rows if options.keepNumDims else tf.reshape(rows, (-1, weights.shape[1])),
        weights,
        transpose_b=True,
    )
    return _fused(options, found if bias is None else found + bias)


def _pool(kind):
    return lambda options, image: _fused(
        options,
        tf.nn.pool(
            image,
            (options.filterHeight, options.filterWidth),
            kind,
            (options.strideH, options.strideW),
            PADDINGS[options.padding],
        ),
    )


#: What each operator does, given its options and inputs. The first of a shape is the number of pictures.
OPERATORS = {
    "CAST": lambda options, values: tf.cast(values, tf.float32),
    "ADD": _binary(tf.add),
    "SUB": _binary(tf.subtract),
    "MUL": _binary(tf.multiply),
    "CONV_2D": _convolution,
    "DEPTHWISE_CONV_2D": _depthwise,
    "FULLY_CONNECTED": _dense,
    "AVERAGE_POOL_2D": _pool("AVG"),
    "MAX_POOL_2D": _pool("MAX"),
    "MEAN": lambda options, values, axes: tf.reduce_mean(
        values, tuple(axes), keepdims=options.keepDims
    ),
    "PAD": lambda options, values, margins: tf.pad(values, margins),
    "RESHAPE": lambda options, values, shape: tf.reshape(values, (-1, *shape[1:])),
    "CONCATENATION": lambda options, *parts: tf.concat(parts, options.axis),
    "RELU": lambda options, values: tf.nn.relu(values),
    "RELU6": lambda options, values: tf.nn.relu6(values),
    "HARD_SWISH": lambda options, values: values * tf.nn.relu6(values + 3) / 6,
    "LOGISTIC": lambda options, values: tf.sigmoid(values),
    "SOFTMAX": lambda options, values: tf.nn.softmax(values),
}
