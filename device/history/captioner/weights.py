"""The weights of a captioner, read from a bundle's graph.

A bundle's signatures take one image at a time. To ask the captioner about thousands of images that
are remembered, its products are computed here, with weights brought back to floating point. Only
graphs that picaption converts (picaption.models.networks.captioner) have the layers that are
expected; of another one, nothing is known.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

OPERATORS = schema.BuiltinOperator
TYPES = schema.TensorType
RELU = schema.ActivationFunctionType.RELU

#: Operators that change a tensor's form and not its values.
_FORMS = frozenset([OPERATORS.QUANTIZE, OPERATORS.DEQUANTIZE, OPERATORS.RESHAPE])
_DTYPES = {TYPES.INT8: np.int8, TYPES.INT32: np.int32, TYPES.FLOAT32: np.float32}


@dataclass(frozen=True)
class Layer:
    """A fully connected layer.

    Attributes:
        weights: float32 [outputs, inputs].
        bias: float32 [outputs].
    """

    weights: np.ndarray
    bias: np.ndarray

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Return what the layer makes of inputs, float32 [..., inputs]."""
        return x @ self.weights.T + self.bias


@dataclass(frozen=True)
class CaptionerWeights:
    """The layers of an image-conditioned n-gram captioner.

    Attributes:
        context: From features to context, one layer or two.
        tags: From the context, after a relu, to the tags' logits, one layer or two.
        embedding: The words' embeddings, float32 [V, E].
        hidden: From the embeddings of the words before to what is added to the context.
        logits: From the sum, after a relu, to the words' logits, one layer or two.
    """

    context: tuple[Layer, ...]
    tags: tuple[Layer, ...]
    embedding: np.ndarray
    hidden: Layer
    logits: tuple[Layer, ...]


class _UnknownGraph(Exception):
    """The graph has other layers than a captioner's."""


def read_captioner(graph: bytes) -> CaptionerWeights | None:
    """Return the captioner's weights; None if the graph has none that are known here.

    Args:
        graph: A TFLite flatbuffer that was verified.
    """
    try:
        encode = _Subgraph(graph, b"encode")
        next_word = _Subgraph(graph, b"next_word")
        context, _ = encode.layers_above(encode.outputs[b"context"], encode.outputs[b"features"])
        tags, _ = encode.layers_above(encode.outputs[b"tags"])
        logits, total = next_word.layers_above(next_word.outputs[b"logits"])
        embedding, hidden = next_word.history_layers(total)
        weights = CaptionerWeights(context, tags, embedding, hidden, logits)
    except (_UnknownGraph, KeyError):
        return None
    return weights if _fits(weights) else None


def _fits(weights: CaptionerWeights) -> bool:
    """Return whether the sizes of the layers are those of a captioner."""
    if not (1 <= len(weights.context) <= 2 and 1 <= len(weights.logits) <= 2 and weights.tags):
        return False
    size = len(weights.context[-1].weights)
    return (
        weights.hidden.weights.shape[0] == size
        and weights.hidden.weights.shape[1] % weights.embedding.shape[1] == 0
        and weights.logits[0].weights.shape[1] == size
        and weights.tags[0].weights.shape[1] == size
        and len(weights.logits[-1].weights) == len(weights.embedding)
    )


class _Subgraph:
    """A signature's subgraph, to be walked from its outputs up.

    Attributes:
        outputs: Indices of the tensors, by name.
    """

    def __init__(self, graph: bytes, name: bytes) -> None:
        self._model = schema.Model.GetRootAs(graph, 0)
        signature = self._find_signature(name)
        self._subgraph = self._model.Subgraphs(signature.SubgraphIndex())
        self.outputs = {
            signature.Outputs(index).Name(): signature.Outputs(index).TensorIndex()
            for index in range(signature.OutputsLength())
        }
        self._producers = {}
        for index in range(self._subgraph.OperatorsLength()):
            operator = self._subgraph.Operators(index)
            self._producers[operator.Outputs(0)] = operator

    def layers_above(self, tensor: int, end: int | None = None) -> tuple[tuple[Layer, ...], int]:
        """Return the fully connected layers whose last output is `tensor`.

        Args:
            tensor: Its index.
            end: The tensor that the first layer takes; None: one after a relu.

        Returns:
            The layers in the order in which they are applied, and the tensor that the first takes.
        """
        if end is not None:
            end = self._source(end)
        layers: list[Layer] = []
        current = self._source(tensor)
        while current != end:
            operator = self._producer(current)
            code = self._code(operator)
            if code == OPERATORS.LOGISTIC:
                current = self._source(operator.Inputs(0))
                continue
            if end is None and layers and (code != OPERATORS.FULLY_CONNECTED or _is_relu(operator)):
                break
            if code != OPERATORS.FULLY_CONNECTED or _is_relu(operator):
                raise _UnknownGraph
            layers.insert(0, self._layer(operator))
            current = self._source(operator.Inputs(0))
        return tuple(layers), current

    def history_layers(self, total: int) -> tuple[np.ndarray, Layer]:
        """Return the embedding and the layer after it, of the sum `total` with the context."""
        operator = self._producer(total)
        if self._code(operator) == OPERATORS.RELU:
            operator = self._producer(self._source(operator.Inputs(0)))
        if self._code(operator) != OPERATORS.ADD:
            raise _UnknownGraph
        for position in range(operator.InputsLength()):
            layer = self._producers.get(self._source(operator.Inputs(position)))
            if layer is None or self._code(layer) != OPERATORS.FULLY_CONNECTED:
                continue
            gather = self._producer(self._source(layer.Inputs(0)))
            if self._code(gather) == OPERATORS.GATHER:
                return self._constant(gather.Inputs(0)), self._layer(layer)
        raise _UnknownGraph

    def _find_signature(self, name: bytes) -> Any:
        for index in range(self._model.SignatureDefsLength()):
            signature = self._model.SignatureDefs(index)
            if signature.SignatureKey() == name:
                return signature
        raise _UnknownGraph

    def _source(self, tensor: int) -> int:
        """Return the tensor whose values a tensor has in another form."""
        while tensor in self._producers and self._code(self._producers[tensor]) in _FORMS:
            tensor = self._producers[tensor].Inputs(0)
        return tensor

    def _producer(self, tensor: int) -> Any:
        if tensor not in self._producers:
            raise _UnknownGraph
        return self._producers[tensor]

    def _code(self, operator: Any) -> int:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        return max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    def _layer(self, operator: Any) -> Layer:
        weights = self._constant(operator.Inputs(1))
        bias = np.zeros(len(weights), np.float32)
        if operator.InputsLength() > 2 and operator.Inputs(2) >= 0:
            bias = self._constant(operator.Inputs(2))
        if weights.ndim != 2 or bias.shape != weights.shape[:1]:
            raise _UnknownGraph
        return Layer(weights, bias)

    def _constant(self, index: int) -> np.ndarray:
        """Return the values of a constant tensor, float32."""
        tensor = self._subgraph.Tensors(index)
        buffer = self._model.Buffers(tensor.Buffer())
        dtype = _DTYPES.get(tensor.Type())
        if dtype is None or not buffer.DataLength():
            raise _UnknownGraph
        values = buffer.DataAsNumpy().view(dtype).reshape(tensor.ShapeAsNumpy())
        values = values.astype(np.float32)
        quantization = tensor.Quantization()
        if dtype == np.float32 or quantization is None or not quantization.ScaleLength():
            return values
        scales = quantization.ScaleAsNumpy().astype(np.float32)
        zeros = quantization.ZeroPointAsNumpy().astype(np.float32)
        if len(scales) > 1:  # One for each output.
            form = (-1, *[1] * (values.ndim - 1))
            scales = scales.reshape(form)
            zeros = zeros.reshape(form)
        return (values - zeros) * scales


def _is_relu(operator: Any) -> bool:
    """Return whether a fully connected layer ends with a relu."""
    table = operator.BuiltinOptions()
    if table is None or operator.BuiltinOptionsType() != (
        schema.BuiltinOptions.FullyConnectedOptions
    ):
        return False
    options = schema.FullyConnectedOptions()
    options.Init(table.Bytes, table.Pos)
    return options.FusedActivationFunction() == RELU
