"""What a TFLite graph is made of: its operators, their work, where they run and their bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from picaption.device.bundle.flatbuffer import pack_model
from picaption.device.images import quiet_stderr

from .layer_names import layer_name


def _names_by_value(enumeration: type) -> dict[int, str]:
    """Return {value: name} of one of the schema's enumerations."""
    return {value: name for name, value in vars(enumeration).items() if not name.startswith("_")}


#: The names of TFLite's operators, such as CONV_2D, by their builtin code.
OPCODES = _names_by_value(schema.BuiltinOperator)
#: The names of tensors' dtypes, such as INT8, by their number in the schema.
DTYPES = _names_by_value(schema.TensorType)


@dataclass(frozen=True)
class Operator:
    """An operator of a TFLite graph.

    Attributes:
        opcode: Its name in the schema, such as CONV_2D.
        layer: The name of the layer that it came from.
        dtype: The dtype of its output, such as INT8.
        multiply_adds: How many it takes.
        xnnpack: Whether XNNPACK runs it on this machine.
        inputs: The indices of its input tensors in the subgraph, without absent ones.
        output: The index of its output tensor.
    """

    opcode: str
    layer: str
    dtype: str
    multiply_adds: int
    xnnpack: bool
    inputs: tuple[int, ...]
    output: int


def opcode_of(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """Return the name of an operator of a model, such as CONV_2D."""
    return OPCODES[model.operatorCodes[operator.opcodeIndex].builtinCode]


def shape_of(tensor: schema.TensorT) -> list[int]:
    """Return the shape of a tensor; [] for a scalar."""
    if tensor.shape is None:
        return []
    return [int(size) for size in tensor.shape]


def name_of(tensor: schema.TensorT) -> str:
    """Return the name of a tensor; "" where it has none."""
    return (tensor.name or b"").decode()


def signature_subgraphs(model: schema.ModelT) -> dict[str, schema.SubGraphT]:
    """Return the subgraph of each signature of a model, by the signature's name."""
    return {
        signature.signatureKey.decode(): model.subgraphs[signature.subgraphIndex]
        for signature in model.signatureDefs
    }


def float_tensor_names(name: str) -> tuple[str, str, str]:
    """Return the names that a quantized tensor may have in the float graph.

    The quantizer leaves the name as it is, or appends a digit or "_int16".
    """
    return name, name[:-1], name.removesuffix("_int16")


def read_operators(graph: bytes, named: bytes | None = None) -> dict[str, list[Operator]]:
    """Return the operators of each signature of a TFLite flatbuffer, by the signature's name.

    Args:
        graph: The flatbuffer.
        named: The same graph with the tensor names that a bundle's graph drops; an operator
            without a layer's name has its opcode for one.
    """
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    names = signature_layer_names(schema.ModelT.InitFromPackedBuf(named or graph, 0))
    return {
        signature: _read_subgraph(model, subgraph, names.get(signature, {}))
        for signature, subgraph in signature_subgraphs(model).items()
    }


def _read_subgraph(
    model: schema.ModelT, subgraph: schema.SubGraphT, names: Mapping[int, str]
) -> list[Operator]:
    """Return the operators of a subgraph, whose tensors come from the layers `names`."""
    tensors = subgraph.tensors
    delegated = delegated_operators(model, subgraph)
    operators = []
    for index, operator in enumerate(subgraph.operators):
        inputs = tuple(int(tensor) for tensor in operator.inputs if tensor >= 0)
        output = int(operator.outputs[0])
        opcode = opcode_of(model, operator)
        input_shapes = [shape_of(tensors[tensor]) for tensor in inputs]
        operators.append(
            Operator(
                opcode=opcode,
                layer=names.get(output, opcode.lower()),
                dtype=DTYPES[tensors[output].type],
                multiply_adds=multiply_adds(opcode, input_shapes, shape_of(tensors[output])),
                xnnpack=index in delegated,
                inputs=inputs,
                output=output,
            )
        )
    return operators


def signature_layer_names(model: schema.ModelT) -> dict[str, dict[int, str]]:
    """Return {signature: {tensor's index: name of the layer that it came from}} of a model.

    A signature's output has lost its layer's name, and takes the name of the output.
    """
    names = {}
    for signature in model.signatureDefs:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        outputs = {
            name_of(tensors[output.tensorIndex]): output.name.decode()
            for output in signature.outputs
            if tensors[output.tensorIndex].name
        }
        names[signature.signatureKey.decode()] = {
            index: _layer_or_output(name_of(tensor), outputs)
            for index, tensor in enumerate(tensors)
            if tensor.name
        }
    return names


def _layer_or_output(tensor: str, outputs: Mapping[str, str]) -> str:
    """Return the output's name of a tensor that is one, else the name of its layer."""
    for name in float_tensor_names(tensor):
        if name in outputs:
            return outputs[name]
    return layer_name(tensor)


def multiply_adds(opcode: str, inputs: Sequence[list[int]], output: list[int]) -> int:
    """Return the multiply-adds of an operator, from the shapes of its inputs and its output."""
    if opcode == "CONV_2D":  # filters [outputs, height, width, inputs]
        return prod(output) * prod(inputs[1][1:])
    if opcode == "DEPTHWISE_CONV_2D":  # filters [1, height, width, channels]
        return prod(output) * prod(inputs[1][1:3])
    if opcode == "FULLY_CONNECTED":  # weights [outputs, inputs]
        return prod(output) * inputs[1][1]
    if opcode == "BATCH_MATMUL":  # rows [..., rows, inputs]
        return prod(output) * inputs[0][-1]
    return 0


def delegated_operators(model: schema.ModelT, subgraph: schema.SubGraphT) -> set[int]:
    """Return the indices of a subgraph's operators that XNNPACK runs on this machine."""
    alone = schema.ModelT(
        version=model.version,
        subgraphs=[subgraph],
        buffers=model.buffers,
        operatorCodes=model.operatorCodes,
    )
    names = [tensor.name for tensor in subgraph.tensors]
    with quiet_stderr():
        # Without fusion, a delegate's node is one operator wide and has that operator's output.
        interpreter = Interpreter(
            model_content=pack_model(alone),
            num_threads=1,
            experimental_disable_delegate_node_fusion=True,
        )
        interpreter.allocate_tensors()
    for tensor, name in zip(subgraph.tensors, names):  # pack_model has dropped them.
        tensor.name = name
    delegated = {
        int(output)
        for node in interpreter._get_ops_details()
        if node["op_name"] == "DELEGATE"
        for output in node["outputs"]
    }
    return {
        index
        for index, operator in enumerate(subgraph.operators)
        if int(operator.outputs[0]) in delegated
    }


def constant_bytes(graph: bytes) -> dict[str, int]:
    """Return the bytes of the constants of each signature of a TFLite flatbuffer.

    What several signatures share counts for the first. "structure" holds all other bytes.
    """
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    counted: set[int] = set()
    sizes = {}
    for name, subgraph in signature_subgraphs(model).items():
        buffers = {tensor.buffer for tensor in subgraph.tensors} - counted
        counted |= buffers
        constants = [model.buffers[index].data for index in buffers]
        sizes[name] = sum(len(data) for data in constants if data is not None)
    return sizes | {"structure": len(graph) - sum(sizes.values())}
