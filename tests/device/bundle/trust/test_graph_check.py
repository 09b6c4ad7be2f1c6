"""What a graph may contradict: one value changed in a real one, and written again."""

import sys
import time

import numpy as np
import pytest

from picaption.device import default_bundle
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.trust.graph_check import MAX_TENSOR_BYTES, check_graph
from tests.tiny import TINY_BUNDLE

schema = pytest.importorskip("ai_edge_litert.schema_py_generated")

GRAPH = read_bundle(TINY_BUNDLE).graph


def changed(change):
    """Return the graph of the tiny bundle with its model changed, as the schema writes it."""
    from picaption.device.bundle.flatbuffer import pack_model

    model = schema.ModelT.InitFromPackedBuf(GRAPH, 0)
    change(model)
    return pack_model(model, named=True)


def constant(model):
    """Return a tensor with weights, and its buffer."""
    for tensor in model.subgraphs[0].tensors:
        buffer = model.buffers[tensor.buffer]
        if buffer.data is not None and len(buffer.data) > 100:
            return tensor, buffer
    raise AssertionError


@pytest.mark.parametrize("path", [TINY_BUNDLE, default_bundle()], ids=["tiny", "shipped"])
def test_graphs_made_here_are_accepted(path):
    check_graph(read_bundle(path).graph)


def test_a_graph_written_again_is_accepted():
    check_graph(changed(lambda model: None))


def test_it_needs_no_schema_and_no_runtime(monkeypatch):
    for name in list(sys.modules):
        if name.partition(".")[0] in ("ai_edge_litert", "tflite_runtime", "flatbuffers"):
            monkeypatch.setitem(sys.modules, name, None)
    check_graph(GRAPH)


def test_it_takes_time_in_proportion_to_the_size():
    graph = read_bundle(default_bundle()).graph
    start = time.process_time()
    check_graph(graph)
    assert time.process_time() - start < 2  # It is 10 ms.


@pytest.mark.parametrize("length", [0, 7, 8, 20, 1000, len(GRAPH) // 2, len(GRAPH) - 1])
def test_a_graph_cut_short_is_refused(length):
    with pytest.raises(ValueError):
        check_graph(GRAPH[:length])


def set_operator(name, value):
    return lambda model: setattr(model.subgraphs[0].operators[0], name, value)


def set_tensor(name, value):
    def change(model):
        setattr(constant(model)[0], name, value)

    return change


def set_quantization(**values):
    def change(model):
        for name, value in values.items():
            setattr(constant(model)[0].quantization, name, value)

    return change


def set_code(**values):
    def change(model):
        model.operatorCodes[0].deprecatedBuiltinCode = 0
        for name, value in values.items():
            setattr(model.operatorCodes[0], name, value)

    return change


def shorten_buffer(model):
    buffer = constant(model)[1]
    buffer.data = buffer.data[:-1]


def scale_of_nan(model):
    quantization = constant(model)[0].quantization
    quantization.scale = quantization.scale * np.float32(np.nan)


def swap_operators(model):
    operators = model.subgraphs[0].operators
    operators[0], operators[-1] = operators[-1], operators[0]


def drop_operator(model):
    del model.subgraphs[0].operators[0]


def double_operator(model):
    operators = model.subgraphs[0].operators
    operators.append(operators[-1])


def set_signature(name, value):
    return lambda model: setattr(model.signatureDefs[0], name, value)


def rename_signature(model):
    model.signatureDefs[1].signatureKey = model.signatureDefs[0].signatureKey


def set_end(name, value):
    return lambda model: setattr(model.signatureDefs[0].inputs[0], name, value)


def run_itself(model):
    operator = model.subgraphs[0].operators[0]
    operator.builtinOptionsType = schema.BuiltinOptions.WhileOptions
    operator.builtinOptions = schema.WhileOptionsT(condSubgraphIndex=1, bodySubgraphIndex=0)


def run_a_subgraph_that_is_not_there(model):
    run_itself(model)
    model.subgraphs[0].operators[0].builtinOptions.bodySubgraphIndex = 99


INTS = {size: np.arange(size, dtype=np.int32) for size in (3, 9)}


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda model: setattr(model, "version", 4), "another version"),
        (lambda model: setattr(model, "subgraphs", []), "0 graphs"),
        (set_code(builtinCode=99999), "operator 99999, which no runtime has"),
        (set_code(builtinCode=51), "operator 51, which no runtime has"),
        (
            set_code(builtinCode=32, customCode="Rm\x1b[2J"),
            r"operator 'Rm\\x1b\[2J', which no runtime has",
        ),
        (set_code(version=0), "no version"),
        (set_operator("opcodeIndex", 77), "operator's code is not among"),
        (set_operator("inputs", np.array([9999], np.int32)), "operator's input is not among"),
        (set_operator("inputs", np.array([-2], np.int32)), "operator's input is not among"),
        (set_operator("outputs", np.array([-1], np.int32)), "operator's output is not among"),
        (set_operator("largeCustomOptionsOffset", 5), "options are outside"),
        (set_tensor("buffer", 9999), "tensor's buffer is not among"),
        (set_tensor("type", 5), "of a type that no network"),
        (set_tensor("type", 99), "of a type that no network"),
        (set_tensor("shape", INTS[9]), "more than 8 dimensions"),
        (set_tensor("shape", INTS[3]), "number of scales"),
        (set_tensor("shape", np.array([3, -1], np.int32)), "negative size"),
        (set_tensor("shape", np.array([1 << 20, 1 << 20], np.int32)), "more than 512 MB"),
        (set_tensor("shapeSignature", np.array([1] * 7, np.int32)), "shape signature"),
        (scale_of_nan, "a scale is not a positive number"),
        (set_quantization(scale=np.float32([1, 2, 3]), zeroPoint=np.int64([0] * 3)), "scales"),
        (set_quantization(zeroPoint=np.int64([0] * 7)), "zero points"),
        (shorten_buffer, "in its buffer"),
        (swap_operators, "nothing has computed"),
        (drop_operator, "nothing has computed|nothing computes"),
        (double_operator, "computed twice"),
        (set_signature("subgraphIndex", 44), "signature's subgraph is not among"),
        (rename_signature, "two signatures have one name"),
        (set_end("tensorIndex", 3), "inputs are not those of its graph"),
        (set_end("name", ""), "lack names"),
        (run_itself, "a graph runs itself"),
        (run_a_subgraph_that_is_not_there, "operator's subgraph is not among"),
    ],
)
def test_a_contradiction_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        check_graph(changed(change))


def test_the_largest_tensor_is_half_a_gigabyte():
    assert MAX_TENSOR_BYTES == 512 * 2**20


def test_custom_operators_are_allowed_where_no_runtime_is_asked():
    graph = changed(set_code(builtinCode=32, customCode="Own"))
    check_graph(graph, allow_custom=True)
