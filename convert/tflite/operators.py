"""What a TFLite graph is made of: its operators, the work they do, where they run and the bytes they hold."""

from dataclasses import dataclass
from math import prod

from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from picaption.device.bundle.flatbuffer import pack_model
from picaption.device.images import quiet_stderr

from .layer_names import layer_name

KINDS, DTYPES = (
    {number: name for name, number in vars(kinds).items() if not name.startswith("_")}
    for kinds in (schema.BuiltinOperator, schema.TensorType)
)


@dataclass(frozen=True)
class Operator:
    """An operator of a graph: its kind, such as CONV_2D, the name of its layer, the dtype of what it gives, such as INT8, its
    multiply-adds, whether XNNPACK runs it here, and the numbers of its subgraph's tensors that it takes and gives."""

    kind: str
    layer: str
    dtype: str
    work: int
    xnnpack: bool
    inputs: tuple[int, ...]
    output: int


def signatures(model):
    """Return the subgraph of each signature of a schema.ModelT, by name."""
    return {
        each.signatureKey.decode(): model.subgraphs[each.subgraphIndex]
        for each in model.signatureDefs
    }


def stood_for(name):
    """Return the names that a float tensor may have for which the quantizer has put one of this name: its own, or what was
    added to it."""
    return name, name[:-1], name.removesuffix("_int16")


def operators(graph, named=None):
    """Return the Operators of each signature of a TFLite flatbuffer, bytes, by the signature's name.

    named: the same graph with the names that picaption.device.bundle.flatbuffer drops; a layer that has none is called by its kind.
    """
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    names = layer_names(schema.ModelT.InitFromPackedBuf(named or graph, 0))
    return {
        name: _operators(model, subgraph, names.get(name, {}))
        for name, subgraph in signatures(model).items()
    }


def layer_names(model):
    """Return {signature: {tensor: the name of the layer it came from}} of a schema.ModelT. What a signature gives has lost that,
    and is called as it is given."""
    found = {}
    for signature in model.signatureDefs:
        tensors = model.subgraphs[signature.subgraphIndex].tensors
        given = {tensors[each.tensorIndex].name: each.name.decode() for each in signature.outputs}
        given = {name.decode(): key for name, key in given.items() if name}
        names = {index: tensor.name.decode() for index, tensor in enumerate(tensors) if tensor.name}
        found[signature.signatureKey.decode()] = {
            index: next((given[each] for each in stood_for(name) if each in given), None)
            or layer_name(name)
            for index, name in names.items()
        }
    return found


def _operators(model, subgraph, names):
    delegated, tensors, found = in_xnnpack(model, subgraph), subgraph.tensors, []
    for number, operator in enumerate(subgraph.operators):
        inputs, output = (
            tuple(int(index) for index in operator.inputs if index >= 0),
            int(operator.outputs[0]),
        )
        kind = KINDS[model.operatorCodes[operator.opcodeIndex].builtinCode]
        shapes = [shape_of(tensors[index]) for index in (*inputs, output)]
        found.append(
            Operator(
                kind,
                names.get(output, kind.lower()),
                DTYPES[tensors[output].type],
                multiply_adds(kind, shapes[:-1], shapes[-1]),
                number in delegated,
                inputs,
                output,
            )
        )
    return found


def multiply_adds(kind, inputs, output):
    """Return the multiply-adds of an operator of that kind, by the shapes of what it takes and gives."""
    if kind == "CONV_2D":  # filters [outputs, height, width, inputs]
        return prod(output) * prod(inputs[1][1:])
    if kind == "DEPTHWISE_CONV_2D":  # filters [1, height, width, channels]
        return prod(output) * prod(inputs[1][1:3])
    if kind == "FULLY_CONNECTED":  # weights [outputs, inputs]
        return prod(output) * inputs[1][1]
    if kind == "BATCH_MATMUL":  # rows [..., rows, inputs]
        return prod(output) * inputs[0][-1]
    return 0


def shape_of(tensor):
    """Return the shape of a schema.TensorT as a list of int."""
    return [] if tensor.shape is None else [int(size) for size in tensor.shape]


def in_xnnpack(model, subgraph):
    """Return the numbers of the operators of a schema.ModelT's subgraph that XNNPACK takes on this machine."""
    alone = schema.ModelT(
        version=model.version,
        subgraphs=[subgraph],
        buffers=model.buffers,
        operatorCodes=model.operatorCodes,
    )
    names = [tensor.name for tensor in subgraph.tensors]
    with quiet_stderr():
        # A delegate's part of the graph is then one operator wide, and gives what that operator gave.
        interpreter = Interpreter(
            model_content=pack_model(alone),
            num_threads=1,
            experimental_disable_delegate_node_fusion=True,
        )
        interpreter.allocate_tensors()
    for tensor, name in zip(subgraph.tensors, names):  # pack has dropped them.
        tensor.name = name
    nodes = interpreter._get_ops_details()
    taken = {
        int(output) for node in nodes if node["op_name"] == "DELEGATE" for output in node["outputs"]
    }
    return {
        number
        for number, operator in enumerate(subgraph.operators)
        if int(operator.outputs[0]) in taken
    }


def sizes(graph):
    """Return the bytes of the constants of each signature of a TFLite flatbuffer, bytes, by the signature's name, and those
    of its `structure`, all else. What several signatures share counts for the first."""
    model, seen, found = schema.ModelT.InitFromPackedBuf(graph, 0), set(), {}
    for name, subgraph in signatures(model).items():
        buffers = {tensor.buffer for tensor in subgraph.tensors} - seen
        seen |= buffers
        found[name] = sum(
            len(model.buffers[index].data)
            for index in buffers
            if model.buffers[index].data is not None
        )
    return found | {"structure": len(graph) - sum(found.values())}
