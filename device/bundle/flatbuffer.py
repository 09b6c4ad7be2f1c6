"""The same TFLite graph in fewer bytes: vectors that are equal are stored once, tensors inside have no names.

Per-channel quantization gives every channel of a weight and of a bias a zero point of 8 bytes, and all of them are zero.
A FlatBuffer may refer to one vector from many places, so each length of zeros need stand in it only once. The name of a
tensor that is neither given nor returned says which layer it came from, and nothing to an interpreter.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

#: The schema asks for weights to begin at a multiple of this.
ALIGNMENT = 16


class _Builder(flatbuffers.Builder):
    """Writes equal vectors once."""

    def __init__(self):
        super().__init__(1 << 20)
        self._written = {}

    def CreateNumpyVector(self, x):  # noqa: N802, the library's name
        """Return the offset of a vector equal to the array `x`, written now or before."""
        key = x.dtype.str, x.tobytes()
        if key not in self._written:
            if (
                x.dtype == np.uint8
            ):  # A weight: what follows the vector's own Prep keeps its alignment.
                self.Prep(ALIGNMENT, x.size)
            self._written[key] = super().CreateNumpyVector(x)
        return self._written[key]


def compact_graph(graph):
    """Return the TFLite flatbuffer `graph`, bytes, in fewer of them; it computes the very same."""
    return pack_model(schema.ModelT.InitFromPackedBuf(graph, 0))


def pack_model(model, named=False):
    """Return the TFLite flatbuffer, bytes, of a schema.ModelT, whose inner tensors lose their names unless it is to be `named`."""
    for subgraph in () if named else model.subgraphs:
        for index in set(range(len(subgraph.tensors))) - {*subgraph.inputs, *subgraph.outputs}:
            subgraph.tensors[index].name = None
    builder = _Builder()
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())
