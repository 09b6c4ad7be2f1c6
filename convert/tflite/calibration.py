"""Quantization to 8 bits in two steps: the ranges of all tensors once, integers as often as asked.

The converter does both at once, and takes every operator. In two steps, operators may stay in
floating point without the images running through the graph again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import tensorflow as tf
from ai_edge_litert import schema_py_generated as schema
from tensorflow.lite.python.convert import mlir_quantize
from tensorflow.lite.python.convert_phase import ConverterError

from picaption.device.bundle.runtime import make_interpreter
from picaption.device.errors import PicaptionError
from picaption.device.images import quiet_stderr

from .. import RUNTIMES
from .layer_names import conversion_error
from .operators import name_of, opcode_of, signature_subgraphs
from .stable_means import stabilize_means


@dataclass(frozen=True)
class Node:
    """An operator of a calibrated graph whose output is real numbers.

    Attributes:
        name: The name of its output, by which the quantizer knows it.
        opcode: Its name in the schema, such as CONV_2D.
        signature: The signature that it is in.
        inputs: The names of the nodes whose outputs it takes.
    """

    name: str
    opcode: str
    signature: str
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class CalibratedGraph:
    """A float32 graph that knows the ranges of its tensors, and what of it stays in floating point.

    Attributes:
        graph: The flatbuffer, from picaption.convert.tflite.export.calibrate.
        float_nodes: The names of the nodes that are not quantized. A tensor is in floating point
            where the node that computes it and all that take it are.
    """

    graph: bytes
    float_nodes: frozenset[str] = frozenset()

    def keep_float(self, nodes: frozenset[str]) -> "CalibratedGraph":
        """Return the same graph with other nodes in floating point."""
        return replace(self, float_nodes=nodes)

    def quantize(self, per_tensor: bool = False, runtime: str = RUNTIMES[0]) -> bytes:
        """Return the flatbuffer in 8 bits; its tensors name their layers.

        Args:
            per_tensor: Whether weights have one scale a tensor instead of one a channel.
            runtime: One of convert.RUNTIMES, on which the graph is to run.
        """
        try:
            with quiet_stderr():  # The quantizer announces itself there.
                graph = mlir_quantize(
                    self.graph,
                    disable_per_channel=per_tensor,
                    input_data_type=tf.float32,
                    output_data_type=tf.float32,
                    denylisted_nodes=set(self.float_nodes),
                    disable_per_channel_for_dense_layers=runtime == "tflite-runtime",
                )
        except (ConverterError, ValueError, RuntimeError) as error:
            raise PicaptionError(conversion_error(str(error))) from None
        return stabilize_means(graph)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Its operators whose outputs are real numbers, in order."""
        model = schema.ModelT.InitFromPackedBuf(self.graph, 0)
        nodes: list[Node] = []
        for signature, subgraph in signature_subgraphs(model).items():
            nodes += _read_nodes(model, signature, subgraph)
        return tuple(nodes)

    def takers(self, name: str) -> list[Node]:
        """Return the nodes that take the output of a node."""
        return [node for node in self.nodes if name in node.inputs]


def _read_nodes(model: schema.ModelT, signature: str, subgraph: schema.SubGraphT) -> list[Node]:
    """Return the operators of a subgraph whose outputs are real numbers, in order."""
    names: dict[int, str] = {}
    nodes = []
    for operator in subgraph.operators:
        index = int(operator.outputs[0])
        tensor = subgraph.tensors[index]
        if tensor.type != schema.TensorType.FLOAT32 or not tensor.name:
            continue
        inputs = tuple(names[int(tensor)] for tensor in operator.inputs if int(tensor) in names)
        names[index] = name_of(tensor)
        nodes.append(Node(names[index], opcode_of(model, operator), signature, inputs))
    return nodes


def signature_outputs(
    graph: bytes, examples: Sequence[tuple[str, Mapping[str, np.ndarray]]]
) -> list[dict[str, np.ndarray]]:
    """Return what the signatures of a flatbuffer return for each of the examples."""
    interpreter = make_interpreter(graph)
    runners: dict[str, tf.lite.experimental.SignatureRunner] = {}
    outputs = []
    for signature, inputs in examples:
        if signature not in runners:
            runners[signature] = interpreter.get_signature_runner(signature)
        runner = runners[signature]
        details = runner.get_input_details()
        arrays = {name: array.astype(details[name]["dtype"]) for name, array in inputs.items()}
        outputs.append({name: array.copy() for name, array in runner(**arrays).items()})
    return outputs
