"""Means that every CPU rounds alike.

An int8 mean is a sum of whole numbers, times a factor that the scales give, rounded. The runtime's kernels for x86-64 and for Arm do
not multiply alike, so where a sum comes to lie on an edge between two values, within what a float can tell, one machine may go
up and the other down: a feature differs by one step, and now and then a caption with it. (Of an encoder's other layers none has
been seen to differ.) A mean has few sums, so its scale can be chosen such that none is that near.
"""

from itertools import count, islice

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from device.compact import pack

#: The least distance of a sum from an edge, in steps of the output. A product of floats below 256 is off by 2^-17 at most, and
#: two roundings of its factor by 2^-15.
MARGIN = 5e-5
#: How much larger or smaller the scale that is tried next, and how many are tried: up to one per cent.
NUDGE, TRIED = 1e-5, 2001
#: What may read a mean whose scale changes: all that computes with the scale it is given.
READERS = {schema.BuiltinOperator.DEQUANTIZE, schema.BuiltinOperator.QUANTIZE, schema.BuiltinOperator.FULLY_CONNECTED,
           schema.BuiltinOperator.CONV_2D}


def distance(given, gives, number):
    """Return how near any mean of `number` int8 values of scale `given` comes to an edge of rounding, in steps of the scale `gives`."""
    steps = np.arange(255 * number + 1) * (float(np.float32(given)) / float(np.float32(gives)) / number)
    return float(np.abs(steps[steps < 256] % 1 - 0.5).min())


def steady_scale(given, gives, number):
    """Return the scale nearest to `gives`, float32, with which `distance` is MARGIN at least, or the one with the largest where
    none near it has that."""
    tried = [np.float32(gives * (1 + sign * NUDGE * step)) for step in islice(count(), TRIED // 2 + 1)
             for sign in ((1, -1) if step else (1,))]
    found = {}
    for scale in tried:
        found[scale] = distance(given, scale, number)
        if found[scale] >= MARGIN:
            return scale
    return max(found, key=found.get)


def steady_means(graph):
    """Return the TFLite flatbuffer `graph`, bytes, with every int8 mean's scale as steady_scale has it, where all that reads it
    can take that; biases that depend on it follow."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    for subgraph in model.subgraphs:
        kinds = [model.operatorCodes[each.opcodeIndex].builtinCode for each in subgraph.operators]
        for operator, kind in zip(subgraph.operators, kinds):
            taken, mean = (subgraph.tensors[int(each[0])] for each in (operator.inputs, operator.outputs))
            if kind != schema.BuiltinOperator.MEAN or {taken.type, mean.type} != {schema.TensorType.INT8}:
                continue
            readers = [(each, reader) for each, reader in zip(subgraph.operators, kinds) if operator.outputs[0] in each.inputs]
            if {reader for _, reader in readers} <= READERS and operator.outputs[0] not in subgraph.outputs:
                number = int(np.prod(taken.shape) // np.prod(mean.shape))
                factor = steady_scale(taken.quantization.scale[0], mean.quantization.scale[0], number) / mean.quantization.scale[0]
                biases = [subgraph.tensors[int(each.inputs[2])] for each, _ in readers if len(each.inputs) == 3 and each.inputs[2] >= 0]
                for tensor in (mean, *biases):
                    tensor.quantization.scale = tensor.quantization.scale * factor
    return pack(model, named=True)
