"""Means that every CPU rounds alike.

An int8 mean is a sum of integers, times a factor that the scales give, rounded. The runtime's
kernels for x86-64 and for Arm do not multiply alike, so where a sum lies on the edge between two
values, to within a float's precision, one machine may round up and the other down: a feature
differs by one step, and now and then a caption with it. (No other layer of an encoder was found to
differ.) A mean has few sums, so its scale can be chosen such that none is that near.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device.bundle.flatbuffer import pack_model

from .operators import opcode_of

#: The least distance of a sum from an edge, in steps of the output. A product of floats below 256
#: is off by 2^-17 at most, and two roundings of its factor by 2^-15.
MARGIN = 5e-5
#: How much larger or smaller the next scale to try is.
NUDGE = 1e-5
#: How many scales to try, either way: up to one per cent.
NUDGES = 1000
#: Operators that compute with the scale of their input, so that a mean in front may change its own.
READERS = {"DEQUANTIZE", "QUANTIZE", "FULLY_CONNECTED", "CONV_2D"}


def distance_from_edge(
    input_scale: float | np.float32, output_scale: float | np.float32, count: int
) -> float:
    """Return how near any mean of `count` int8 values comes to an edge of rounding.

    Args:
        input_scale: The scale of the values.
        output_scale: The scale of the mean.
        count: How many values a mean is of.

    Returns:
        The distance in steps of `output_scale`, 0 to 0.5.
    """
    factor = float(np.float32(input_scale)) / float(np.float32(output_scale)) / count
    steps = np.arange(255 * count + 1) * factor
    return float(np.abs(steps[steps < 256] % 1 - 0.5).min())


def stable_scale(
    input_scale: float | np.float32, output_scale: float | np.float32, count: int
) -> np.float32:
    """Return the scale nearest to `output_scale` whose means all keep MARGIN from an edge.

    Where no scale within one per cent does, return the one that keeps the largest distance.
    """
    distances: dict[np.float32, float] = {}
    for step in sorted(range(NUDGES, -NUDGES - 1, -1), key=abs):
        scale = np.float32(output_scale * (1 + step * NUDGE))
        distances[scale] = distance_from_edge(input_scale, scale, count)
        if distances[scale] >= MARGIN:
            return scale
    return max(distances, key=distances.__getitem__)


def stabilize_means(graph: bytes) -> bytes:
    """Give every int8 mean of a TFLite flatbuffer its stable_scale.

    A mean stays as it is where it is an output, or where an operator outside READERS reads it. The
    scales of biases that depend on a mean follow it.
    """
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    for subgraph in model.subgraphs:
        for operator in subgraph.operators:
            if opcode_of(model, operator) == "MEAN":
                _stabilize_mean(model, subgraph, operator)
    return pack_model(model, named=True)


def _stabilize_mean(
    model: schema.ModelT, subgraph: schema.SubGraphT, operator: schema.OperatorT
) -> None:
    """Change the scale of one mean, where it may change, and of the biases behind it."""
    tensors = subgraph.tensors
    values = tensors[operator.inputs[0]]
    index = operator.outputs[0]
    mean = tensors[index]
    readers = [reader for reader in subgraph.operators if index in reader.inputs]
    is_int8 = values.type == mean.type == schema.TensorType.INT8
    may_change = {opcode_of(model, reader) for reader in readers} <= READERS
    if not is_int8 or not may_change or index in subgraph.outputs:
        return
    scale = mean.quantization.scale[0]
    count = int(np.prod(values.shape) // np.prod(mean.shape))
    factor = stable_scale(values.quantization.scale[0], scale, count) / scale
    biases = [
        tensors[reader.inputs[2]]
        for reader in readers
        if len(reader.inputs) == 3 and reader.inputs[2] >= 0
    ]
    for tensor in (mean, *biases):
        tensor.quantization.scale = tensor.quantization.scale * factor
