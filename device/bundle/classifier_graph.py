"""The signatures `classify` and `name`, written into a TFLite graph without TensorFlow.

So a device adds classes that it has learned. Features are brought to unit length, unless the
classifier takes them raw; both products have weights of 8 bits, what follows is floating point:

    scores = activation(L2(features) . W + caption . V + b)

with a sigmoid or a softmax as activation; `name` is the same for a second set of classes
(picaption.device.bundle.names), by a softmax and without a caption.
Weights have a single scale per matrix: tflite-runtime 2.14 reads no others beside floating-point
inputs.

With a gate, the scores are multiplied by the probabilities that the classes are there at all,

    sigmoid(L2(features) . F + caption . W + n * log(names . N) + c)

where `names` is what the signature `name` makes of the features.
"""

import copy
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from .flatbuffer import pack_model

OPERATORS = schema.BuiltinOperator
OPTIONS = schema.BuiltinOptions
TYPES = schema.TensorType
CLASSIFY = "classify"
NAME = "name"
#: The version of a fully connected operator that takes weights of 8 bits and floating-point inputs.
HYBRID_VERSION = 3

_MIN_SCALE = 1e-12


class ClassifierWeights(Protocol):
    """The weights of picaption.device.recognition.classifier.Classifier, float32."""

    @property
    def features(self) -> np.ndarray:
        """Weights of the features, [F, C]."""
        ...

    @property
    def words(self) -> np.ndarray | None:
        """Weights of the word evidence, [V, C], or None."""
        ...

    @property
    def bias(self) -> np.ndarray:
        """Bias of the classes, [C]."""
        ...

    @property
    def raw(self) -> bool:
        """Whether features are taken as they are, not at unit length."""
        ...


class GateWeights(Protocol):
    """The weights of picaption.device.teaching.gate.Gate, float32."""

    @property
    def features(self) -> np.ndarray:
        """Weights of the features at unit length, [F, C]."""
        ...

    @property
    def words(self) -> np.ndarray:
        """Weights of the word evidence, [V, C]."""
        ...

    @property
    def names(self) -> np.ndarray:
        """Weights of the names' probabilities, positive, [names, C]."""
        ...

    @property
    def names_weight(self) -> float:
        """What the logarithm of their product counts."""
        ...

    @property
    def bias(self) -> np.ndarray:
        """Bias, [C]."""
        ...


def with_classify(
    graph: bytes,
    weights: ClassifierWeights,
    multi_label: bool,
    quantized: bool = True,
    gate: GateWeights | None = None,
) -> bytes:
    """Return a graph with the signature `classify`, in place of the one it may have.

    Args:
        graph: A TFLite flatbuffer.
        weights: What `classify` computes.
        multi_label: Scores are sigmoids, otherwise a softmax.
        quantized: Weights have 8 bits, otherwise they are floating point.
        gate: Whether the image shows the classes; the graph has names, and the classifier takes
            words. None: it does.

    Returns:
        The new flatbuffer; all other signatures compute what they did.
    """
    return _with_scores(graph, CLASSIFY, weights, multi_label, quantized, gate)


def with_names(graph: bytes, weights: ClassifierWeights, quantized: bool = True) -> bytes:
    """Return a graph with the signature `name`, in place of the one it may have.

    Args:
        graph: A TFLite flatbuffer.
        weights: What `name` computes, before its softmax.
        quantized: Weights have 8 bits, otherwise they are floating point.

    Returns:
        The new flatbuffer; all other signatures compute what they did.
    """
    return _with_scores(graph, NAME, weights, multi_label=False, quantized=quantized)


def read_name_weights(graph: bytes) -> np.ndarray | None:
    """Return the weights that with_names wrote, float32 [F, names].

    Args:
        graph: A TFLite flatbuffer that was verified.

    Returns:
        The weights of the features as they are; None without names, or with names that were not
        written so.
    """
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    subgraph = _name_subgraph(model)
    return None if subgraph is None else _first_product(model, subgraph)


def read_names(graph: bytes) -> tuple[np.ndarray, np.ndarray] | None:
    """Return what `read_name_weights` does, and the bias float32 [names]; or None."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    subgraph = _name_subgraph(model)
    weights = None if subgraph is None else _first_product(model, subgraph)
    if weights is None:
        return None
    inputs = subgraph.operators[0].inputs
    if len(inputs) < 3 or inputs[2] < 0:
        return None
    tensor = subgraph.tensors[inputs[2]]
    data = model.buffers[tensor.buffer].data
    if tensor.type != TYPES.FLOAT32 or data is None:
        return None
    return weights, np.frombuffer(bytes(data), np.float32)


def _name_subgraph(model: Any) -> Any:
    """Return the subgraph of the signature `name`, a schema.SubGraphT, or None."""
    for signature in model.signatureDefs or []:
        if signature.signatureKey == NAME.encode():
            return model.subgraphs[signature.subgraphIndex]
    return None


def _first_product(model: Any, subgraph: Any) -> np.ndarray | None:
    """Return the weights of a subgraph's first operator, float32 [inputs, outputs], or None."""
    first = subgraph.operators[0]
    code = model.operatorCodes[first.opcodeIndex]
    if code.builtinCode != OPERATORS.FULLY_CONNECTED or len(first.inputs) < 2:
        return None
    tensor = subgraph.tensors[first.inputs[1]]
    dtype = {TYPES.INT8: np.int8, TYPES.FLOAT32: np.float32}.get(tensor.type)
    data = model.buffers[tensor.buffer].data
    if dtype is None or data is None or len(tensor.shape) != 2:
        return None
    weights = np.frombuffer(bytes(data), dtype).reshape(tensor.shape).astype(np.float32)
    if tensor.type == TYPES.INT8:
        scales = tensor.quantization.scale
        if scales is None or len(scales) != 1:
            return None
        weights = weights * np.float32(scales[0])
    return weights.T


def _with_scores(
    graph: bytes,
    key: str,
    weights: ClassifierWeights,
    multi_label: bool,
    quantized: bool,
    gate: GateWeights | None = None,
) -> bytes:
    """Return a graph with a signature `key` that computes scores."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    _remove(model, key)
    subgraph = Subgraph(model, key)
    feature_count, class_count = weights.features.shape
    inputs = {"features": subgraph.tensor((1, feature_count), "features")}
    features = inputs["features"]
    if not weights.raw:
        features = subgraph.unit_length(features, feature_count)
    logits = subgraph.product(features, weights.features, weights.bias, quantized)
    if weights.words is not None:
        inputs["caption"] = subgraph.tensor((1, weights.words.shape[0]), "caption")
        word_logits = subgraph.product(inputs["caption"], weights.words, None, quantized)
        logits = subgraph.operator(
            OPERATORS.ADD, [logits, word_logits], (class_count,), schema.AddOptionsT()
        )
    output = "scores" if gate is None else None
    if multi_label:
        scores = subgraph.operator(OPERATORS.LOGISTIC, [logits], (class_count,), name=output)
    else:
        scores = subgraph.softmax(logits, class_count, output)
    if gate is not None:
        shown = _gate(subgraph, inputs, gate)
        scores = subgraph.operator(
            OPERATORS.MUL, [scores, shown], (class_count,), schema.MulOptionsT(), "scores"
        )
    subgraph.finish(inputs, {"scores": scores})
    return pack_model(model)


def _gate(subgraph: "Subgraph", inputs: Mapping[str, int], gate: GateWeights) -> int:
    """Add the probabilities that the classes are there at all, float32 [1, C].

    Weights are floating point: that of an unlikely name may be large beside all others.
    """
    feature_count, class_count = gate.features.shape
    features = inputs["features"]
    names = subgraph.inline(_name_subgraph(subgraph.model), [features])[0]
    unit_features = subgraph.unit_length(features, feature_count)
    logits = subgraph.product(unit_features, gate.features, gate.bias, quantized=False)
    ratios = subgraph.product(names, gate.names, None, quantized=False)
    logarithms = subgraph.operator(OPERATORS.LOG, [ratios], (class_count,))
    weight = subgraph.tensor((1, 1), data=np.full((1, 1), gate.names_weight, np.float32))
    name_logits = subgraph.operator(
        OPERATORS.MUL, [logarithms, weight], (class_count,), schema.MulOptionsT()
    )
    word_logits = subgraph.product(inputs["caption"], gate.words, None, quantized=False)
    for more in (name_logits, word_logits):
        logits = subgraph.operator(
            OPERATORS.ADD, [logits, more], (class_count,), schema.AddOptionsT()
        )
    return subgraph.operator(OPERATORS.LOGISTIC, [logits], (class_count,))


def _remove(model: Any, name: str) -> None:
    """Remove the signature `name`, its subgraph and what only that one uses from a ModelT."""
    signatures = model.signatureDefs or []
    remaining = [signature for signature in signatures if signature.signatureKey != name.encode()]
    before = {signature.subgraphIndex for signature in signatures}
    removed = before - {signature.subgraphIndex for signature in remaining}
    indices = [index for index in range(len(model.subgraphs)) if index not in removed]
    for signature in remaining:
        signature.subgraphIndex = indices.index(signature.subgraphIndex)
    model.signatureDefs = remaining
    model.subgraphs = [model.subgraphs[index] for index in indices]
    drop_unused_buffers(model)


def drop_unused_buffers(model: Any) -> None:
    """Remove the buffers that no tensor uses from a schema.ModelT."""
    owners = [tensor for subgraph in model.subgraphs for tensor in subgraph.tensors]
    owners += model.metadata or []
    # The first buffer is empty, by the format's rule.
    used = sorted({0} | {owner.buffer for owner in owners})
    model.buffers = [model.buffers[index] for index in used]
    new_indices = {before: after for after, before in enumerate(used)}
    for owner in owners:
        owner.buffer = new_indices[owner.buffer]


def _without_name(tensor: Any) -> Any:
    """Return a schema.TensorT with the same constants and no name."""
    twin = copy.copy(tensor)
    twin.name = None
    return twin


class Subgraph:
    """A subgraph of a ModelT while it is written; methods that add a tensor return its index.

    Args:
        model: The schema.ModelT, which gets the subgraph's buffers and, from `finish`, itself.
        name: The name of the subgraph and of its signature.

    Attributes:
        graph: The schema.SubGraphT.
    """

    def __init__(self, model: Any, name: str) -> None:
        self.model = model
        self.name = name
        self.graph = schema.SubGraphT(name=name, tensors=[], operators=[])

    def tensor(
        self,
        shape: Sequence[int] | np.ndarray,
        name: str | None = None,
        dtype: int = TYPES.FLOAT32,
        data: np.ndarray | np.generic | None = None,
        scale: float | None = None,
        zero_point: int = 0,
    ) -> int:
        """Add a tensor, constant if it has `data`, quantized if it has a `scale`."""
        tensor = schema.TensorT(shape=np.array(shape, np.int32), type=dtype, name=name, buffer=0)
        if data is not None:
            tensor.buffer = len(self.model.buffers)
            self.model.buffers.append(schema.BufferT(data=np.frombuffer(data.tobytes(), np.uint8)))
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT(
                scale=np.array([scale], np.float32), zeroPoint=np.array([zero_point], np.int64)
            )
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def operator(
        self,
        code: int,
        inputs: Sequence[int],
        shape: Sequence[int],
        options: Any = None,
        name: str | None = None,
        version: int = 1,
    ) -> int:
        """Add an operator with a new output, float32 [1, *shape], and return that tensor."""
        return self.add(code, inputs, self.tensor((1, *shape), name), options, version)

    def add(
        self, code: int, inputs: Sequence[int], output: int, options: Any = None, version: int = 1
    ) -> int:
        """Add an operator that computes the tensor `output`, and return that tensor."""
        options_type = OPTIONS.NONE
        if options:
            options_type = getattr(OPTIONS, type(options).__name__.removesuffix("T"))
        self.graph.operators.append(
            schema.OperatorT(
                opcodeIndex=self._opcode(code, version),
                inputs=np.array(inputs, np.int32),
                outputs=np.array([output], np.int32),
                builtinOptionsType=options_type,
                builtinOptions=options,
            )
        )
        return output

    def unit_length(self, features: int, count: int) -> int:
        """Add `features`, float32 [1, count], brought to unit length."""
        options = schema.L2NormOptionsT()
        return self.operator(OPERATORS.L2_NORMALIZATION, [features], (count,), options)

    def softmax(self, logits: int, count: int, name: str | None = None) -> int:
        """Add the probabilities of `logits`, float32 [1, count]."""
        options = schema.SoftmaxOptionsT(beta=1.0)
        return self.operator(OPERATORS.SOFTMAX, [logits], (count,), options, name)

    def inline(self, source: Any, inputs: Sequence[int]) -> list[int]:
        """Add what another subgraph of the model computes; both use the same constants.

        Args:
            source: The schema.SubGraphT.
            inputs: The tensors here that its inputs are.

        Returns:
            The tensors here that its outputs are.
        """
        indices = dict(zip(source.inputs.tolist(), inputs))
        for index, tensor in enumerate(source.tensors):
            if index not in indices:
                self.graph.tensors.append(_without_name(tensor))
                indices[index] = len(self.graph.tensors) - 1
        indices[-1] = -1  # An input that is left out.
        for operator in source.operators:
            twin = copy.copy(operator)
            twin.inputs = np.array([indices[index] for index in operator.inputs], np.int32)
            twin.outputs = np.array([indices[index] for index in operator.outputs], np.int32)
            self.graph.operators.append(twin)
        return [indices[index] for index in source.outputs.tolist()]

    def product(
        self, rows: int, weights: np.ndarray, bias: np.ndarray | None, quantized: bool
    ) -> int:
        """Add rows . weights + bias, with weights float32 [inputs, outputs], bias [outputs]."""
        data = np.ascontiguousarray(weights.T, np.float32)
        if quantized:
            scale = max(float(np.abs(data).max()) / 127, _MIN_SCALE)
            data = np.round(data / scale).astype(np.int8)
            matrix = self.tensor(data.shape, None, TYPES.INT8, data, scale)
            version = HYBRID_VERSION
        else:
            matrix = self.tensor(data.shape, None, TYPES.FLOAT32, data)
            version = 1
        offset = -1
        if bias is not None:
            offset = self.tensor(bias.shape, data=bias.astype(np.float32))
        return self.operator(
            OPERATORS.FULLY_CONNECTED,
            [rows, matrix, offset],
            weights.shape[1:],
            schema.FullyConnectedOptionsT(),
            version=version,
        )

    def finish(self, inputs: Mapping[str, int], outputs: Mapping[str, int]) -> None:
        """Add the subgraph to the model, with a signature of these tensors by name."""
        self.graph.inputs = np.array([*inputs.values()], np.int32)
        self.graph.outputs = np.array([*outputs.values()], np.int32)
        self.model.subgraphs.append(self.graph)
        self.model.signatureDefs.append(
            schema.SignatureDefT(
                inputs=[schema.TensorMapT(name, index) for name, index in inputs.items()],
                outputs=[schema.TensorMapT(name, index) for name, index in outputs.items()],
                signatureKey=self.name,
                subgraphIndex=len(self.model.subgraphs) - 1,
            )
        )

    def _opcode(self, code: int, version: int) -> int:
        """Return the index of an operator's code in the model, which it is added to if new."""
        codes = self.model.operatorCodes
        for index, operator_code in enumerate(codes):
            if operator_code.builtinCode == code and operator_code.version >= version:
                return index
        codes.append(
            schema.OperatorCodeT(deprecatedBuiltinCode=code, version=version, builtinCode=code)
        )
        return len(codes) - 1
