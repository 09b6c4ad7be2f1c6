"""Means that every CPU rounds alike.

An int8 mean is a sum of whole numbers, times a factor that the scales give, rounded. The runtime's kernels for x86-64 and for Arm do
not multiply alike, so where a sum comes to lie on an edge between two values, within what a float can tell, one machine may go
up and the other down: a feature differs by one step, and now and then a caption with it. (Of an encoder's other layers none has
been seen to differ.) A mean has few sums, so its scale can be chosen such that none is that near.
"""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device.bundle.flatbuffer import pack_model

from .operators import KINDS

#: The least distance of a sum from an edge, in steps of the output. A product of floats below 256 is off by 2^-17 at most, and
#: two roundings of its factor by 2^-15.
MARGIN = 5e-5
#: How much larger or smaller the scale that is tried next is, and how often it is, either way: up to one per cent.
NUDGE, NUDGES = 1e-5, 1000
#: What may read a mean whose scale changes: all that computes with the scale it is given.
READERS = {"DEQUANTIZE", "QUANTIZE", "FULLY_CONNECTED", "CONV_2D"}


def distance(given, gives, number):
    """Return how near any mean of `number` int8 values of scale `given` comes to an edge of rounding, in steps of the scale `gives`."""
    steps = np.arange(255 * number + 1) * (
        float(np.float32(given)) / float(np.float32(gives)) / number
    )
    return float(np.abs(steps[steps < 256] % 1 - 0.5).min())


def steady_scale(given, gives, number):
    """Return the scale nearest to `gives`, float32, with which `distance` is MARGIN at least, or the one with the largest where
    none near it has that."""
    found = {}
    for step in sorted(range(NUDGES, -NUDGES - 1, -1), key=abs):
        scale = np.float32(gives * (1 + step * NUDGE))
        found[scale] = distance(given, scale, number)
        if found[scale] >= MARGIN:
            return scale
    return max(found, key=found.get)


def stabilize_means(graph):
    """Return the TFLite flatbuffer `graph`, bytes, with every int8 mean's scale as steady_scale has it, where all that reads it
    can take that; biases that depend on it follow."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    for subgraph in model.subgraphs:
        steps = [
            (KINDS[model.operatorCodes[each.opcodeIndex].builtinCode], each)
            for each in subgraph.operators
        ]
        for taken, place in [
            (each.inputs[0], each.outputs[0]) for kind, each in steps if kind == "MEAN"
        ]:
            taken, mean = subgraph.tensors[taken], subgraph.tensors[place]
            readers = [(kind, each) for kind, each in steps if place in each.inputs]
            if (
                {taken.type, mean.type} == {schema.TensorType.INT8}
                and place not in subgraph.outputs
                and {kind for kind, _ in readers} <= READERS
            ):
                scale, number = (
                    mean.quantization.scale[0],
                    int(np.prod(taken.shape) // np.prod(mean.shape)),
                )
                factor = steady_scale(taken.quantization.scale[0], scale, number) / scale
                biases = [
                    subgraph.tensors[each.inputs[2]]
                    for _, each in readers
                    if len(each.inputs) == 3 and each.inputs[2] >= 0
                ]
                for tensor in (mean, *biases):
                    tensor.quantization.scale = tensor.quantization.scale * factor
    return pack_model(model, named=True)
