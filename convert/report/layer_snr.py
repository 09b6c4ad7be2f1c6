"""How far each layer of a quantized graph is from the float graph: its signal-to-noise ratio."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from picaption.device.images import quiet_stderr

from ..tflite.export import Example
from ..tflite.operators import (
    Operator,
    float_tensor_names,
    name_of,
    read_operators,
    shape_of,
    signature_subgraphs,
)

#: Operators that convert numbers from one dtype to another.
CASTS = ("QUANTIZE", "DEQUANTIZE", "CAST")
#: Power of float32's own rounding by that of the signal: ratios end at 120 decibels.
FLOAT32_NOISE = 1e-12


@dataclass(frozen=True)
class LayerFigures:
    """What quantization did to a layer's output.

    Attributes:
        signature: The signature that it is in.
        name: The layer's.
        opcode: The operator, such as CONV_2D.
        decibels: The output's power over that of its error.
        lost: How many fewer these are than those of the worst of the layer's inputs, 0 for
            constants and whole numbers.
        operator: The operator's index in its signature.
        tensor: The name of its output in the float graph.
    """

    signature: str
    name: str
    opcode: str
    decibels: float
    lost: float
    operator: int
    tensor: str


@dataclass(frozen=True)
class _MatchedOutput:
    """An operator of the quantized graph, and the tensor of the float graph with its output.

    `index` is the operator's in its signature, `name` that of the tensor.
    """

    index: int
    operator: Operator
    float_tensor: int
    name: str


def compare_layers(
    float_graph: bytes, quantized_graph: bytes, examples: Sequence[Example]
) -> list[LayerFigures]:
    """Return the figures of each operator, in order, whose output is in both graphs.

    Args:
        float_graph: A flatbuffer from picaption.convert.tflite.export.convert_with_layer_names.
        quantized_graph: Another, of the same functions.
        examples: Inputs of both. TFLite's own kernels compute the outputs.
    """
    matched = match_outputs(float_graph, quantized_graph)
    float_probe = _TensorProbe(float_graph)
    quantized_probe = _TensorProbe(quantized_graph)
    powers = {name: np.zeros((len(outputs), 2)) for name, outputs in matched.items()}
    for signature, inputs in examples:
        float_probe.invoke(signature, inputs)
        quantized_probe.invoke(signature, inputs)
        for power, output in zip(powers[signature], matched[signature]):
            signal = float_probe.value(signature, output.float_tensor)
            quantized = quantized_probe.value(signature, output.operator.output)
            power[0] += (signal**2).sum()
            power[1] += ((signal - quantized) ** 2).sum()
    return [
        layer
        for signature, outputs in matched.items()
        for layer in _layer_figures(signature, outputs, powers[signature])
    ]


def decibels(signal: float, noise: float) -> float:
    """Return ten times the logarithm of a signal's power over that of its noise; 120 at most."""
    noise = max(noise, signal * FLOAT32_NOISE, 1e-30)
    return 10 * float(np.log10(max(signal, 1e-30) / noise))


def _layer_figures(
    signature: str, outputs: Sequence[_MatchedOutput], powers: np.ndarray
) -> Iterator[LayerFigures]:
    """Yield the figures of a signature's outputs; powers: signal and noise of each, [N, 2]."""
    levels: dict[int, float] = {}
    for output, (signal, noise) in zip(outputs, powers):
        operator = output.operator
        level = decibels(signal, noise)
        input_levels = [levels[tensor] for tensor in operator.inputs if tensor in levels]
        levels[operator.output] = level
        lost = max(0.0, min(input_levels) - level) if input_levels else 0.0
        yield LayerFigures(
            signature,
            operator.layer,
            operator.opcode,
            round(level, 1),
            round(lost, 1),
            output.index,
            output.name,
        )


def match_outputs(float_graph: bytes, quantized_graph: bytes) -> dict[str, list[_MatchedOutput]]:
    """Return the outputs that both graphs have, by their names and shapes, for each signature.

    Casts, and tensors that do not stand for real numbers, are left out.
    """
    float_subgraphs = _subgraphs(float_graph)
    quantized_subgraphs = _subgraphs(quantized_graph)
    matched: dict[str, list[_MatchedOutput]] = {}
    for signature, operators in read_operators(quantized_graph).items():
        float_tensors = {
            (name_of(tensor), *shape_of(tensor)): index
            for index, tensor in enumerate(float_subgraphs[signature].tensors)
            if tensor.type == schema.TensorType.FLOAT32 and tensor.name
        }
        matched[signature] = []
        for position, operator in enumerate(operators):
            tensor = quantized_subgraphs[signature].tensors[operator.output]
            keys = [(name, *shape_of(tensor)) for name in float_tensor_names(name_of(tensor))]
            indices = [float_tensors[key] for key in keys if key in float_tensors]
            if indices and operator.opcode not in CASTS:
                name = name_of(float_subgraphs[signature].tensors[indices[0]])
                matched[signature].append(_MatchedOutput(position, operator, indices[0], name))
    return matched


def _subgraphs(graph: bytes) -> dict[str, schema.SubGraphT]:
    return signature_subgraphs(schema.ModelT.InitFromPackedBuf(graph, 0))


class _TensorProbe:
    """A graph whose inner tensors can be read after each invocation."""

    def __init__(self, graph: bytes) -> None:
        with quiet_stderr():
            self._interpreter = Interpreter(
                model_content=graph,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self._interpreter.allocate_tensors()
        model = schema.ModelT.InitFromPackedBuf(graph, 0)
        self._subgraphs = {
            signature.signatureKey.decode(): signature.subgraphIndex
            for signature in model.signatureDefs
        }
        self._runners = {
            name: self._interpreter.get_signature_runner(name) for name in self._subgraphs
        }
        self._quantization = {
            name: {
                tensor["index"]: tensor["quantization"]
                for tensor in self._interpreter.get_tensor_details(subgraph)
            }
            for name, subgraph in self._subgraphs.items()
        }

    def invoke(self, signature: str, inputs: Mapping[str, np.ndarray]) -> None:
        """Compute a signature for arrays of any dtype."""
        runner = self._runners[signature]
        details = runner.get_input_details()
        runner(**{name: array.astype(details[name]["dtype"]) for name, array in inputs.items()})

    def value(self, signature: str, tensor: int) -> np.ndarray:
        """Return the real numbers, float64, that a tensor holds or stands for."""
        scale, zero_point = self._quantization[signature][tensor]
        subgraph = self._subgraphs[signature]
        stored = self._interpreter.get_tensor(tensor, subgraph).astype(np.float64)
        return (stored - zero_point) * scale if scale else stored
