"""Checks a TFLite graph before any runtime sees it: what indices, shapes and sizes say must fit.

A runtime trusts the graph that it runs: an index beyond its list or a tensor that nothing computes
ends the process. All that a bundle's graph can contradict is looked at here, once, in time linear
in its size; picaption.device.bundle.trust.reader has read it, and what an operator makes of its
inputs is left to a child process (picaption.device.bundle.trust.trial).
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from .layout import (
    CUSTOM_OPERATOR,
    ELEMENT_BITS,
    FOREIGN_OPERATORS,
    LAST_OPERATOR,
    ZERO_POINTS,
)
from .reader import SUBGRAPH, FlatbufferReader, Values

#: The version of the schema that all graphs have.
SCHEMA_VERSION = 3
GRAPH_MAGIC = b"TFL3"
#: The most dimensions of a tensor: the runtime's own operators have up to eight.
MAX_RANK = 8
#: The most bytes of one tensor.
MAX_TENSOR_BYTES = 1 << 29
#: The most tensors and operators of a graph, with what these take and make.
MAX_NODES = 500_000
#: The most subgraphs, of which there is one for each signature, branch and loop.
MAX_SUBGRAPHS = 1000

#: The index of an input that an operator does without.
_NO_TENSOR = -1
_EMPTY = np.empty(0, np.int32)


def check_graph(graph: bytes, allow_custom: bool = False) -> None:
    """Check a TFLite flatbuffer.

    Args:
        graph: Its bytes.
        allow_custom: Whether it may have operators that are not the runtime's own, which it then
            cannot be run with here.

    Raises:
        ValueError: It contradicts itself, or no runtime here can run it.
    """
    _need(graph[4:8] == GRAPH_MAGIC, "it does not begin as a .tflite file does")
    model = FlatbufferReader(graph).root("Model")
    _need(model.get("version") == SCHEMA_VERSION, "it has another version than 3")
    _need(not model.get("external_buffers"), "its weights are in other files")
    buffer_bytes = [_buffer_bytes(buffer) for buffer in model.get("buffers", ())]
    codes = model.get("operator_codes", ())
    for code in codes:
        _check_code(code, allow_custom)
    subgraphs = model.get("subgraphs", ())
    _need(0 < len(subgraphs) <= MAX_SUBGRAPHS, f"it has {len(subgraphs)} graphs in it")
    nodes = sum(map(_node_count, subgraphs))
    _need(nodes <= MAX_NODES, f"it has more than {MAX_NODES} tensors and operators")
    calls: list[set[int]] = []
    for subgraph in subgraphs:
        _check_subgraph(subgraph, buffer_bytes, len(codes))
        called = _called_subgraphs(subgraph)
        _need_indices(called, len(subgraphs), "an operator's subgraph")
        calls.append(set(called))
    _need_no_recursion(calls)
    for entry in model.get("metadata", ()):
        _need_indices([entry.get("buffer", 0)], len(buffer_bytes), "a buffer")
    _check_signatures(model.get("signature_defs", ()), subgraphs)


def _node_count(subgraph: Values) -> int:
    """Return how many tensors a subgraph has, and how often its operators name one."""
    ends = ("inputs", "outputs", "intermediates")
    operators = subgraph.get("operators", ())
    named = sum(len(operator.get(end, ())) for operator in operators for end in ends)
    return len(subgraph.get("tensors", ())) + len(operators) + named


def _buffer_bytes(buffer: Values) -> int:
    """Return the size of a buffer's data."""
    is_inside = buffer.get("offset", 0) <= 1 and buffer.get("size", 0) <= 1
    _need(is_inside, "its weights are outside the graph")
    return len(buffer.get("data", ()))


def _check_code(code: Values, allow_custom: bool) -> None:
    """Raise ValueError unless a runtime has the operator."""
    number = max(code.get("builtin_code", 0), code.get("deprecated_builtin_code", 0))
    if allow_custom and number == CUSTOM_OPERATOR:
        return
    if number == CUSTOM_OPERATOR:
        _need(False, f"it has the operator {code.get('custom_code', '')!r}, which no runtime has")
    is_builtin = 0 <= number <= LAST_OPERATOR and number not in FOREIGN_OPERATORS
    _need(is_builtin, f"it has the operator {number}, which no runtime has")
    _need(code.get("version", 1) >= 1, "an operator has no version")


def _check_subgraph(subgraph: Values, buffer_bytes: Sequence[int], code_count: int) -> None:
    """Raise ValueError unless tensors and operators of a subgraph fit each other."""
    tensors = subgraph.get("tensors", ())
    count = len(tensors)
    inputs = subgraph.get("inputs", _EMPTY).tolist()
    outputs = subgraph.get("outputs", _EMPTY).tolist()
    _need_indices(inputs, count, "a graph's input")
    _need_indices(outputs, count, "a graph's output")
    # A tensor has its value from outside, from its buffer or from one operator, which comes before
    # those that take it.
    has_value = [_has_value(tensor, buffer_bytes) for tensor in tensors]
    for index in inputs:
        has_value[index] = True
    for operator in subgraph.get("operators", ()):
        _need_indices([operator.get("opcode_index", 0)], code_count, "an operator's code")
        _need(not operator.get("large_custom_options_offset"), "an operator's options are outside")
        taken = operator.get("inputs", _EMPTY).tolist()
        made = operator.get("outputs", _EMPTY).tolist()
        inner = operator.get("intermediates", _EMPTY).tolist()
        _need_indices(taken, count, "an operator's input", _NO_TENSOR)
        _need_indices(made, count, "an operator's output")
        _need_indices(inner, count, "an operator's tensor", _NO_TENSOR)
        is_ordered = all(index == _NO_TENSOR or has_value[index] for index in taken)
        _need(is_ordered, "an operator takes a tensor that nothing has computed")
        for index in made:
            _need(not has_value[index], "a tensor is computed twice")
            has_value[index] = True
    _need(all(has_value[index] for index in outputs), "nothing computes an output")


def _has_value(tensor: Values, buffer_bytes: Sequence[int]) -> bool:
    """Check a tensor; return whether it has a value before any operator runs."""
    bits = ELEMENT_BITS.get(tensor.get("type", 0))
    _need(bits is not None, "a tensor is of a type that no network of pictures has")
    assert bits is not None
    shape = tensor.get("shape", _EMPTY)
    _need(len(shape) <= MAX_RANK, f"a tensor has more than {MAX_RANK} dimensions")
    sizes = shape.tolist()
    _need(min(sizes, default=0) >= 0, "a tensor has a negative size")
    size = (prod(sizes) * bits + 7) // 8
    _need(size <= MAX_TENSOR_BYTES, f"a tensor has more than {MAX_TENSOR_BYTES >> 20} MB")
    signature = tensor.get("shape_signature", _EMPTY)
    if len(signature):
        fits = len(signature) == len(shape) and min(signature.tolist()) >= -1
        _need(fits, "a tensor's shape signature is not that of its shape")
    _check_quantization(tensor, sizes)
    buffer = tensor.get("buffer", 0)
    _need_indices([buffer], len(buffer_bytes), "a tensor's buffer")
    _need(not tensor.get("external_buffer"), "its weights are in other files")
    stored = buffer_bytes[buffer]
    if not stored:
        return bool(tensor.get("is_variable")) or not size
    if "sparsity" not in tensor:
        _need(stored == size, f"a tensor of {size} bytes has {stored} in its buffer")
    return True


def _check_quantization(tensor: Values, sizes: Sequence[int]) -> None:
    """Raise ValueError unless scales and zero points fit the tensor."""
    quantization = tensor.get("quantization", {})
    _need(not quantization.get("details_type"), "a tensor is quantized in an unknown way")
    scale = quantization.get("scale", ())
    zero_point = quantization.get("zero_point", ())
    if not len(scale) and not len(zero_point):
        return
    axis = quantization.get("quantized_dimension", 0)
    allowed = {1}
    if 0 <= axis < len(sizes):
        allowed.add(sizes[axis])
    _need(len(scale) in allowed, "a tensor has a wrong number of scales")
    _need(len(zero_point) in (0, len(scale)), "a tensor has a wrong number of zero points")
    _need(bool(np.isfinite(scale).all() and np.min(scale) >= 0), "a scale is not a positive number")
    bounds = ZERO_POINTS.get(tensor.get("type", 0))
    if bounds and len(zero_point):
        fits = bounds[0] <= zero_point.min() and zero_point.max() <= bounds[1]
        _need(fits, "a zero point is out of its type's range")


def _called_subgraphs(subgraph: Values) -> list[int]:
    """Return the indices of the subgraphs that a subgraph's operators run."""
    indices = []
    for operator in subgraph.get("operators", ()):
        for name in ("builtin_options", "builtin_options2"):
            indices += operator.get(name, {}).get(SUBGRAPH, ())
    return indices


def _need_no_recursion(calls: Sequence[set[int]]) -> None:
    """Raise ValueError if a subgraph runs itself, in however many steps."""
    remaining = dict(enumerate(calls))
    while remaining:
        leaves = {index for index, called in remaining.items() if not called & remaining.keys()}
        _need(bool(leaves), "a graph runs itself")
        for index in leaves:
            del remaining[index]


def _check_signatures(signatures: Sequence[Values], subgraphs: Sequence[Values]) -> None:
    """Raise ValueError unless signatures name inputs and outputs of a subgraph."""
    keys = [signature.get("signature_key", "") for signature in signatures]
    _need(len(set(keys)) == len(keys), "two signatures have one name")
    for signature in signatures:
        index = signature.get("subgraph_index", 0)
        _need_indices([index], len(subgraphs), "a signature's subgraph")
        for end in ("inputs", "outputs"):
            tensors = set(subgraphs[index].get(end, _EMPTY).tolist())
            entries = signature.get(end, ())
            names = {entry.get("name", "") for entry in entries}
            _need(len(names) == len(entries) and "" not in names, f"a signature's {end} lack names")
            named = {entry.get("tensor_index", 0) for entry in entries}
            _need(named <= tensors, f"a signature's {end} are not those of its graph")


def _need_indices(indices: Iterable[int], count: int, owner: str, least: int = 0) -> None:
    """Raise ValueError unless every index is one of a list of `count`."""
    is_inside = all(least <= index < count for index in indices)
    _need(is_inside, f"{owner} is not among the {count} that there are")


def _need(condition: Any, contradiction: str) -> None:
    if not condition:
        raise ValueError(contradiction)
