"""How far each layer of a quantized graph is from the float graph it was made of: its signal-to-noise ratio."""

from dataclasses import dataclass

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from picaption.device.images import quiet_stderr

from ..tflite.operators import read_operators, shape_of, signature_subgraphs, float_tensor_names

#: Operators that bring numbers from one form to another.
CASTS = ("QUANTIZE", "DEQUANTIZE", "CAST")


@dataclass(frozen=True)
class Layer:
    """What quantization did to a layer's output: decibels, its power over that of its error, and `lost`, how many fewer
    these are than those of the worst that the layer was given (0 where it was given constants or whole numbers)."""

    signature: str
    name: str
    kind: str
    decibels: float
    lost: float


def compare_layers(exact, quantized, examples):
    """Return a Layer for each operator, in order, whose output is in both graphs, two flatbuffers from picaption.convert.tflite.export.convert_with_layer_names.

    examples: inputs of both, a list of (signature, {input: array}). Both are computed by TFLite's own kernels.
    """
    pairs, graphs = matched(exact, quantized), [_TensorProbe(graph) for graph in (exact, quantized)]
    power = {name: np.zeros((len(found), 2)) for name, found in pairs.items()}
    for signature, inputs in examples:
        for graph in graphs:
            graph.invoke(signature, inputs)
        for row, (_, *tensors) in zip(power[signature], pairs[signature]):
            signal, given = (
                graph.value(signature, tensor) for graph, tensor in zip(graphs, tensors)
            )
            row += (signal**2).sum(), ((signal - given) ** 2).sum()
    return [
        layer
        for signature, found in pairs.items()
        for layer in _layers(signature, found, power[signature])
    ]


def decibels(signal, noise):
    """Return ten times the logarithm of the power `signal` over `noise`; 120 at most, which float32 gives by itself."""
    return 10 * float(np.log10(max(signal, 1e-30) / max(noise, signal * 1e-12, 1e-30)))


def _layers(signature, found, power):
    known = {}
    for (operator, _, output), (signal, noise) in zip(found, power):
        level = decibels(signal, noise)
        before = [known[index] for index in operator.inputs if index in known]
        known[output] = level
        lost = max(0.0, min(before) - level) if before else 0.0
        yield Layer(signature, operator.layer, operator.opcode, round(level, 1), round(lost, 1))


def matched(exact, quantized):
    """Return, for each signature of a quantized graph, (Operator, tensor of the float graph, tensor of its own) for each
    operator whose output, by its name, both graphs have in numbers that stand for real ones."""
    first, second = (
        signature_subgraphs(schema.ModelT.InitFromPackedBuf(graph, 0)) for graph in (exact, quantized)
    )
    pairs = {}
    for signature, found in read_operators(quantized).items():
        wanted = {
            (tensor.name.decode(), *shape_of(tensor)): index
            for index, tensor in enumerate(first[signature].tensors)
            if tensor.type == schema.TensorType.FLOAT32 and tensor.name
        }
        pairs[signature] = []
        for operator in found:
            tensor = second[signature].tensors[operator.output]
            name, shape = (tensor.name or b"").decode(), shape_of(tensor)
            keys = [key for key in ((each, *shape) for each in float_tensor_names(name)) if key in wanted]
            if keys and operator.opcode not in CASTS:
                pairs[signature].append((operator, wanted[keys[0]], operator.output))
    return pairs


class _TensorProbe:
    """A graph whose tensors inside can be looked at after each invocation."""

    def __init__(self, graph):
        with quiet_stderr():
            self.interpreter = Interpreter(
                model_content=graph,
                num_threads=1,
                experimental_preserve_all_tensors=True,
                experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            )
            self.interpreter.allocate_tensors()
        model = schema.ModelT.InitFromPackedBuf(graph, 0)
        self.places = {
            each.signatureKey.decode(): each.subgraphIndex for each in model.signatureDefs
        }
        self.runners = {name: self.interpreter.get_signature_runner(name) for name in self.places}
        self.scales = {
            name: {
                each["index"]: each["quantization"]
                for each in self.interpreter.get_tensor_details(place)
            }
            for name, place in self.places.items()
        }

    def invoke(self, signature, inputs):
        """Compute a signature for {input: array}, arrays of any dtype."""
        wanted = self.runners[signature].get_input_details()
        self.runners[signature](
            **{name: array.astype(wanted[name]["dtype"]) for name, array in inputs.items()}
        )

    def value(self, signature, tensor):
        """Return what a tensor holds, as the real numbers that it stands for, float64."""
        scale, zero = self.scales[signature][tensor]
        value = self.interpreter.get_tensor(tensor, self.places[signature]).astype(np.float64)
        return (value - zero) * scale if scale else value
